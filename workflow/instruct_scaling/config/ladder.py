"""The scales: how many records a run sees."""

from __future__ import annotations

from pydantic import Field, model_validator

from instruct_scaling.config.strict import Strict


class Ladder(Strict):
    """Either `start`, `factor` and `count`, or a list of `scales`."""

    start: int | None = Field(None, gt=0)
    """Records at the first scale."""
    factor: float | None = Field(None, gt=1)
    """Each scale is the one before times this."""
    count: int | None = Field(None, gt=0)
    """Number of scales."""
    scales: list[int] | None = Field(None, min_length=1)
    """Explicit record counts, increasing."""
    base: bool = True
    """Also evaluate the untuned base model, as scale 0."""

    @model_validator(mode="after")
    def _one_form(self) -> Ladder:
        geometric = [self.start, self.factor, self.count]
        if self.scales is not None:
            if any(value is not None for value in geometric):
                raise ValueError("give either `scales` or `start`, `factor` and `count`, not both")
            if any(scale <= 0 for scale in self.scales):
                raise ValueError("scales must be above 0 (the base model is `base: true`)")
        elif any(value is None for value in geometric):
            raise ValueError("give `scales`, or all of `start`, `factor` and `count`")
        values = self.values()
        repeated = sorted({value for value in values if values.count(value) > 1})
        if repeated:
            raise ValueError(f"scale {repeated[0]} occurs twice")
        if values != sorted(values):
            raise ValueError("scales must increase")
        return self

    def values(self) -> list[int]:
        """The record counts, without scale 0."""
        if self.scales is not None:
            return list(self.scales)
        assert self.start is not None and self.factor is not None and self.count is not None
        return [round(self.start * self.factor**step) for step in range(self.count)]
