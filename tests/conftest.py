"""Shared by all tests: where real data lies, small studies, one thread for torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import settings

from tests.skip_summary import counted, summary_lines

# How long an example takes says more of the machine's other work than of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def offline_copies() -> Path:
    """Folder of copies of public files, laid out by URL; tests that need it are skipped without
    it."""
    folder = Path(os.environ.get("INSTRUCT_SCALING_OFFLINE", ROOT.parent / "shared" / "offline"))
    if not (folder / "raw.githubusercontent.com").is_dir():
        pytest.skip(f"no copies of public files at {folder} (set INSTRUCT_SCALING_OFFLINE)")
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real instruction data; tests that need it are skipped without it."""
    folder = Path(os.environ.get("INSTRUCT_SCALING_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "belle_eval_2023-04.jsonl").is_file():
        pytest.skip(f"no real data at {folder} (set INSTRUCT_SCALING_DATA to its folder)")
    return folder


@pytest.fixture(scope="session")
def walls() -> Any:
    """The strongest walls of this machine; without any, tests that need them are skipped."""
    from instruct_scaling.evaluation.judge.programs.walls import NoIsolation, Walls

    try:
        return Walls(timeout_seconds=5, memory_mb=512)
    except NoIsolation as error:
        pytest.skip(f"{error}; {error.fix}")


@pytest.fixture
def default_config() -> dict[str, Any]:
    """The content of config.yaml, free to edit."""
    return yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what was not tested, and how to install what is missing."""
    for line in summary_lines(counted(terminalreporter.stats.get("skipped", []))):
        terminalreporter.write_line(line)
