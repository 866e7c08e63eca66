"""Records that are kept out of every subset, to measure the loss on while training."""

from __future__ import annotations

from pydantic import Field

from instruct_scaling.config.strict import Strict


class Validation(Strict):
    """Records of each pool that no run trains on, and how often the loss on them is measured."""

    records: int = Field(240, ge=0)
    """Records held out of each pool, spread evenly over its categories; 0 turns it off. They
    leave the pool for good: another number draws other subsets and trains every run anew."""
    evaluations: int = Field(4, gt=0)
    """How often along a run, evenly spaced by steps, the last after the last step. The base is
    measured too, before the first one. The weights do not depend on it, but a finished run has
    to be trained again to be measured at other steps."""
