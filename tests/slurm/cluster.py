"""A real SLURM on one machine: started, broken on purpose, asked, and taken down.

    with running(accounting=True) as cluster:
        job = cluster.submit("hostname", "--partition=gpu", "--gres=gpu:2")
        cluster.wait(job)
        cluster.job(job)["TresPerNode"]          # what SLURM saw
        cluster.kill_node("node2"); cluster.start_node("node2")

It needs root, slurm-wlm and munge (slurmdbd and mariadb-server for accounting): `missing()` says
what is not there. Only one cluster can be up on a machine, since its configuration is in
/etc/slurm; /tmp/slurm-cluster.lock is locked meanwhile. By hand: `make slurm-up`, `slurm-down`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from tests.slurm.files import (
    CONFIG,
    DATABASE_PORT,
    GPUS,
    LOCK,
    MARK,
    NODES,
    WORK,
    Layout,
    gres_conf,
    slurm_conf,
    slurmdbd_conf,
)
from tests.slurm.nodes import (
    close_network,
    leftovers,
    namespaces_work,
    open_network,
    open_node,
)
from tests.slurm.processes import end, read_pid, start_daemon, wait_until

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch")
ACCOUNTING_PROGRAMS = ("slurmdbd", "mariadbd", "mariadb-install-db")
UNFINISHED = {"PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING", "REQUEUED"}
FILES = ("slurm.conf", "gres.conf", "slurmdbd.conf")


def missing(accounting: bool = False) -> str | None:
    """Why no cluster can be started here; None if one can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "SLURM: a cluster for the tests needs root"
    programs = (*PROGRAMS, *(ACCOUNTING_PROGRAMS if accounting else ()))
    absent = [name for name in programs if shutil.which(name) is None]
    if absent:
        return f"SLURM: not installed here ({', '.join(absent)})"
    for name in FILES:
        path = CONFIG / name
        if path.exists() and not path.read_text("utf-8").startswith(MARK):
            return f"SLURM: {path} belongs to another cluster, which is left alone"
    with tempfile.TemporaryDirectory() as folder:  # a container may be root without this right
        try:
            _make_gpu(Path(folder) / "gpu")
        except PermissionError:
            return "SLURM: device files, which stand for GPUs, cannot be made here"
    return None


def _make_gpu(path: Path) -> None:
    """A device of the same kind as /dev/null."""
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up."""

    layout: Layout
    inside: Mapping[str, list[str]]  # of each node: the words before a command that runs there

    @property
    def shared(self) -> Path:
        """A folder that the nodes and this machine see (of /tmp each node has its own)."""
        return WORK / "shared"

    # What SLURM saw

    def submit(self, script: str, *options: str, user: str | None = None) -> int:
        """Submit a script (shell, without the first line); returns the job's number."""
        command = ["sbatch", "--parsable", f"--output={self.shared}/slurm-%j.out", *options]
        if user is not None:
            command = ["runuser", "-u", user, "--", *command]
        text = f"#!/bin/bash\n{script}\n"
        done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=self.shared)
        if done.returncode != 0:
            raise RuntimeError(f"sbatch: {done.stderr}")
        return int(done.stdout.split(";")[0])

    def job(self, number: int) -> dict[str, str]:
        """What the controller knows of a job, as of `scontrol show job`."""
        text = _output("scontrol", "show", "job", "--oneliner", "--details", str(number))
        return _fields(text)

    def jobs(self) -> list[dict[str, str]]:
        """Every job that the controller remembers (MinJobAge seconds after its end)."""
        text = _output("scontrol", "show", "job", "--oneliner")
        return [_fields(line) for line in text.splitlines() if line.startswith("JobId=")]

    def accounted(self, number: int, *fields: str) -> list[dict[str, str]]:
        """What the database knows of a job and its steps, as of `sacct`."""
        text = _output(
            "sacct",
            "--parsable2",
            "--noheader",
            "--jobs",
            str(number),
            "--format",
            ",".join(fields),
        )
        return [dict(zip(fields, line.split("|"), strict=True)) for line in text.splitlines()]

    def wait(self, number: int, seconds: float = 60) -> dict[str, str]:
        """Wait until a job has ended; returns what the controller knows of it."""
        wait_until(
            lambda: self.job(number)["JobState"] not in UNFINISHED, seconds, f"job {number} goes on"
        )
        return self.job(number)

    def printed(self, number: int) -> str:
        """What a job from `submit` printed."""
        return (self.shared / f"slurm-{number}.out").read_text("utf-8")

    def log(self, name: str) -> str:
        """The log of slurmctld, slurmdbd or a node."""
        return (WORK / "log" / name).read_text("utf-8", errors="replace")

    def states(self) -> dict[str, str]:
        """The state of each node: idle, mixed, drained, down, ..."""
        lines = _output("sinfo", "--noheader", "--Node", "--format", "%N %T").splitlines()
        return dict(line.split() for line in lines)

    # What breaks

    def kill_node(self, node: str) -> None:
        """SIGKILL a node's slurmd; its jobs run on, and the node is down after SlurmdTimeout."""
        _kill(node)

    def start_node(self, node: str) -> None:
        """Start a node's slurmd."""
        start_daemon(node, [*self.inside[node], "slurmd", "-D", "-N", node])

    def kill_controller(self) -> None:
        """SIGKILL the controller. What it learned in its last 5 seconds may be lost, jobs too."""
        _kill("slurmctld")

    def start_controller(self) -> None:
        """Start the controller, which goes on from its saved state."""
        start_daemon("slurmctld", ["slurmctld", "-D"])
        wait_until(_controller_answers, 30, "slurmctld does not answer")

    def kill_accounting(self) -> None:
        """SIGKILL slurmdbd."""
        _kill("slurmdbd")

    def start_accounting(self) -> None:
        """Start slurmdbd, and wait until it answers."""
        start_daemon("slurmdbd", ["slurmdbd", "-D"])
        wait_until(lambda: _succeeds("sacctmgr", "-n", "list", "cluster"), 90, "no slurmdbd")

    def drain(self, node: str) -> None:
        """As an administrator would before maintenance: jobs run on, no new one starts."""
        _output("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=test")

    def undrain(self, node: str) -> None:
        """Give a drained or failed node back to the jobs."""
        _output("scontrol", "update", f"NodeName={node}", "State=RESUME")


@contextlib.contextmanager
def running(
    accounting: bool = False, changes: Mapping[str, object] | None = None, wait: float = 0
) -> Iterator[Cluster]:
    """A cluster for the time of the block; `changes` replaces settings of slurm.conf. If another
    one is up, its end is awaited for `wait` seconds."""
    cluster = start(accounting, changes or {}, owner=os.getpid(), wait=wait)
    try:
        yield cluster
    finally:
        stop()


def start(accounting: bool, changes: Mapping[str, object], owner: int, wait: float = 0) -> Cluster:
    """Start a cluster and wait until its nodes are idle. One that an ended process (`owner`) left
    behind is taken down first; owner 0 keeps it up until `make slurm-down`.

    Raises:
        RuntimeError: none can be started here, or another one is up.
    """
    if reason := missing(accounting):
        raise RuntimeError(reason)
    if _left_behind():
        stop()
    layout = Layout(accounting, namespaces_work())
    _take_lock(wait)
    try:
        return _start_all(layout, changes, owner)
    except BaseException as error:
        error.add_note(_last_words())
        stop()
        raise


def attached() -> Cluster:
    """The cluster that another process has started.

    Raises:
        RuntimeError: none is up.
    """
    try:
        state = json.loads((WORK / "cluster.json").read_text("utf-8"))
    except FileNotFoundError:
        raise RuntimeError("no cluster is up: make slurm-up") from None
    return Cluster(Layout(**state["layout"]), state["inside"])


def stop() -> None:
    """Take the cluster down: jobs, daemons, network, configuration, files, lock."""
    if not WORK.exists():
        return
    text = (WORK / "layout.json").read_text("utf-8") if (WORK / "layout.json").exists() else ""
    layout = Layout(**json.loads(text)) if text else Layout(False, False)
    for node in NODES:
        _end_daemon(node)
    end(leftovers(layout), seconds=2)
    for name in ("slurmctld", "slurmdbd", "mariadbd", "munged"):
        _end_daemon(name)
    end(filter(None, (read_pid(f"holder-{node}") for node in NODES)))
    close_network()
    for name in FILES:
        path = CONFIG / name
        if path.exists() and path.read_text("utf-8").startswith(MARK):
            path.unlink()
    lock = read_pid("lock")
    shutil.rmtree(WORK)
    end([lock] if lock else [])


def _start_all(layout: Layout, changes: Mapping[str, object], owner: int) -> Cluster:
    for folder in ("controller", "log", "shared", *(f"spool-{node}" for node in NODES)):
        (WORK / folder).mkdir()
    WORK.chmod(0o755)
    (WORK / "shared").chmod(0o1777)
    (WORK / "layout.json").write_text(json.dumps(asdict(layout)), "utf-8")
    for number in range(GPUS):
        _make_gpu(WORK / f"gpu{number}")
    _write_config(layout, changes)
    open_network(layout)
    _start_munge()
    if layout.accounting:
        _start_database()
        start_daemon("slurmdbd", ["slurmdbd", "-D"])
        wait_until(lambda: _succeeds("sacctmgr", "-n", "list", "cluster"), 90, "no slurmdbd")
        _output("sacctmgr", "--immediate", "add", "cluster", "tests")
    inside = {node: open_node(node, layout) for node in NODES}
    cluster = Cluster(layout, inside)
    cluster.start_controller()
    for node in NODES:
        cluster.start_node(node)
    wait_until(lambda: set(cluster.states().values()) == {"idle"}, 60, "the nodes are not idle")
    state = {"layout": asdict(layout), "inside": inside, "owner": owner}
    (WORK / "cluster.json").write_text(json.dumps(state), "utf-8")
    return cluster


def _take_lock(seconds: float) -> None:
    """Hold the lock for as long as the cluster is up, which may be longer than this process: a
    process that sleeps inherits it."""
    with LOCK.open("a") as lock:
        try:
            wait_until(lambda: _locked(lock), seconds, "")
        except TimeoutError:
            raise RuntimeError(
                f"another SLURM cluster is up ({LOCK} is locked): make slurm-down"
            ) from None
        if WORK.exists():  # what a cluster left whose machine was switched off
            shutil.rmtree(WORK)
        (WORK / "pids").mkdir(parents=True)
        start_daemon("lock", ["sleep", "infinity"], stdin=lock)


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _left_behind() -> bool:
    try:
        owner = json.loads((WORK / "cluster.json").read_text("utf-8"))["owner"]
    except FileNotFoundError:
        return False
    return owner != 0 and not Path(f"/proc/{owner}").exists()


def _write_config(layout: Layout, changes: Mapping[str, object]) -> None:
    CONFIG.mkdir(exist_ok=True)
    head = socket.gethostname()
    (CONFIG / "slurm.conf").write_text(slurm_conf(layout, head, changes), "utf-8")
    (CONFIG / "gres.conf").write_text(gres_conf(), "utf-8")
    if layout.accounting:
        path = CONFIG / "slurmdbd.conf"
        path.touch(mode=0o600)
        path.write_text(slurmdbd_conf(), "utf-8")


def _start_munge() -> None:
    key = WORK / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    files = {
        "--key-file": key,
        "--socket": WORK / "munge.socket",
        "--pid-file": WORK / "munge.pid",
        "--log-file": WORK / "log" / "munged",
        "--seed-file": WORK / "munge.seed",
    }
    options = [f"{option}={path}" for option, path in files.items()]
    start_daemon("munged", ["munged", "--foreground", "--force", *options])
    wait_until((WORK / "munge.socket").exists, 10, "munged does not start")


def _start_database() -> None:
    folder = WORK / "database"
    common = ["--no-defaults", f"--datadir={folder}", "--user=root"]
    with (WORK / "log" / "mariadb-install").open("w") as log:
        install = ["mariadb-install-db", *common, "--auth-root-authentication-method=normal"]
        subprocess.run([*install, "--skip-test-db"], check=True, stdout=log, stderr=log)
    options = [
        f"--port={DATABASE_PORT}",
        "--bind-address=127.0.0.1",
        f"--socket={WORK}/mariadb.socket",
        "--innodb-buffer-pool-size=64M",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-lock-wait-timeout=900",
    ]
    start_daemon("mariadbd", ["mariadbd", *common, *options])
    wait_until((WORK / "mariadb.socket").exists, 60, "MariaDB does not start")


def _end_daemon(name: str) -> None:
    pid = read_pid(name)
    end([pid] if pid else [])


def _kill(name: str) -> None:
    pid = read_pid(name)
    if pid:
        os.kill(pid, 9)
        end([pid])


def _last_words() -> str:
    """The last line that each daemon printed, for who has to find out why none starts."""
    found = {}
    for path in sorted((WORK / "log").glob("*.out")):
        lines = path.read_text("utf-8", errors="replace").strip().splitlines()
        found[path.stem] = lines[-1] if lines else ""
    return "\n".join(f"{name}: {line}" for name, line in found.items())


def _controller_answers() -> bool:
    return _succeeds("scontrol", "ping")


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _fields(line: str) -> dict[str, str]:
    """`Key=value Key=value`: a value may hold `=`, and the last one spaces."""
    return dict(re.findall(r"(?:^|\s)([A-Za-z:/_]+)=(\S*)", line))
