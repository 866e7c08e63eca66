"""Every hostile program is judged as an answer of a model is: score 0, and the judge goes on.

All are judged in one stage, with correct programs among them; the tests look up what came of each.
"""

from __future__ import annotations

import os
import socket
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from instruct_scaling.common.records import EvalItem, Judgement
from instruct_scaling.config.judges import MetricJudge
from instruct_scaling.evaluation.judge import metric
from instruct_scaling.evaluation.judge.programs import interpreter, walls
from tests.escapes import cheats, floods, protocol, reach, values
from tests.evaluation.judge.conftest import answer

SOLUTION = "def solve(numbers):\n    return sum(n * n for n in numbers)\n"
TESTS = """
def square(n):
    return n * n

assert solve([1, 2, 3]) == 14
assert solve([]) == 0
assert solve([-2]) == 4
for length in range(12):
    numbers = list(range(length))
    checked = solve(numbers)
    assert checked == sum(square(n) for n in range(length))
    assert len(numbers) == length and numbers == list(range(length))
"""
SECONDS = 0.5
EVERY = 10  # after so many hostile programs there is a correct one
GROUPS = {
    "cheats": cheats.PROGRAMS,
    "values": values.PROGRAMS,
    "protocol": protocol.PROGRAMS,
    "floods": floods.PROGRAMS,
    "reach": reach.ATTEMPTS,
}
NAMES = [f"{group}/{name}" for group, programs in GROUPS.items() for name in programs]
# What a broken attempt would raise instead of trying: it must not count as contained.
BROKEN = ("NameError", "SyntaxError", "TypeError", "KeyError", "IndexError", "UnboundLocalError")


@dataclass(frozen=True, slots=True)
class Judged:
    """One stage: what came of each program, and what was left behind."""

    hostile: dict[str, Judgement]
    following: dict[str, Judgement]  # of the next correct program
    files_left: list[str]
    processes_left: list[str]
    kept: dict[str, object]
    folder: Path


@pytest.fixture(
    scope="module", params=["bubblewrap", pytest.param("landlock", marks=pytest.mark.slow)]
)
def judged(request, tmp_path_factory) -> Iterator[Judged]:
    """All programs, judged under one isolation."""
    with pytest.MonkeyPatch.context() as patch:
        here = walls.candidates
        patch.setattr(
            walls, "candidates", lambda *a: [one for one in here(*a) if one.rung == request.param]
        )
        try:
            walls.Walls(SECONDS, 256)
        except walls.NoIsolation as error:
            pytest.skip(f"programs cannot run under {request.param} here: {error}")
        patch.setenv("OPENAI_API_KEY", "sk-secret")
        # As another user sees it: open to all, so that nothing but the walls protects it.
        folder = Path(tempfile.mkdtemp(prefix="judge-of-"))
        folder.chmod(0o777)
        (folder / "secret").write_text("sk-secret")
        (folder / "secret").chmod(0o666)
        (folder / "temporary").mkdir()
        (folder / "temporary").chmod(0o711)
        patch.setattr(tempfile, "tempdir", str(folder / "temporary"))
        with _listening(folder) as known:
            yield _judge_all(folder, known)
        for path in [*folder.glob("*/*"), *folder.glob("*")]:
            path.unlink() if path.is_file() else path.rmdir()
        folder.rmdir()


class _listening:
    """Sockets that programs try to reach, and the other things that they are pointed to."""

    def __init__(self, folder: Path) -> None:
        name = f"instruct-scaling-{os.getpid()}"
        self._sockets = [socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)]
        self._sockets[1].bind(f"\0{name}")
        self._sockets[1].listen()
        self._sockets.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self._sockets[2].bind(f"\0{name}.datagrams")
        self.known = {
            "secret": str(folder / "secret"),
            "folder": str(folder),
            "judge": os.getpid(),
            "port": self._sockets[0].getsockname()[1],
            "abstract": name,
            "module": metric.__file__,
            "packages": sysconfig.get_paths()["purelib"],
        }

    def __enter__(self) -> dict[str, object]:
        return self.known

    def __exit__(self, *_: object) -> None:
        for opened in self._sockets:
            opened.close()


def _judge_all(folder: Path, known: dict[str, object]) -> Judged:
    item = EvalItem.make("code", "The sum of squares.", reference=SOLUTION, checks={"tests": TESTS})
    before = _processes()
    texts: dict[str, str] = {}
    for place, name in enumerate(NAMES):
        group, _, last = name.partition("/")
        text = GROUPS[group][last]
        texts[name] = reach.program(text.format(**known)) if group == "reach" else text
        if place % EVERY == EVERY - 1 or name == NAMES[-1]:
            texts[f"correct/{place}"] = f"{SOLUTION}# {place}\n"
    responses = [
        answer(item, f"```python\n{text}\n```", scale) for scale, text in enumerate(texts.values())
    ]
    judge = MetricJudge(type="metric", code_timeout_seconds=SECONDS, code_memory_mb=256)
    judgements, kept = metric.judge_all(
        judge, "metric", {item.id: item}, responses, workers=4, work=folder
    )
    for path in folder.glob("*.jsonl"):
        path.unlink()
    found = dict(zip(texts, judgements, strict=True))
    following: dict[str, Judgement] = {}
    waiting: list[str] = []
    for name in texts:
        waiting.append(name)
        if name.startswith("correct/"):
            following |= dict.fromkeys(waiting, found[name])
            waiting.clear()
    return Judged(
        found,
        following,
        [str(path.relative_to(folder)) for path in folder.rglob("*")],
        sorted(_processes() - before),
        kept or {},
        folder,
    )


def _processes() -> set[str]:
    """Processes below this one, and orphans of the users that programs run as."""
    found = psutil.Process().children(recursive=True)
    for process in psutil.process_iter(["uids"]):
        uids = process.info["uids"]
        if uids is not None and uids.real in walls.USERS and _is_orphan(process):
            found.append(process)
    return {f"{process.pid} {process.name()}" for process in found}


def _is_orphan(process: psutil.Process) -> bool:
    """No judge is above it: another one may be at work on this machine."""
    try:
        return all(above.pid == 1 or above.name() == "bwrap" for above in process.parents())
    except psutil.Error:
        return False


@pytest.mark.parametrize("name", NAMES)
def test_it_scores_0_and_the_judge_goes_on(judged, name):
    judgement = judged.hostile[name]
    assert (judgement.score, judgement.status) == (0, "ok"), judgement.reason
    assert judged.following[name].score == 1, judged.following[name].reason
    if name.startswith("reach/"):
        assert not any(error in judgement.reason for error in BROKEN), judgement.reason


def test_nothing_is_left_behind(judged):
    assert sorted(judged.files_left) == ["secret", "temporary"]
    assert judged.processes_left == []
    assert (judged.folder / "secret").read_text() == "sk-secret"
    assert (judged.folder / "secret").stat().st_mode & 0o777 == 0o666
    readable = interpreter.this_interpreter().readable
    for folder in [*readable, sysconfig.get_paths()["purelib"], "/", "/dev", "/dev/shm"]:
        assert not (Path(folder) / "written").exists()
        assert not (Path(folder) / "written.py").exists()


def test_an_attempt_that_succeeds_would_win(judged):
    """The attempts have force: outside of walls, reading the secret solves the task."""
    text = reach.program(
        reach.READING["reads_a_secret"].format(secret=str(judged.folder / "secret"))
    )
    space: dict[str, object] = {}
    exec(compile(text, "<attempt>", "exec"), space)
    assert space["solve"]([1, 2, 3]) == 14  # type: ignore[operator]


def test_there_are_enough_of_them():
    assert len(NAMES) >= 60
    assert sys.version_info >= (3, 11)
