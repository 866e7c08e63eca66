"""Snapshots of every run along its way."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from instruct_scaling.config.strict import Strict


class IntermediateCheckpoints(Strict):
    """Points along the way of every run: the model is kept there, answers and is judged.

    They do not stand for runs of their own at smaller scales: a schedule that ends at the last
    step has not come to its end, and all points of a run share its data order and its noise. They
    stay out of the score table and of every verdict.
    """

    fractions: list[Annotated[float, Field(gt=0, lt=1)]] = []
    """Fractions of the steps, in whole percents, such as 0.25, 0.5 and 0.75. A run keeps the model
    after each; every one answers the whole eval set and costs as many judge calls as a run. To
    add one, the runs have to be trained again; to remove one costs nothing."""

    @field_validator("fractions")
    @classmethod
    def _whole_percents(cls, fractions: list[float]) -> list[float]:
        for fraction in fractions:
            if abs(fraction * 100 - round(fraction * 100)) > 1e-9:
                raise ValueError(f"fractions are whole percents, such as 0.25, not {fraction}")
        if sorted(set(fractions)) != fractions:
            raise ValueError("fractions must increase, and none may occur twice")
        return fractions

    def percents(self) -> list[int]:
        """The fractions in percent, as folders are named after them."""
        return [round(fraction * 100) for fraction in self.fractions]
