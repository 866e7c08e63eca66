"""Ranks as one group: rank 0 acts for all, without a time-out; a rank ends without an abort."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress

import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.training.distributed import Rank, gather, run_on_rank_zero
from instruct_scaling.training.launch import rank_environments

WAITING = """
import sys, time, types
from datetime import timedelta
from torch import distributed
from instruct_scaling.training import distributed as ranks

def init_distributed(backend, timeout, **_):
    assert timeout == ranks.STEP_TIMEOUT
    distributed.init_process_group(backend, timeout=timeout)
    distributed.distributed_c10d._set_pg_timeout(timedelta(seconds=1))

sys.modules["deepspeed"] = types.SimpleNamespace(
    ops=types.SimpleNamespace(__compatible_ops__={}),
    utils=types.SimpleNamespace(logger=types.SimpleNamespace(setLevel=print)),
    init_distributed=init_distributed,
)
rank = ranks.Rank.from_environment()
ranks.init_distributed(rank)
assert ranks.run_on_rank_zero(lambda: time.sleep(1.5) or "tokens") == "tokens"
time.sleep(1.5 * rank.is_first)
assert ranks.gather(rank.rank) == [0, 1]
try:
    ranks.run_on_rank_zero(lambda: open("/no/such/folder"))
except ranks.InputError as error:
    print(error)
ranks.destroy_process_group()
"""

ENDINGS = """
import os, sys
from torch import distributed
from instruct_scaling.common.errors import InputError, Interrupted
from instruct_scaling.training.distributed import Rank, rank_process

class Late:
    def __del__(self, write=os.write):  # names are gone by then
        write(1, b"shut down by the interpreter\\n")

def end(rank, error):
    try:
        with rank_process(Rank(rank, rank, 2)):
            if error is not None:
                raise error
        sys.exit(0)
    except InputError as known:  # as the command does
        print(f"error: {known}", file=sys.stderr)
        sys.exit(2)
    except Interrupted as known:
        print(known, file=sys.stderr)
        sys.exit(75)

late = Late()
errors = {"early": InputError("no GPU"), "done": None, "bad": InputError("bad input"),
          "stop": Interrupted("stopped"), "bug": ValueError("a defect")}
for name, error in errors.items():
    distributed.is_initialized = lambda met=name != "early": met
    for rank in (0, 1):
        child = os.fork()
        if child == 0:
            end(rank, error)
        print(name, rank, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
sys.stdout.flush()
os._exit(0)
"""


def test_others_wait_for_rank_0_longer_than_for_a_step():
    """Steps have one second here, rank 0 takes more; an error of the system reaches all ranks."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WAITING],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for environment in rank_environments(2)
    ]
    for process in processes:
        stdout, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr[-3000:]
        assert "/no/such/folder: No such file or directory" in stdout


def test_a_rank_ends_with_its_code_and_without_the_interpreters_shutdown():
    """gloo's threads may abort the process during that shut-down. Rank 0 reports for all."""
    done = subprocess.run([sys.executable, "-c", ENDINGS], capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        *("early 0 2", "early 1 2", "done 0 0", "done 1 0", "bad 0 2", "bad 1 2"),
        *("stop 0 75", "stop 1 75", "bug 0 1", "bug 1 1"),
    ], done.stderr
    assert done.stderr.count("error: no GPU") == 2  # rank 0 may not meet it
    assert done.stderr.count("error: bad input") == 1
    assert done.stderr.count("stopped") == 1
    assert done.stderr.count("ValueError: a defect") == 2


def test_what_rank_0_finds_or_refuses_is_known_to_all(group):
    assert run_on_rank_zero(lambda: {"steps": 3}) == {"steps": 3}
    assert gather("value") == ["value"]

    def refuse():
        raise InputError("wrong", where="here", fix="do this")

    with pytest.raises(InputError, match="here: wrong\n  fix: do this"):
        run_on_rank_zero(refuse)


def test_a_rank_knows_itself_by_torchruns_or_slurms_variables(monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert Rank.from_environment() == Rank(0, 0, 1)
    for name, value in {"PROCID": "5", "LOCALID": "1", "NTASKS": "8"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert Rank.from_environment() == Rank(5, 1, 8)
    for name, value in {"RANK": "3", "LOCAL_RANK": "3", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert Rank.from_environment() == Rank(3, 3, 4)


def test_a_process_alone_needs_no_fixed_port():
    """Two studies on one machine train at a time; a library's default port would be taken."""
    program = (
        WAITING.split("assert ranks.run_on_rank_zero")[0] + "print(distributed.is_initialized())"
    )
    alone = {
        name: value
        for name, value in os.environ.items()
        if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    }
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # taken by another program already: as good
            taken.bind(("", 29500))
            taken.listen()
        done = subprocess.run(
            [sys.executable, "-c", program], env=alone, capture_output=True, text=True, timeout=100
        )
    assert done.stdout.endswith("True\n"), done.stderr


LENGTHS = """
import sys
import torch
from instruct_scaling.training.distributed import bound_primitive_cache

bound_primitive_cache()
torch.set_num_threads(1)
layers = torch.nn.Sequential(torch.nn.Linear(256, 1024), torch.nn.Linear(1024, 256)).bfloat16()

def step(length):
    layers(torch.randn(length, 256).bfloat16().requires_grad_()).sum().backward()

def resident():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024

for length in range(600, 610):
    step(length)
before = resident()
for length in range(300, 500):
    step(length)
print(resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_rows_of_ever_new_lengths_take_no_more_memory():
    """700 MB with the caches' own sizes, and without bound for a model of many layers."""
    names = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
    plain = {key: value for key, value in os.environ.items() if key not in names}
    done = subprocess.run(
        [sys.executable, "-c", LENGTHS], env=plain, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 100  # MB
