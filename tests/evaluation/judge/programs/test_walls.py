"""Processes behind walls, under every isolation that this machine has, and what goes wrong."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from instruct_scaling.evaluation.judge.programs import (
    bubblewrap,
    interpreter,
    launcher,
    seccomp,
    walls,
)
from instruct_scaling.evaluation.judge.programs.isolation import Isolation, candidates
from instruct_scaling.evaluation.judge.programs.walls import (
    USERS,
    Limits,
    NoIsolation,
    NotStarted,
    Process,
    Walls,
)

ROOT = os.geteuid() == 0
HERE = candidates(ROOT, True, interpreter.this_interpreter().readable_by_others())
SHORT = Limits(1, 1, 256)


@pytest.fixture(scope="module", params=HERE, ids=lambda isolation: isolation.rung)
def box(request) -> Walls:
    """Time enough for a loaded machine."""
    if request.param.rung == "bubblewrap" and not bubblewrap.installed():
        pytest.skip("bubblewrap is not installed")
    made = Walls(20, 256, request.param)
    reason = made.problem(request.param)
    if reason is not None:
        pytest.skip(f"{request.param.rung} does not work here: {reason}")
    return made


def run(box: Walls, source: str, limits: Limits | None = None) -> tuple[bytes, Process]:
    """What a text writes until it ends."""
    with box.start(source, limits) as process:
        output = b""
        while part := process.stdout.read(65536):
            output += part
        process.wait()
    return output, process


def test_descriptors_0_and_1_are_the_pipes_and_the_job_is_gone(box):
    with box.start("print(open(0).read().upper(), end='', flush=True)") as process:
        process.stdin.write(b"some text")
        process.stdin.close()
        assert process.stdout.read() == b"SOME TEXT"
        assert process.wait(10)
    assert process.ended_by is None
    assert 0 < process.cpu_seconds() < 5


def test_a_long_text_is_handed_over_whole(box):
    output, _ = run(box, f"x = {'a' * 300_000!r}\nprint(len(x), flush=True)")
    assert output == b"300000\n"


def test_the_standard_library_threads_and_asyncio_work(box):
    output, _ = run(
        box,
        "import asyncio, concurrent.futures, hashlib, json, socket, sqlite3, ssl, zoneinfo\n"
        "ours, theirs = socket.socketpair()\nours.sendall(b'1')\nassert theirs.recv(1) == b'1'\n"
        "with concurrent.futures.ThreadPoolExecutor(8) as pool:\n"
        "    assert list(pool.map(abs, range(-9, 0)))[0] == 9\n"
        "async def later():\n    await asyncio.sleep(0.01)\n    return await asyncio.gather(\n"
        "        *(asyncio.to_thread(abs, -n) for n in range(3)))\n"
        "print(asyncio.run(later()), flush=True)",
    )
    assert output == b"[0, 1, 2]\n"


def test_its_folder_takes_files_and_is_gone_afterwards(box):
    output, _ = run(
        box,
        "import os, tempfile\nassert os.listdir('.') == []\nopen('x', 'w').write('1' * 10**6)\n"
        "tempfile.TemporaryFile().write(b'x')\nos.remove('x')\nopen('y', 'w')\n"
        "print(os.getcwd(), end='', flush=True)",
    )
    assert output.startswith(b"/tmp")
    assert not os.path.exists(output + b"/y")  # noqa: PTH110 (bytes)


def test_its_environment_is_fixed(box, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    output, _ = run(box, "import os; print(*sorted(os.environ), hash('a'), flush=True)")
    again, _ = run(box, "import os; print(*sorted(os.environ), hash('a'), flush=True)")
    assert output == again  # the order of sets does not vary between runs
    assert set(output.decode().split()[:-1]) <= {
        *("HOME", "LC_ALL", "MALLOC_ARENA_MAX", "PATH", "PWD", "PYTHONHASHSEED", "TMPDIR"),
    }


@pytest.mark.skipif(not ROOT, reason="only root gives users")
def test_root_gives_each_process_a_user_of_its_own(box):
    users = {int(run(box, "import os; print(*os.getresuid(), flush=True)")[0].split()[0])
             for _ in range(2)}  # fmt: skip
    assert len(users) == 2
    assert users <= set(USERS)
    output, _ = run(
        box, "import os\nprint(os.getgroups(), os.getresuid()[0] == os.getresgid()[0], flush=True)"
    )
    assert output == b"[] True\n"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("while True: pass", "cpu"),
        ("import time; time.sleep(60)", "clock"),
        ("bytearray(10**10)", "memory"),
        ("import ctypes; ctypes.string_at(0)", "signal 11"),
        ("1 / 0", None),
        ("import os; os._exit(3)", None),
    ],
)
def test_it_says_what_ended_a_process(box, source, reason):
    limits = Limits(1, 30, 256) if reason == "cpu" else SHORT
    _, process = run(box, source, limits)
    assert process.ended_by == reason
    if reason == "cpu":
        assert 0.8 <= process.cpu_seconds() <= 1.5
    if reason == "clock":
        assert process.cpu_seconds() < 0.8


def test_time_used_is_known_while_it_runs_and_after_it_was_killed(box):
    source = "import time\nwhile time.process_time() < 0.4: pass\nprint(1, flush=True)\ninput()"
    with box.start(source) as process:
        assert process.stdout.read(2) == b"1\n"
        assert 0.3 <= process.cpu_seconds() < 3
    assert 0.3 <= process.cpu_seconds() < 3


def test_memory_is_bounded_in_all(box):
    assert run(box, "x = bytearray(150 * 2**20); print(1, flush=True)")[0] == b"1\n"
    assert run(box, "x = bytearray(256 * 2**20); print(1, flush=True)")[1].ended_by == "memory"


def test_files_are_bounded_in_all(box):
    """Each file by the kernel; the sum by the folder's size, or by looking at it."""
    one = "try:\n    open('x', 'wb').write(bytes({} * 2**20))\nexcept OSError: print('full')"
    assert run(box, one.format(15))[0] == b""
    assert run(box, one.format(17))[0] == b"full\n"
    output, process = run(
        box,
        "import time\nfor name in 'abc':\n    try:\n        open(name, 'wb').write(bytes(2**23))\n"
        "    except OSError:\n        print('full', flush=True)\ntime.sleep(1)",
        Limits(5, 5, 256),
    )
    assert output.startswith(b"full\n") or process.ended_by == "memory"


def test_a_kill_ends_it_at_once_and_twice_does_no_harm(box):
    started = time.monotonic()
    process = box.start("import time; time.sleep(60)")
    process.kill()
    assert process.wait(0)
    process.close()
    process.close()
    assert time.monotonic() - started < 20
    assert process.stdin.closed and process.stdout.closed


def test_nothing_is_left_of_many(box):
    """Not even processes that have ended and wait to be reaped, here or with process 1."""
    mine = psutil.Process()
    before = {process.pid for process in mine.children(recursive=True)}
    descriptors = mine.num_fds()
    sources = ["print(1)", "import time; time.sleep(60)", "while True: pass", "1 / 0"] * 3
    numbers = []

    def one(source: str) -> None:
        with box.start(source, Limits(10, 10, 256)) as process:
            numbers.append(process._process.pid)
            with contextlib.suppress(psutil.Error):  # some have ended already
                below = psutil.Process(process._process.pid).children(recursive=True)
                numbers.extend(child.pid for child in below)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(one, sources))
    assert {process.pid for process in mine.children(recursive=True)} <= before
    assert not [number for number in numbers if psutil.pid_exists(number)]
    assert mine.num_fds() == descriptors
    assert not [thread for thread in threading.enumerate() if "_watch" in thread.name]


@pytest.mark.slow
def test_a_killed_judge_leaves_no_program_behind(box):
    code = (
        "import sys, time\n"
        "from instruct_scaling.evaluation.judge.programs.isolation import Isolation\n"
        "from instruct_scaling.evaluation.judge.programs.walls import Walls\n"
        f"process = Walls(60, 256, {box.isolation!r}).start('import time; time.sleep(60)')\n"
        "print('started', flush=True); time.sleep(60)"
    )
    judge = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert judge.stdout is not None
    assert judge.stdout.readline() == b"started\n"
    programs = psutil.Process(judge.pid).children(recursive=True)
    judge.kill()
    judge.wait()
    judge.stdout.close()
    assert programs
    assert psutil.wait_procs(programs, timeout=20)[1] == []


def test_what_does_not_start_says_why(monkeypatch, tmp_path):
    program = tmp_path / "bwrap"
    program.write_text(
        "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1"
    )
    program.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "installed", lambda: str(program))
    box = Walls(5, 256, Isolation("bubblewrap"))
    with pytest.raises(NotStarted, match="No permissions to create new namespace"):
        box.start("print(1)")
    monkeypatch.setattr(bubblewrap, "installed", lambda: str(tmp_path / "nothing"))
    with pytest.raises(NotStarted, match="could not start: No such file"):
        box.start("print(1)")


def test_a_text_that_is_no_python_does_not_start():
    box = Walls(5, 256, HERE[-1])
    with pytest.raises(NotStarted):
        box.start("def")


def test_what_does_not_get_through_in_time_is_given_up(monkeypatch, tmp_path):
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\nexec /bin/sleep 60")
    program.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "installed", lambda: str(program))
    monkeypatch.setattr(walls, "START_SECONDS", 0.2)
    with pytest.raises(NotStarted, match="not started after"):
        Walls(5, 256, Isolation("bubblewrap")).start("print(1)")


def only(monkeypatch, *rungs: str) -> None:
    """A machine where these work and no others."""
    monkeypatch.setattr(
        Walls,
        "problem",
        lambda _, isolation: None if isolation.rung in rungs else "No permissions",
    )


@pytest.mark.parametrize("root", [False, True])
def test_the_strongest_that_works_is_taken(monkeypatch, root):
    monkeypatch.setattr(bubblewrap, "installed", lambda: "/usr/bin/bwrap")
    monkeypatch.setattr(walls, "_is_root", lambda: root)
    only(monkeypatch, "bubblewrap", "landlock")
    assert Walls(5, 256).isolation.rung == "bubblewrap"
    assert Walls(5, 256).isolation.other_user == root
    only(monkeypatch, "landlock")
    assert Walls(5, 256).isolation.rung == "landlock"
    assert Walls(5, 256).isolation.other_user == root
    assert "bubblewrap: No permissions" in Walls(5, 256).passed_over


def test_without_any_there_is_an_error_with_the_reasons(monkeypatch):
    monkeypatch.setattr(bubblewrap, "installed", lambda: None)
    only(monkeypatch)
    with pytest.raises(NoIsolation, match=r"bubblewrap: not installed; landlock: No permissions"):
        Walls(5, 256)


def test_unprotected_is_asked_for_and_never_roots(monkeypatch, caplog):
    monkeypatch.setattr(bubblewrap, "installed", lambda: None)
    only(monkeypatch)
    monkeypatch.setattr(walls, "_is_root", lambda: False)
    box = Walls(5, 256, unprotected=True)
    assert box.isolation.rung == "unprotected"
    assert "without isolation" in caplog.text
    assert run(box, "import os; print(os.getpid() > 1, flush=True)")[0] == b"True\n"
    assert run(box, "bytearray(10**10)")[1].ended_by == "memory"
    monkeypatch.setattr(walls, "_is_root", lambda: True)
    with pytest.raises(NoIsolation, match="root"):
        Walls(5, 256, unprotected=True)
    with pytest.raises(NoIsolation, match="root"):
        Walls(5, 256, Isolation("unprotected"))


def test_a_kernel_without_landlock_runs_nothing(monkeypatch):
    """The launcher refuses with the kernel's reason, before the text has begun."""
    monkeypatch.setattr(launcher, "LIBC", FakeKernel(errno.ENOSYS))
    job = {"readable": ["/usr"], "listed": [], "folder": "/tmp"}
    with pytest.raises(OSError, match="Landlock: Function not implemented"):
        launcher.restrict_files(job)


@pytest.mark.parametrize(
    ("version", "size", "rights"),
    [(1, 8, 13), (2, 8, 14), (3, 8, 15), (4, 16, 15), (5, 16, 16), (6, 24, 16), (9, 24, 16)],
)
def test_every_right_that_a_version_knows_is_handled(monkeypatch, tmp_path, version, size, rights):
    """What is not handled is allowed; what is handled and unknown makes the kernel refuse."""
    kernel = FakeKernel(version=version)
    monkeypatch.setattr(launcher, "LIBC", kernel)
    monkeypatch.setattr(launcher.os, "close", lambda _: None)
    launcher.restrict_files({"readable": ["/usr"], "listed": ["/usr"], "folder": str(tmp_path)})
    attributes = kernel.calls[1][1]
    assert len(attributes) == size
    assert struct.unpack_from("=Q", attributes)[0] == 2**rights - 1
    granted = [struct.unpack("=Qi", call[3])[0] for call in kernel.calls if call[0] == 445]
    assert len(granted) == 4
    assert all(right & ~(2**rights - 1) == 0 for right in granted)
    assert all(right & 0b10 == 0 for right in granted[:2])  # nothing writes into /usr
    assert kernel.calls[-1][0] == 446


class FakeKernel:
    """Notes system calls, and answers as a kernel with some version of Landlock, or with none."""

    def __init__(self, error: int = 0, version: int = 0) -> None:
        self.calls: list[tuple] = []
        self._error = error
        self._version = version

    def syscall(self, *arguments):
        self.calls.append(arguments)
        ctypes.set_errno(self._error)
        if self._error:
            return -1
        return self._version if arguments[1] is None else 1000


def test_another_kind_of_processor_has_no_isolation(monkeypatch):
    monkeypatch.setattr(walls.platform, "machine", lambda: "riscv64")
    with pytest.raises(NoIsolation, match="riscv64"):
        Walls(5, 256)


def test_bubblewrap_shows_the_interpreter_and_no_more():
    this = interpreter.this_interpreter()
    command = bubblewrap.command(
        this, ["python"], scratch_mb=7, report=9, own_users=True, no_further_users=True
    )
    bound = {command[place + 1] for place, word in enumerate(command) if word == "--ro-bind"}
    assert bound == set(this.readable)
    assert "--bind" not in command and "--proc" not in command
    for wall in ("user", "pid", "net", "ipc", "uts"):
        assert f"--unshare-{wall}" in command
    assert "--disable-userns" in command
    place = command.index("/tmp")
    assert command[place - 3 : place] == ["--size", str(7 * 2**20), "--tmpfs"]
    assert command[-4:] == ["/", "--chdir", "/tmp", "python"]
    assert seccomp.OWN_PID > 2**22  # beyond every number that a process can have


def test_hidden_folders_are_cut_out_of_what_is_readable(tmp_path):
    for name in ("lib/python3/site-packages/x", "lib/python3/json", "lib/other"):
        (tmp_path / name).mkdir(parents=True)
    kept = interpreter.without_hidden(
        [str(tmp_path / "lib")], [str(tmp_path / "lib/python3/site-packages")]
    )
    assert {str(tmp_path / name) for name in ("lib/python3/json", "lib/other")} == set(kept)
