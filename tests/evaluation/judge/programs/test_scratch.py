"""Folders of programs: none outlives its judge for longer than until the next one starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from instruct_scaling.evaluation.judge.programs import interpreter
from instruct_scaling.evaluation.judge.programs.isolation import candidates
from instruct_scaling.evaluation.judge.programs.scratch import (
    PREFIX,
    make_scratch,
    remove_abandoned,
)
from instruct_scaling.evaluation.judge.programs.walls import Walls

ROOT = os.geteuid() == 0
LANDLOCK = candidates(ROOT, False, interpreter.this_interpreter().readable_by_others())[-1]
JUDGE = """
import sys
from instruct_scaling.evaluation.judge.programs.isolation import Isolation
from instruct_scaling.evaluation.judge.programs.walls import Walls
box = Walls(60, 256, Isolation("landlock", {root}, keeps_reading={reads}))
process = box.start("open('left', 'w').write('x'); import time; time.sleep(60)")
print("runs", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """A temporary folder of this test, which programs of other users may enter."""
    tmp_path.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_in_use_stays_and_an_abandoned_one_goes(temporary):
    used, left = make_scratch(), make_scratch()
    (Path(left.path) / "file").write_text("x", "utf-8")
    os.close(left._lock)  # as when its process ends
    assert remove_abandoned(()) == 1
    assert [path.name for path in temporary.iterdir()] == [Path(used.path).name]
    used.remove()
    used.remove()
    assert not list(temporary.iterdir())


def test_what_is_no_folder_of_a_program_stays(temporary):
    other = temporary / "instruct-scaling-notes"
    other.mkdir()
    (temporary / f"{PREFIX}link").symlink_to(other)
    (temporary / f"{PREFIX}file").write_text("x", "utf-8")
    assert remove_abandoned(()) == 0
    assert len(list(temporary.iterdir())) == 3


def test_the_next_judge_removes_what_a_killed_one_left(temporary):
    """A judge is killed while a program that has written a file runs under Landlock."""
    reason = Walls(5, 256, LANDLOCK).problem(LANDLOCK)
    if reason is not None:
        pytest.skip(f"Landlock does not work here: {reason}")
    text = JUDGE.format(root=LANDLOCK.other_user, reads=LANDLOCK.keeps_reading)
    with subprocess.Popen(
        [sys.executable, "-c", text],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(temporary)},
    ) as judge:
        assert judge.stdout is not None and judge.stdout.readline() == b"runs\n"
        Walls(5, 256, LANDLOCK)
        assert len(list(temporary.glob(f"{PREFIX}*"))) == 1  # it is at work
        judge.send_signal(signal.SIGKILL)
        judge.wait()
    assert len(list(temporary.glob(f"{PREFIX}*"))) == 1
    Walls(5, 256, LANDLOCK)
    assert not list(temporary.iterdir())
