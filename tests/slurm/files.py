"""Where the cluster of the tests keeps its files, and the text of its configuration.

Three nodes of 64 cores, 1 TB and 8 GPUs: what the shipped profiles ask for. None of it exists:
SLURM believes the configuration (`config_overrides`), the GPUs are copies of /dev/null,
and no plugin binds a task to cores. What a job is given is decided as on a real cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CONFIG = Path("/etc/slurm")  # Snakemake's plugin drops SLURM_CONF, so it has to be this folder
MARK = "# Written by the tests of instruct-scaling; `make slurm-down` removes it."
WORK = Path("/var/tmp/instruct-scaling-slurm")
LOCK = Path("/tmp/slurm-cluster.lock")

NODES = ("node1", "node2", "node3")
CORES, MEMORY_MB, GPUS = 64, 1_000_000, 8
BRIDGE, HEAD = "isslurm0", "10.211.73.1"
CONTROLLER_PORT, NODE_PORT, DATABASE_PORT, ACCOUNTING_PORT = 16817, 16820, 16826, 16819


@dataclass(frozen=True)
class Layout:
    """What decides the configuration: accounting or none, and whether each node is in a network
    of its own (else all are 127.0.0.1, with a port each)."""

    accounting: bool
    namespaces: bool

    def address(self, node: str) -> str:
        """The address of a node, or of `head`."""
        if not self.namespaces:
            return "127.0.0.1"
        return HEAD if node == "head" else f"10.211.73.{11 + NODES.index(node)}"

    def hosts(self) -> str:
        """Lines for /etc/hosts of the nodes: ranks meet at a node's name."""
        return "".join(f"{self.address(name)} {name} {MARK}\n" for name in ("head", *NODES))


def slurm_conf(layout: Layout, head: str, changes: Mapping[str, object]) -> str:
    """slurm.conf, with short intervals. `head` is this machine's own name; `changes` replaces
    settings."""
    accounting = (
        {
            "AccountingStorageType": "accounting_storage/slurmdbd",
            "AccountingStorageHost": "127.0.0.1",
            "AccountingStoragePort": ACCOUNTING_PORT,
            "AccountingStoragePass": f"{WORK}/munge.socket",
            "AccountingStorageTRES": "gres/gpu",
        }
        if layout.accounting
        else {"AccountingStorageType": "accounting_storage/none"}
    )
    settings = {
        "ClusterName": "tests",
        "SlurmctldHost": f"{head}({layout.address('head')})",
        "SlurmctldPort": CONTROLLER_PORT,
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={WORK}/munge.socket",
        "StateSaveLocation": f"{WORK}/controller",
        "SlurmctldPidFile": f"{WORK}/slurmctld.pid",
        "SlurmctldLogFile": f"{WORK}/log/slurmctld",
        "SlurmdSpoolDir": f"{WORK}/spool-%n",
        "SlurmdPidFile": f"{WORK}/slurmd-%n.pid",
        "SlurmdLogFile": f"{WORK}/log/%n",
        "SlurmdParameters": "config_overrides",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "SwitchType": "switch/none",
        "MpiDefault": "none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_CPU_Memory",
        "GresTypes": "gpu",
        "JobAcctGatherType": "jobacct_gather/linux",
        "JobAcctGatherFrequency": 5,
        "SchedulerParameters": "batch_sched_delay=0,sched_interval=2,bf_interval=2",
        "ReturnToService": 2,
        "PropagateResourceLimits": "NONE",
        "MinJobAge": 300,  # above three times the first interval of Snakemake's plugin (40 s)
        "InactiveLimit": 60,
        "KillWait": 10,
        "SlurmdTimeout": 20,
        "SlurmctldTimeout": 10,
        "UnkillableStepTimeout": 30,
        "MessageTimeout": 10,
        **accounting,
        **changes,
    }
    lines = [MARK, *(f"{key}={value}" for key, value in settings.items())]
    for number, node in enumerate(NODES):
        port = NODE_PORT if layout.namespaces else NODE_PORT + number
        lines.append(
            f"NodeName={node} NodeHostname={node} NodeAddr={layout.address(node)} Port={port}"
            f" CPUs={CORES} RealMemory={MEMORY_MB} Gres=gpu:{GPUS} State=UNKNOWN"
        )
    nodes = ",".join(NODES)
    lines.append(f"PartitionName=cpu Nodes={nodes} Default=YES MaxTime=INFINITE State=UP")
    lines.append(f"PartitionName=gpu Nodes={nodes} MaxTime=INFINITE State=UP")
    return "\n".join(lines) + "\n"


def gres_conf() -> str:
    """gres.conf: a node's GPUs, each numbered by the last digit of its file."""
    return f"{MARK}\nNodeName={','.join(NODES)} Name=gpu File={WORK}/gpu[0-{GPUS - 1}]\n"


def slurmdbd_conf() -> str:
    """slurmdbd.conf, for a MariaDB that asks for no password and listens on 127.0.0.1 alone."""
    settings = {
        "DbdHost": "localhost",
        "DbdAddr": "127.0.0.1",
        "DbdPort": ACCOUNTING_PORT,
        "SlurmUser": "root",
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={WORK}/munge.socket",
        "LogFile": f"{WORK}/log/slurmdbd",
        "PidFile": f"{WORK}/slurmdbd.pid",
        "StorageType": "accounting_storage/mysql",
        "StorageHost": "127.0.0.1",
        "StoragePort": DATABASE_PORT,
        "StorageUser": "root",
        "StorageLoc": "slurm_acct_db",
    }
    return "\n".join([MARK, *(f"{key}={value}" for key, value in settings.items())]) + "\n"
