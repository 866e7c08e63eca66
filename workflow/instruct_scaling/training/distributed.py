"""The ranks of a run as one group: joining it, and letting rank 0 act for all."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import distributed

from instruct_scaling.common.errors import InputError
from instruct_scaling.training.job import Rank


def init_distributed(rank: Rank) -> torch.device:
    """Join the process group, NCCL on GPUs and gloo on CPUs; returns this rank's device.

    Raises:
        InputError: more ranks than GPUs.
    """
    gpu = torch.cuda.is_available()
    os.environ.setdefault("DS_ACCELERATOR", "cuda" if gpu else "cpu")
    import deepspeed

    # Its shared-memory all-reduce would be compiled on first use (half a minute); gloo is at hand.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.utils.logger.setLevel(logging.WARNING)
    os.environ.setdefault("RANK", str(rank.rank))
    os.environ.setdefault("LOCAL_RANK", str(rank.local_rank))
    os.environ.setdefault("WORLD_SIZE", str(rank.world_size))
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "29500")
    if not gpu:
        deepspeed.init_distributed("gloo", verbose=False)
        return torch.device("cpu")
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
    deepspeed.init_distributed("nccl", verbose=False)
    return torch.device("cuda", index)


def destroy_process_group() -> None:
    """Leave the process group together."""
    distributed.barrier()
    distributed.destroy_process_group()


def run_on_rank_zero(action: Callable[[], None]) -> None:
    """Run `action` on rank 0 while the others wait.

    Raises:
        InputError: on all ranks alike, when rank 0 met one.
    """
    errors: list[Any] = [None]
    if distributed.get_rank() == 0:
        try:
            action()
        except InputError as error:
            errors = [error]
    distributed.broadcast_object_list(errors, src=0)
    if errors[0] is not None:
        raise errors[0]


def silence_warnings() -> None:
    """One progress bar is enough, and it is ours."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")
    # The newer name of gradient_checkpointing_enable is missing in some 5.x releases.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
