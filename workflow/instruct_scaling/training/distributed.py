"""The ranks of a run as one group: joining it, acting on rank 0 for all, and ending a rank."""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import distributed

from instruct_scaling.common.errors import EXIT_BAD_INPUT, EXIT_RETRY, InputError, Interrupted
from instruct_scaling.training.failures import (
    EXIT_LOST_PEER,
    EXIT_MEMORY,
    lost_peer,
    memory_line,
    out_of_memory,
    write_traceback,
)
from instruct_scaling.training.launch import PARENT_VARIABLE
from instruct_scaling.training.ports import free_port

Result = TypeVar("Result")

# The ranks of a step differ by seconds, those of a checkpoint by how fast each one's disk is.
STEP_TIMEOUT = timedelta(minutes=60)
# Rank 0 hashes and exports alone, which takes hours with a large model.
WAIT_TIMEOUT = timedelta(days=7)

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from malloc.h
# Larger blocks still go straight to the system and back. With 2**30 the heap of a 135 M-parameter
# Llama, whose rows differ in length, grew by another gigabyte; half of a chunk of logits is enough.
LARGEST_BLOCK = 2**26


# A row of a Llama has 15 shapes of products, forward and backward; they come again in every block.
PRIMITIVE_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
KEPT_PRIMITIVES = 32


@dataclass(frozen=True)
class Rank:
    """This process among all of the run, as torchrun's environment variables name it."""

    rank: int
    local_rank: int
    world_size: int

    @classmethod
    def from_environment(cls) -> Rank:
        """RANK, LOCAL_RANK, WORLD_SIZE; also srun's names; a single process by default."""
        get = os.environ.get
        return cls(
            int(get("RANK") or get("SLURM_PROCID") or 0),
            int(get("LOCAL_RANK") or get("SLURM_LOCALID") or 0),
            int(get("WORLD_SIZE") or get("SLURM_NTASKS") or 1),
        )

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files and shows the progress."""
        return self.rank == 0


_waiting: list[Any] = []  # the group in which ranks wait for each other, once it is made


def init_distributed(rank: Rank) -> torch.device:
    """Join the process group, NCCL on GPUs and gloo on CPUs; returns this rank's device.

    A second group, always gloo, serves for waiting: no collective of the first one is under way
    while rank 0 works alone.

    Raises:
        InputError: more ranks than GPUs.
    """
    gpu = torch.cuda.is_available()
    if not gpu:
        # DeepSpeed's Muon calls torch.compile when it is imported, which imports the compiler for
        # a second; on a CPU nothing is compiled.
        os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
    os.environ.setdefault("DS_ACCELERATOR", "cuda" if gpu else "cpu")
    import deepspeed

    # Its shared-memory all-reduce would be compiled on first use (half a minute); gloo is at hand.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.utils.logger.setLevel(logging.WARNING)
    os.environ.setdefault("RANK", str(rank.rank))
    os.environ.setdefault("LOCAL_RANK", str(rank.local_rank))
    os.environ.setdefault("WORLD_SIZE", str(rank.world_size))
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    if rank.world_size == 1:  # nobody else has to know the port
        os.environ.setdefault("MASTER_PORT", str(free_port()))
    device = _device(rank) if gpu else torch.device("cpu")
    deepspeed.init_distributed("nccl" if gpu else "gloo", verbose=False, timeout=STEP_TIMEOUT)
    _waiting[:] = [distributed.new_group(backend="gloo", timeout=WAIT_TIMEOUT)]
    if not gpu:
        keep_freed_memory()
        bound_primitive_cache()
    return device


def _device(rank: Rank) -> torch.device:
    """The GPU of this rank, made the current one."""
    visible = torch.cuda.device_count()
    # SLURM may show each task its own GPU alone.
    index = 0 if visible == 1 and "SLURM_LOCALID" in os.environ else rank.local_rank
    if index >= visible:
        raise InputError(
            f"rank {rank.rank} has no GPU: this machine has {visible}",
            where="--ranks",
            fix="start one rank per GPU (--ranks 0 does)",
        )
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def destroy_process_group() -> None:
    """Leave the process group together."""
    gather(None)
    distributed.destroy_process_group()


def gather(value: Any) -> list[Any]:
    """The value of every rank, on all ranks; those that are early wait without a time-out."""
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value, group=_waiting[0])
    return values


def run_on_rank_zero(action: Callable[[], Result]) -> Result:
    """Run `action` on rank 0 while the others wait; its result (pickled) on all ranks.

    Raises:
        InputError: on all ranks alike, when rank 0 met one or an operating system's error.
        Interrupted: on all ranks alike, when rank 0 was stopped.
    """
    outcome: list[Any] = [None, None]
    if distributed.get_rank() == 0:
        try:
            outcome[0] = action()
        except (InputError, Interrupted) as error:
            outcome[1] = error
        except OSError as error:
            outcome[1] = InputError(
                error.strerror or str(error),
                where=error.filename,
                fix="check that the folder is yours and that its disk has room",
            )
    distributed.broadcast_object_list(outcome, src=0, group=_waiting[0])
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]


@contextmanager
def rank_process(rank: Rank, work: Path = Path()) -> Iterator[None]:
    """Around all that a rank does: once the ranks have met, bad input is reported by rank 0 alone,
    since all ranks find it alike; a rank that has lost another one leaves the report to the
    process that started the ranks, and its traceback in `work`; and the process ends without the
    interpreter's own shut-down.

    During that shut-down a thread of gloo may still hold the last reference to a tensor of a
    finished collective. To drop it, the thread wants Python's lock, which it cannot get any more:
    it is unwound through a C++ destructor, and the process aborts ("terminate called without an
    active exception"). Destroying the group would join these threads, but DeepSpeed's engine
    keeps references to it.
    """
    code = 1
    try:
        yield
        code = 0
    except (InputError, Interrupted) as error:
        code = EXIT_RETRY if isinstance(error, Interrupted) else EXIT_BAD_INPUT
        if rank.is_first or not distributed.is_initialized():
            raise
        raise SystemExit(code) from error
    except Exception as error:
        if out_of_memory(error):
            code = EXIT_MEMORY
            print(memory_line(rank.rank, error), file=sys.stderr)
        elif rank.world_size > 1 and lost_peer(error):
            code = EXIT_LOST_PEER
            path = write_traceback(work, rank.rank, error)
            if PARENT_VARIABLE not in os.environ:  # its parent does not know this code
                print(f"rank {rank.rank}: another rank is gone ({path})", file=sys.stderr)
        else:
            raise
        raise SystemExit(code) from error
    finally:
        atexit.register(_end_process, code)


def _end_process(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def seed_everything(seed: int) -> None:
    """Seed every generator that a library may draw from."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def silence_warnings() -> None:
    """One progress bar is enough, and it is ours."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")
    # The newer name of gradient_checkpointing_enable is missing in some 5.x releases.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")


def bound_primitive_cache() -> None:
    """Let oneDNN and torch's layer above it keep the products of two rows, where the environment
    does not say how many.

    Each keeps 1,024 by default, each product for one shape and with memory of its own; rows of a
    new length at every step then take some 80 MB a step with a base of 134 M parameters. The
    variables are read at the first product.
    """
    for name in PRIMITIVE_CACHES:
        os.environ.setdefault(name, str(KEPT_PRIMITIVES))


def keep_freed_memory() -> None:
    """Keep freed blocks in this process, where the C library is glibc. It hands every large block
    back to the system when a tensor dies and gets it back page by page; on a CPU that took a
    fifth of a step's time."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_BLOCK)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
