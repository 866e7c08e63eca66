"""How a model answers."""

from __future__ import annotations

from pydantic import Field

from instruct_scaling.config.strict import Strict


class Generate(Strict):
    """Generation settings, the same for every run and for the base."""

    max_new_tokens: int = Field(512, gt=0)
    """Longest answer in tokens; a longer one is cut and marked `length`."""
    temperature: float = Field(0.0, ge=0)
    """0 is greedy decoding; the base is then asked once, whatever the number of seeds."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus sampling (only with a temperature above 0)."""
    batch_size: int = Field(32, gt=0)
    """Prompts per forward pass; it also fixes which prompts share a random state."""
