"""Where the figures of a training run also go; no result depends on it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from instruct_scaling.config.strict import Strict


class Tracking(Strict):
    """An experiment tracker, beside the TensorBoard events that are always written. It is an
    extra of the installation (`pip install -c envs/constraints.txt -e '.[tracking]'`); keys and
    hosts come from its own environment variables."""

    tool: Literal["wandb"]
    """Which tracker."""
    project: str = Field("instruct-scaling", min_length=1)
    """Project under which the runs appear."""
