"""The ranks of a run over two nodes: where each is, what it sees, and that it computes the same."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster
from tests.training.conftest import Run

ROOT = Path(__file__).parents[2]
TWO_NODES = ("--partition=gpu", "--nodes=2", "--ntasks-per-node=2", "--cpus-per-task=8")
# As Snakemake's plugin leaves the environment of a job with `mpi`.
STRIPPED = "job=$SLURM_JOB_ID; unset ${!SLURM_*} ${!SBATCH_*}; export SLURM_JOB_ID=$job\n"


def submit(
    cluster: Cluster, command: list[str], *options: str, before: str = STRIPPED, threads: int
) -> int:
    """A job that runs a command of this checkout, with this interpreter."""
    variables = {
        "PYTHONPATH": f"{ROOT}/workflow:{ROOT}",
        "OMP_WAIT_POLICY": "PASSIVE",
        "OMP_NUM_THREADS": str(threads),  # Snakemake sets it to the rule's threads
    }
    exported = " ".join(f"{name}={value}" for name, value in variables.items())
    return cluster.submit(f"export {exported}\n{before}{shlex.join(command)} 2>&1", *options)


@pytest.fixture
def shared_inputs(cluster, inputs):
    """A base, a token store and a subset where the nodes see them."""
    folder = cluster.shared / "inputs"
    if not folder.exists():
        shutil.copytree(inputs, folder)
    return folder


def started(cluster: Cluster, ranks: int, before: str = STRIPPED) -> list[dict[str, str]]:
    """What each rank sees, in the order of the ranks, when the launcher starts this program."""
    program = (
        "import os, socket; names = 'SLURM_PROCID SLURM_LOCALID SLURM_NTASKS CUDA_VISIBLE_DEVICES "
        "OMP_NUM_THREADS MKL_NUM_THREADS MASTER_ADDR MASTER_PORT SLURM_CPUS_PER_TASK'; "
        "print('rank', socket.gethostname(), *(os.environ.get(n) for n in names.split()))"
    )
    launcher = (
        "import sys; from instruct_scaling.training import launch; "
        f"launch.PROGRAM = (sys.executable, '-c', {program!r}); launch.launch('srun', [], {ranks})"
    )
    job = submit(
        cluster,
        [sys.executable, "-c", launcher],
        *TWO_NODES,
        "--gres=gpu:2",
        before=before,
        threads=64,
    )
    assert cluster.wait(job)["JobState"] == "COMPLETED", cluster.printed(job)
    names = ["host", "rank", "local", "ranks", "gpus", "threads", "mkl", "address", "port", "cpus"]
    lines = [line.split()[1:] for line in cluster.printed(job).splitlines() if line[:5] == "rank "]
    found = [dict(zip(names, line, strict=True)) for line in lines]
    return sorted(found, key=lambda rank: int(rank["rank"]))


@pytest.mark.parametrize("before", [STRIPPED, "", "srun -n1 "], ids=["mpi", "plain", "wrapped"])
def test_each_rank_has_its_node_its_gpu_and_its_share_of_the_threads(cluster, before):
    ranks = started(cluster, 4, before)
    assert [rank["host"] for rank in ranks] == ["node1", "node1", "node2", "node2"]
    assert [rank["local"] for rank in ranks] == ["0", "1", "0", "1"]
    gpus = [rank["gpus"].split(",")[int(rank["local"])] for rank in ranks]
    assert gpus == ["0", "1", "0", "1"]
    for rank in ranks:
        assert (rank["ranks"], rank["threads"], rank["mkl"], rank["cpus"]) == ("4", "8", "8", "8")
        assert rank["address"] == "node1"
        assert 20_000 <= int(rank["port"]) < 32_000


@pytest.mark.parametrize("stage", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_two_nodes_give_the_losses_of_one_in_every_digit(cluster, shared_inputs, stage):
    runs = []
    for name, launcher, options in (
        ("one", "local", ("--nodes=1", "--cpus-per-task=4")),
        ("two", "srun", ("--nodes=2", "--ntasks-per-node=2", "--cpus-per-task=1")),
    ):
        folder = cluster.shared / f"zero{stage}-{name}"
        run = Run(shared_inputs, folder, {"zero_stage": stage, "epochs": 1}, ranks=4)
        job = submit(cluster, run.command("--launcher", launcher), *options, threads=4)
        assert cluster.wait(job, 240)["JobState"] == "COMPLETED", cluster.printed(job)
        runs.append(run)
    one, two = (run.train for run in runs)
    assert len(one["loss"]["curve"]) == 6
    assert one["loss"] == two["loss"]
    assert runs[0].weights == runs[1].weights
