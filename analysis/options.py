"""Options of the analysis, usable on a score table alone: intervals, margins, fits, figures."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    """The base of the option models: unknown keys are refused, every field is described."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class CurveOptions(Options):
    """What decides the numbers of the tables."""

    interval: float = Field(0.9, gt=0, lt=1)
    """Coverage of every interval."""
    bootstrap_replicates: int = Field(2000, ge=100)
    """Replicates of the bootstrap over items and seeds."""
    bootstrap_seed: int = 0
    """Seed of the bootstrap."""


class FigureOptions(Options):
    """What the figures show; changing it redraws and computes nothing anew."""

    formats: list[Literal["pdf", "png"]] = ["pdf", "png"]
    """File formats of every figure."""
    paper_overlay: bool = False
    """Show the paper's published points beside the curves."""
