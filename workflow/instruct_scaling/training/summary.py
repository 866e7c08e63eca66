"""train.json: what a run saw, what it cost, and from which inputs it came."""

from __future__ import annotations

import os
from typing import Any

import torch

from instruct_scaling.common.files import sha256_file
from instruct_scaling.training.examples import Examples
from instruct_scaling.training.hardware import Costs, peak_memory_bytes
from instruct_scaling.training.job import Job, Rank
from instruct_scaling.training.metrics import Progress
from instruct_scaling.training.model import Tuned
from instruct_scaling.training.order import Order


def train_summary(
    job: Job,
    rank: Rank,
    tuned: Tuned,
    examples: Examples,
    order: Order,
    progress: Progress,
    costs: Costs,
    startup_seconds: float,
    device: torch.device,
) -> dict[str, Any]:
    """The content of train.json but for export and provenance; all ranks call it together."""
    memory: list[Any] = [None] * rank.world_size
    torch.distributed.all_gather_object(memory, peak_memory_bytes())
    weights = job.base / "model.safetensors"
    return {
        "base": {
            "name": _base_name(job),
            "weights_sha256": sha256_file(weights) if weights.exists() else None,
        },
        "data": {
            "subset_sha256": sha256_file(job.subset),
            "examples": len(examples),
            "tokens": examples.counts.tokens,
            "supervised_tokens": examples.counts.supervised_tokens,
            "longest_example_tokens": examples.counts.longest,
            "prompts_cut": examples.counts.prompts_cut,
            "answers_cut": examples.counts.answers_cut,
        },
        "steps": progress.step,
        "skipped_steps": progress.skipped,
        "epochs": order.epochs,
        "examples_seen": progress.examples,
        "tokens": {"total": progress.tokens, "supervised": progress.supervised},
        "loss": progress.summary(),
        "parameters": {"total": tuned.parameters, "trainable": tuned.trainable},
        "seconds": {
            "training": progress.seconds,
            "startup": startup_seconds,
            "validation": progress.validation_seconds,
        },
        "tokens_per_second": progress.tokens / progress.seconds,
        "peak_memory_bytes": {"per_rank": memory, "sum": sum(memory)},
        "execution": {
            "ranks": rank.world_size,
            "device": _device_name(device),
            "threads_per_rank": torch.get_num_threads(),
            "rows": progress.rows,
            "attention": tuned.attention,
            "starts": progress.starts,
        },
        **_cost(rank, progress, costs, device),
    }


def _cost(rank: Rank, progress: Progress, costs: Costs, device: torch.device) -> dict[str, Any]:
    """FLOPs, MFU and device hours; MFU is null, with the reason, where no peak is known."""
    hours = progress.seconds * rank.world_size / 3600
    gpu = device.type == "cuda"
    if costs.peak is None:
        note = f"no bf16 peak is known for {_device_name(device)}"
    else:
        note = f"of {costs.peak / 1e12:g} TFLOP/s dense bf16; head counted on supervised tokens"
    return {
        "training_flops": costs.flops(progress),
        "mfu": costs.mfu(progress, rank.world_size),
        "mfu_note": note,
        "gpu_hours": hours if gpu else None,
        "cpu_core_hours": None if gpu else hours * torch.get_num_threads(),
    }


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({os.cpu_count()} cores)"


def _base_name(job: Job) -> str:
    base = job.identity.get("base")
    return base if isinstance(base, str) else job.base.name
