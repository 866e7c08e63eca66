"""The whole config file of one study."""

from __future__ import annotations

from pydantic import Field

from analysis.options import CurveOptions, FigureOptions
from instruct_scaling.common.seeds import PURPOSES, Purpose
from instruct_scaling.config.bases import Base
from instruct_scaling.config.budget import Budget
from instruct_scaling.config.evalset import EvalSet
from instruct_scaling.config.generate import Generate
from instruct_scaling.config.intermediate import IntermediateCheckpoints
from instruct_scaling.config.judges import Judge
from instruct_scaling.config.ladder import Ladder
from instruct_scaling.config.pools import Pool
from instruct_scaling.config.recipe import ByScale, Recipe
from instruct_scaling.config.strict import Name, Strict
from instruct_scaling.config.tracking import Tracking
from instruct_scaling.config.validation import Validation


class Arm(Strict):
    """Everything that is compared at equal scale."""

    base: str
    """One of `bases`."""
    pool: str
    """One of `pools`."""
    template: str = "Human: {prompt}\n\nAssistant: "
    """Text around a prompt, the same in training and in evaluation; `{prompt}` is the
    instruction with its input on the next line. The answer and the end token follow it."""
    recipe: Recipe = Recipe()
    """How the base is tuned."""
    by_scale: ByScale | None = None
    """Learning rate and batch as functions of the scale; null holds them fixed over the ladder."""

    def recipe_at(self, scale: int) -> Recipe:
        """The recipe of the runs at one scale."""
        return self.recipe if self.by_scale is None else self.by_scale.apply(self.recipe, scale)


class Seeds(Strict):
    """Replicates of every run. Five seeds are derived from the study seed, the replicate and
    their own names: subset, order, init, generation, judge."""

    study: int = 0
    """The study seed."""
    replicates: list[int] = Field([1], min_length=1)
    """Labels of the replicates; adding one leaves the others as they are."""
    vary: list[Purpose] = list(PURPOSES)
    """Which of the five differ between replicates; the others are held at the first one's."""


class Study(Strict):
    """One study: one config file, one folder under `results/`."""

    study: Name
    """Name of the study and of its folder under `results/`."""
    pools: dict[Name, Pool] = Field(min_length=1)
    """Instruction data, by name."""
    bases: dict[Name, Base] = Field(min_length=1)
    """Base models, by name."""
    arms: dict[Name, Arm] = Field(min_length=1)
    """What is compared, by name."""
    ladder: Ladder
    """The scales."""
    seeds: Seeds = Seeds()
    """Replicates and what varies between them."""
    validation: Validation = Validation()
    """Records that no run trains on, to measure the loss on."""
    intermediate_checkpoints: IntermediateCheckpoints = IntermediateCheckpoints()
    """Points along the way of every run."""
    evalset: EvalSet
    """What every run is asked."""
    generate: Generate = Generate()
    """How a model answers."""
    judges: dict[Name, Judge] = Field(min_length=1)
    """Who scores the answers, by name."""
    analysis: CurveOptions = CurveOptions()
    """Intervals, margins and fits."""
    figures: FigureOptions = FigureOptions()
    """What the figures show."""
    budget: Budget = Budget()
    """What the plan assumes; no result depends on it."""
    tracking: Tracking | None = None
    """Where the figures of training runs also go; no result depends on it."""
