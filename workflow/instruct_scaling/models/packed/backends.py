"""Which attention back-end a model can use on a device, and which of them is taken."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Literal

import torch

from instruct_scaling.common.errors import InputError

Backend = Literal["sdpa", "flash", "varlen", "flex"]
BACKENDS: tuple[Backend, ...] = ("flash", "varlen", "flex", "sdpa")  # the fastest first
GPU_PACKAGES = {"flash": "flash_attn", "varlen": "torch.nn.attention.varlen", "flex": "triton"}
LARGEST_HEAD = 256  # of the kernels of flash-attn and of torch's varlen


@dataclass(frozen=True)
class Needs:
    """What a model asks of its attention.

    Attributes:
        dtype: of its weights.
        head_dim: width of the widest head.
        alibi, softcap, dropout: whether it has ALiBi, a cap on its scores, dropout on its weights.
        deterministic: whether a repeated backward pass must give the same bits.
    """

    dtype: torch.dtype = torch.bfloat16
    head_dim: int = 64
    alibi: bool = False
    softcap: bool = False
    dropout: bool = False
    deterministic: bool = True


def installed(backend: Backend, device: torch.device) -> bool:
    """Whether a back-end can run, forward and backward, on a device."""
    if backend == "sdpa":
        return True
    if device.type != "cuda":
        return False
    return _package_there(GPU_PACKAGES[backend])


def _package_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # a package around it is missing
        return False


def lacks(backend: Backend, needs: Needs) -> str | None:
    """What a back-end cannot give a model; None where it can give all."""
    found = None
    if backend in ("flash", "varlen") and needs.dtype == torch.float32:
        found = "fp32"
    elif backend in ("flash", "varlen") and needs.head_dim > LARGEST_HEAD:
        found = f"heads wider than {LARGEST_HEAD}"
    elif backend == "varlen" and needs.alibi:
        found = "ALiBi"
    elif backend == "varlen" and needs.softcap:
        found = "a cap on scores"
    elif backend in ("varlen", "flex") and needs.dropout:
        found = "dropout on attention weights"
    return found


def choose_backend(
    device: torch.device, forced: str | None = None, needs: Needs | None = None
) -> Backend:
    """The forced back-end, or the first of `BACKENDS` that can run the model on the device.

    varlen has no switch for a deterministic backward pass, so it is not taken by itself where one
    is needed.

    Raises:
        InputError: the forced one is unknown, cannot run here, or lacks what the model needs.
    """
    needs = needs or Needs()
    if forced is None:
        return next(
            backend
            for backend in BACKENDS
            if installed(backend, device)
            and lacks(backend, needs) is None
            and not (backend == "varlen" and needs.deterministic)
        )
    if forced not in BACKENDS:
        raise InputError(
            f"unknown attention back-end {forced!r}", fix=f"choose one of {', '.join(BACKENDS)}"
        )
    if not installed(forced, device):
        raise InputError(
            f"attention back-end {forced!r} cannot run on {device.type} here",
            fix="flash needs a GPU and the package flash-attn, flex a GPU and triton, varlen a GPU "
            "and torch 2.10 or later; use sdpa",
        )
    missing = lacks(forced, needs)
    if missing is not None:
        raise InputError(
            f"attention back-end {forced!r} lacks {missing}, which this model needs",
            where="execution.attention",
            fix="leave it out, and the fastest that has it is taken",
        )
    return forced
