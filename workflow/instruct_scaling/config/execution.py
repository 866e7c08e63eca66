"""How training is carried out: nothing here changes a result."""

from __future__ import annotations

from typing import Literal

from instruct_scaling.config.identity import execution_field
from instruct_scaling.config.section import Strict


class Execution(Strict):
    """Options of fine-tuning that change no result but the last bits of a sum. An edit trains
    nothing again, and a run that was interrupted goes on under other values."""

    row_tokens: int | None = execution_field(None, gt=0)
    """Token budget of a packed row; null decides by memory."""
    attention: Literal["sdpa", "flash", "varlen", "flex"] | None = execution_field(None)
    """Attention back-end; null takes the first of flash, varlen, flex and sdpa that is installed,
    has what the base needs, and can be deterministic where that is asked for (varlen cannot)."""
    deterministic: bool = execution_field(True)
    """Attention on a GPU gives the same bits in every backward pass, so that a run repeats bit by
    bit. False lets flash-attn add in any order and allows varlen; nobody measured here what that
    saves."""
    checkpointing: bool | None = execution_field(None)
    """Recompute activations in the backward pass; null decides by memory."""
    save_minutes: float = execution_field(10.0, gt=0)
    """Minutes between checkpoints."""
    save_steps: int | None = execution_field(None, gt=0)
    """Also write a checkpoint after every so many optimizer steps."""
