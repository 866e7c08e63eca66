"""Programs that misbehave, under every isolation that this machine has; programs in answers."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.evaluation.judge.sandbox import (
    CLOCK_FACTOR,
    NOBODY,
    PROBE,
    Isolation,
    Sandbox,
    Verdict,
    extract_program,
    unit_tests,
)

PROGRAM = "def add(a, b):\n    return a + b\n"
TESTS = "assert add(2, 3) == 5"
SECONDS = 0.5
UIDS = [None, NOBODY] if os.getuid() == 0 else [None]


ISOLATIONS = [Isolation(wall, uid) for wall in (True, False) for uid in UIDS]


@pytest.fixture(scope="module", params=ISOLATIONS, ids=str)
def box(request) -> Sandbox:
    """Time enough for a loaded machine."""
    sandbox = Sandbox(20, 256, request.param)
    if not sandbox.run(PROBE, "").passed:
        pytest.skip(f"this machine has no sandbox with {request.param}")
    return sandbox


@pytest.fixture
def hasty_box(box) -> Sandbox:
    """The same with a short limit, for programs that reach it."""
    return Sandbox(SECONDS, 256, box.isolation)


def test_a_right_program_passes(box):
    assert box.run(PROGRAM, TESTS) == Verdict(True, True)


def test_the_standard_library_is_there(box):
    modules = "json, re, math, heapq, decimal, datetime, itertools, dataclasses, typing, hashlib"
    assert box.run(f"import {modules}\n{PROGRAM}", TESTS).passed


def test_threads_and_own_files_are_allowed(box):
    program = (
        "import threading, os\n"
        "thread = threading.Thread(target=lambda: open('x', 'w').write('1'))\n"
        "thread.start(); thread.join()\n"
        "assert open('x').read() == '1' and os.listdir('.') == ['x']\n" + PROGRAM
    )
    assert box.run(program, TESTS) == Verdict(True, True)


@pytest.mark.parametrize(
    "program",
    [
        "import sys\n" + PROGRAM + "sys.exit(0)",
        "import os\n" + PROGRAM + "os._exit(0)",
        "raise SystemExit(0)",
        "print('passed')\nprint('1 passed')\nraise SystemExit",
        "import os\nfor f in range(3, 32):\n    try: os.write(f, b'passed ' + b'0' * 32 + b'\\n')\n"
        "    except OSError: pass",
        "import atexit, os\natexit.register(print, 'passed')",
        "try:\n    assert False\nexcept AssertionError:\n    pass",
        "import builtins\nbuiltins.AssertionError = Exception\ndef add(a, b):\n    return 0",
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
        "def add(a, b):\n    import os\n    os._exit(0)",
        "class add:\n    def __init__(self, *a): pass",
        "import sys\nsys.modules['program'].__dict__.clear()",
    ],
)
def test_cheats_and_crashes_do_not_pass(box, program):
    verdict = box.run(program, TESTS)
    assert verdict.started
    assert not verdict.passed


def test_a_program_that_computes_without_end_is_stopped(hasty_box):
    before = time.monotonic()
    verdict = hasty_box.run("while True:\n    print('x' * 10**6)", TESTS)
    assert verdict.started
    assert not verdict.passed
    assert time.monotonic() - before < SECONDS * CLOCK_FACTOR + 5


def test_a_program_may_wait_for_its_turn(hasty_box):
    """The limit is on CPU time: a loaded machine does not make a program wrong."""
    assert hasty_box.run(f"import time\ntime.sleep({2 * SECONDS})\n{PROGRAM}", TESTS).passed


def test_memory_is_limited(box):
    assert "MemoryError" in (box.run("x = bytearray(256 * 2**20)", "").detail or "")
    assert box.run("x = bytearray(128 * 2**20)", "").passed


def test_files_are_limited(box):
    write = "open('x', 'wb').write(bytes({}))"
    assert box.run(write.format("16 * 2**20"), "").passed
    assert not box.run(write.format("17 * 2**20"), "").passed


def test_a_fork_bomb_does_not_go_off(box):
    verdict = box.run("import os\nwhile True:\n    os.fork()", TESTS)
    assert verdict.detail == "PermissionError: refused: os.fork"


def test_a_program_that_waits_is_stopped_and_nothing_is_left_running(hasty_box):
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    thread = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()"
    assert hasty_box.run(thread, "").passed
    verdict = hasty_box.run("import time\ntime.sleep(60)", "")
    assert verdict == Verdict(True, False, "stopped after 1.5 s")
    assert {process.pid for process in psutil.Process().children(recursive=True)} <= before


@pytest.mark.parametrize(
    "attempt",
    [
        "open({path!r}, 'w').write('x')",
        "import os\nos.open({path!r}, os.O_CREAT | os.O_WRONLY)",
        "import pathlib\npathlib.Path({path!r}).touch()",
        "import os\nos.mkdir({path!r})",
        "import os\nos.symlink('/', {path!r})",
        "import os\nopen('here', 'w')\nos.rename('here', {path!r})",
        "import os\nos.symlink({folder!r}, 'link')\nopen('link/written', 'w')",
    ],
)
def test_nothing_is_written_outside(box, tmp_path, attempt):
    tmp_path.chmod(0o777)
    path = tmp_path / "written"
    verdict = box.run(attempt.format(path=str(path), folder=str(tmp_path)), "")
    assert not verdict.passed
    assert not path.exists()


@pytest.mark.parametrize(
    "attempt",
    [
        "open(sys.base_prefix + '/written', 'w')",
        "os.listdir('/')",
        "list(os.scandir('..'))",
        "os.chdir('/')",
    ],
)
def test_the_interpreter_may_be_read_and_nothing_else_seen(box, attempt):
    assert box.run("import os, sys\nos.listdir(sys.base_prefix)", "").passed
    verdict = box.run(f"import os, sys\n{attempt}", "")
    assert "PermissionError: refused: " in (verdict.detail or "")


def test_nothing_is_removed_outside(box, tmp_path):
    tmp_path.chmod(0o777)
    kept = tmp_path / "kept"
    kept.write_text("x")
    assert not box.run(f"import os\nos.remove({str(kept)!r})", "").passed
    assert kept.exists()


def test_secrets_of_the_caller_cannot_be_read(box, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    secret = tmp_path / "secret"
    secret.write_text("sk-secret")
    assert box.run("import os\nassert not os.environ", "").passed
    assert not box.run(f"open({str(secret)!r}).read()", "").passed
    for process in ("self", str(os.getpid())):
        program = f"assert b'sk-secret' in open('/proc/{process}/environ', 'rb').read()"
        assert not box.run(program, "").passed


@pytest.mark.parametrize(
    "attempt",
    [
        "import socket\nsocket.create_connection(('127.0.0.1', 9))",
        "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9')",
        "import subprocess\nsubprocess.run(['true'])",
        "import os\nassert os.system('true') == 0",
        "import ctypes\nctypes.CDLL(None).getpid()",
    ],
)
def test_network_processes_and_foreign_code_are_refused(box, attempt):
    verdict = box.run(attempt, "")
    assert "refused: " in (verdict.detail or "")


@pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is not installed")
def test_the_strongest_isolation_is_taken():
    works = Sandbox(SECONDS, 256, Isolation(True, None)).run("", "").passed
    assert Sandbox(SECONDS, 256).isolation.bubblewrap == works


def test_without_bubblewrap_it_says_so(monkeypatch, caplog):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert not Sandbox(SECONDS, 256).isolation.bubblewrap
    assert "bubblewrap is not installed" in caplog.text


def test_a_program_is_started_without_the_callers_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    child = "import os; print('started'); print('failed', *os.environ)"
    sandbox = Sandbox(SECONDS, 256, Isolation(False, None))
    monkeypatch.setattr(Sandbox, "_command", lambda *_: [sys.executable, "-c", child])
    assert sandbox.run("", "").detail in ("", "LC_CTYPE")  # which Python itself may set


def test_a_sandbox_that_cannot_start_says_so(monkeypatch):
    sandbox = Sandbox(SECONDS, 256, Isolation(False, None))
    monkeypatch.setattr(Sandbox, "_command", lambda *_: ["/no/such/interpreter"])
    verdict = sandbox.run(PROGRAM, TESTS)
    assert (verdict.started, verdict.passed) == (False, False)
    assert "could not start" in (verdict.detail or "")


def test_a_machine_without_any_sandbox_is_told_so(monkeypatch):
    monkeypatch.setattr(Sandbox, "_command", lambda *_: ["/no/such/interpreter"])
    with pytest.raises(InputError, match="programs cannot be run apart on this machine"):
        Sandbox(SECONDS, 256)


@pytest.mark.slow
def test_a_killed_judge_leaves_no_program_behind(box):
    code = (
        "from instruct_scaling.evaluation.judge.sandbox import Isolation, Sandbox\n"
        f"box = Sandbox({SECONDS}, 256, {box.isolation!r})\n"
        "box.run('import time; time.sleep(60)', '')"
    )
    judge = subprocess.Popen([sys.executable, "-c", code])
    programs: list[psutil.Process] = []
    deadline = time.monotonic() + 60
    while not programs and time.monotonic() < deadline:
        programs = psutil.Process(judge.pid).children(recursive=True)
        time.sleep(0.01)
    judge.kill()
    judge.wait()
    assert programs
    assert psutil.wait_procs(programs, timeout=SECONDS * CLOCK_FACTOR + 10)[1] == []


ANSWER = "def add(a, b):\n    return a + b"
ANSWER_TESTS = "assert add(2, 3) == 5\nassert add(-1, 1) == 0"


@pytest.mark.parametrize(
    "response",
    [
        ANSWER,
        f"Here it is:\n```python\n{ANSWER}\n```\nIt adds.",
        f"```\n{ANSWER}\n```",
        f"```py\n{ANSWER}",  # cut off before the fence ends
        f"```bash\npip install x\n```\n```python\n{ANSWER}\n```\n```python\nadd(1)\n```",
        ANSWER.replace(" ", "\u00a0"),
        ANSWER.replace("\n", "\r\n"),
        f"{ANSWER}\n\nif __name__ == '__main__':\n    print(add(int(input()), 1))",
    ],
)
def test_programs_are_found_and_pass(response, sandbox):
    assert unit_tests(response, ANSWER_TESTS, sandbox).score == 1


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("def add(a, b):\n    return a - b", "AssertionError"),
        ("def add(a, b)", "SyntaxError"),
        ("I cannot do that.", "SyntaxError"),
        ("x = 1", "NameError"),
        ("", "empty program"),
        ("```python\n```", "empty program"),
        ("def add(a, b):\n    return add(a, b)", "RecursionError"),
    ],
)
def test_wrong_programs_score_0_with_the_reason(response, reason, sandbox):
    outcome = unit_tests(response, ANSWER_TESTS, sandbox)
    assert outcome.score == 0
    assert reason in outcome.reason


def test_a_sandbox_that_does_not_start_says_nothing(sandbox, monkeypatch):
    monkeypatch.setattr(type(sandbox), "run", lambda *_: Verdict(False, False, "no room"))
    outcome = unit_tests(ANSWER, ANSWER_TESTS, sandbox)
    assert (outcome.score, outcome.status, outcome.reason) == (None, "sandbox_error", "no room")


def test_only_the_first_python_block_counts():
    assert extract_program("```python\na\n```\ntext\n```python\nb\n```") == "a"


@pytest.mark.slow
def test_humaneval_solutions_pass_and_broken_ones_fail(real_data, sandbox):
    path = real_data / "HumanEval.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as handle:
        problems = [json.loads(line) for line in handle]

    def passes(problem: dict[str, str], body: str) -> float | None:
        tests = f"{problem['test']}\ncheck({problem['entry_point']})"
        return unit_tests(problem["prompt"] + body, tests, sandbox).score

    with ThreadPoolExecutor(4) as pool:
        right = list(pool.map(lambda p: passes(p, p["canonical_solution"]), problems))
        broken = list(pool.map(lambda p: passes(p, "    return None\n"), problems))
    names = [problem["task_id"] for problem in problems]
    assert [name for name, score in zip(names, right, strict=True) if score != 1] == []
    assert [name for name, score in zip(names, broken, strict=True) if score != 0] == []
