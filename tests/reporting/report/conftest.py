"""Shared by the report's tests: one finished study, written once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.reporting.report.example_study import ExampleStudy, write_example


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> ExampleStudy:
    """A study whose files no test may edit."""
    return write_example(ExampleStudy(tmp_path_factory.mktemp("finished")))


@pytest.fixture
def study(finished: ExampleStudy, tmp_path: Path) -> ExampleStudy:
    """A copy that a test may edit."""
    shutil.copytree(
        finished.folder, tmp_path / "study", ignore=shutil.ignore_patterns("report.html")
    )
    return ExampleStudy(tmp_path / "study", items=finished.items)
