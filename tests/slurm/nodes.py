"""A node's own view of the machine: a network without a route outside, a host name, /tmp, /dev/shm
and /etc/hosts of its own. Everything else is the shared file system of the cluster.

On one plain host ranks that meet at the wrong node find each other all the same, and a socket to
the outside opens; on nodes like these, as on a cluster's, they do not.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.slurm.files import BRIDGE, NODES, WORK, Layout
from tests.slurm.processes import (
    name,
    network,
    parent,
    processes,
    read_pid,
    start_daemon,
    wait_until,
)

HOSTS = Path("/etc/hosts")


def namespaces_work() -> bool:
    """Whether this machine lets us give a node a network and mounts of its own."""
    probe = "ip link add {0} type veth peer name {0}p && ip link del {0}".format("isprobe0")
    command = ["unshare", "--mount", "--net", "--uts", "sh", "-c", f"hostname probe && {probe}"]
    bridge = ["unshare", "--net", "ip", "link", "add", "isprobe1", "type", "bridge"]
    try:
        return all(
            subprocess.run(each, capture_output=True).returncode == 0 for each in (command, bridge)
        )
    except FileNotFoundError:
        return False


def open_network(layout: Layout) -> None:
    """The switch between the nodes and this machine, which is their head."""
    if not layout.namespaces:
        HOSTS.write_text(HOSTS.read_text("utf-8") + layout.hosts(), "utf-8")
        return
    _ip("link", "add", BRIDGE, "type", "bridge")
    _ip("addr", "add", f"{layout.address('head')}/24", "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")


def close_network() -> None:
    """Remove what `open_network` left, whichever layout it was called with."""
    subprocess.run(["ip", "link", "del", BRIDGE], capture_output=True)
    lines = HOSTS.read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if "tests of instruct-scaling" not in line]
    if kept != lines:
        HOSTS.write_text("".join(kept), "utf-8")


def open_node(node: str, layout: Layout) -> list[str]:
    """Make a node's namespaces; returns the words before a command that is to run in them.

    A process that sleeps holds them open, so that a node's slurmd can be killed and started again
    around jobs that run on.
    """
    if not layout.namespaces:
        return []
    own = WORK / f"own-{node}"
    own.mkdir()
    (own / "hosts").write_text("127.0.0.1 localhost\n" + layout.hosts(), "utf-8")
    (own / "tmp").mkdir(mode=0o1777)
    (own / "tmp").chmod(0o1777)
    ready = own / "ready"
    script = (
        f"hostname {node} && mount --make-rprivate / && mount --bind {own}/tmp /tmp"
        f" && mount -t tmpfs tmpfs /dev/shm && mount --bind {own}/hosts /etc/hosts"
        f" && ip link set lo up && touch {ready} && exec sleep infinity"
    )
    namespaces = ["unshare", "--mount", "--net", "--uts", "sh", "-c", script]
    pid = str(start_daemon(f"holder-{node}", namespaces))
    wait_until(ready.exists, 10, f"no namespaces for {node}")
    outside = f"is{node}"
    _ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", pid)
    _ip("link", "set", outside, "master", BRIDGE, "up")
    inside = ["nsenter", "--target", pid, "--mount", "--net", "--uts", f"--wd={WORK}"]
    for words in (
        ["addr", "add", f"{layout.address(node)}/24", "dev", "eth0"],
        ["link", "set", "eth0", "up"],
    ):
        subprocess.run([*inside, "ip", *words], check=True)
    return inside


def leftovers(layout: Layout) -> list[int]:
    """Processes of jobs: all in the nodes' networks, or all below a slurmstepd."""
    if layout.namespaces:
        holders = [read_pid(f"holder-{node}") for node in NODES]
        networks = {network(pid) for pid in holders if pid} - {""}
        return [pid for pid in processes() if network(pid) in networks and pid not in holders]
    parents = {pid: parent(pid) for pid in processes()}
    found = {pid for pid in parents if name(pid) == "slurmstepd"}
    while more := {pid for pid, above in parents.items() if above in found} - found:
        found |= more
    return sorted(found)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
