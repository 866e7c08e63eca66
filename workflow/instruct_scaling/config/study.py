"""The whole config file of one study: arms, scales, seeds, and the sections of other modules."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from analysis.options import CurveOptions, FigureOptions
from instruct_scaling.common.seeds import PURPOSES, Purpose
from instruct_scaling.config.bases import Base
from instruct_scaling.config.evaluation import (
    EvalSet,
    Generate,
    IntermediateCheckpoints,
    Validation,
)
from instruct_scaling.config.execution import Execution
from instruct_scaling.config.identity import execution_field
from instruct_scaling.config.judges import Judge
from instruct_scaling.config.pools import Pool
from instruct_scaling.config.recipe import ByScale, Recipe
from instruct_scaling.config.section import Name, Strict, Unordered
from instruct_scaling.config.selection import UNIFORM, Selection


class Arm(Strict):
    """Everything that is compared at equal scale."""

    base: str = Field(examples=["NAME"])
    """One of `bases`."""
    pool: str = Field(examples=["NAME"])
    """One of `pools`."""
    template: str = "Human: {prompt}\n\nAssistant: "
    """Text around a prompt, the same in training and in evaluation; `{prompt}` is the
    instruction with its input on the next line. The answer and the end token follow it, then the
    next turn of a conversation in the same way; a system message stands on the line before the
    first prompt. Or the word `chat`: the chat template that the base's tokenizer brings."""
    recipe: Recipe = Recipe()
    """How the base is tuned."""
    selection: Selection = UNIFORM
    """Which records of the pool a run trains on, how often, and in which phase."""
    by_scale: ByScale | None = None
    """Learning rate and batch as functions of the scale; null holds them fixed over the ladder."""

    def inactive(self) -> set[str]:
        """Exponents of 0 hold everything fixed."""
        law = self.by_scale
        fixed = law is not None and law.learning_rate_exponent == law.batch_exponent == 0
        return {"by_scale"} if fixed else set()

    def recipe_at(self, scale: int) -> Recipe:
        """The recipe of the runs at one scale."""
        return self.recipe if self.by_scale is None else self.by_scale.apply(self.recipe, scale)


class Ladder(Strict):
    """Either `start`, `factor` and `count`, or a list of `scales`."""

    start: int | None = Field(None, gt=0, examples=[100])
    """Records at the first scale."""
    factor: float | None = Field(None, gt=1, examples=[2])
    """Each scale is the one before times this."""
    count: int | None = Field(None, gt=0, examples=[5])
    """Number of scales."""
    scales: list[int] | None = Field(None, min_length=1)
    """Explicit record counts, increasing."""
    base: bool = True
    """Also evaluate the untuned base model, as scale 0."""
    few_shot: int = Field(0, ge=0)
    """Also let the untuned base answer with this many solved examples before each question, to
    show what tuning adds over prompting. The examples are validation records of the arm's pool,
    for each question those of its category and language first. 0 turns it off."""

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


class Crossed(Strict):
    """Every subset seed with every training seed: one run of each pair at every scale. They are
    labeled 1, 2, ... in this order: the first subset seed with each training seed, the second
    one, and so on. So a subset seed may be added at the end without training the others again."""

    subset: list[int] = Field(min_length=2, examples=[[1, 2, 3]])
    """Labels of the seeds that draw subsets."""
    training: list[int] = Field(min_length=2, examples=[[1, 2]])
    """Labels of the seeds of everything else: order, init, generation, judge."""


class Seeds(Strict):
    """Replicates of every run. Five seeds are derived from the study seed, the replicate and
    their own names: subset, order, init, generation, judge."""

    study: int = 0
    """The study seed."""
    replicates: list[int] = Field([1], min_length=1)
    """Labels of the replicates; adding one leaves the others as they are."""
    vary: Annotated[list[Purpose], Unordered] = sorted(PURPOSES)
    """Which of the five differ between replicates; the others are held at the first one's."""
    crossed: Crossed | None = None
    """In place of `replicates` and `vary`: subset seeds crossed with training seeds, so that the
    variance of each can be told apart (seed_variance.csv)."""

    @model_validator(mode="after")
    def _one_form(self) -> Seeds:
        if self.crossed is not None and (self.replicates != [1] or self.vary != sorted(PURPOSES)):
            raise ValueError("`crossed` takes the place of `replicates` and `vary`; remove them")
        return self

    @property
    def labels(self) -> list[int]:
        """Labels of the runs of one arm and scale."""
        if self.crossed is None:
            return list(self.replicates)
        return list(range(1, len(self.crossed.subset) * len(self.crossed.training) + 1))

    def pair(self, label: int) -> tuple[int, int]:
        """Labels of the subset seed and of the training seed of a run.

        Training counts as held where all of its purposes are.
        """
        if self.crossed is not None:
            row, column = divmod(label - 1, len(self.crossed.training))
            return self.crossed.subset[row], self.crossed.training[column]
        first = self.replicates[0]
        trains = any(purpose != "subset" for purpose in self.vary)
        return label if "subset" in self.vary else first, label if trains else first


class Budget(Strict):
    """Assumptions of the plan that `snakemake -n` prints."""

    tokens_per_example: float = Field(250, gt=0)
    """Mean tokens of a prompt with its answer."""
    eval_items: int | None = Field(None, gt=0)
    """Items of the eval set, where they cannot be counted yet."""
    tokens_per_response: float = Field(200, gt=0)
    """Mean tokens of a generated answer."""
    tokens_per_judge_prompt: float = Field(700, gt=0)
    """Mean tokens of a rubric with question, reference and answer."""
    tokens_per_judgement: float = Field(100, gt=0)
    """Mean tokens that an LLM judge writes."""
    device_peak_tflops: float = Field(312, gt=0)
    """Peak of the training device in the recipe's precision (312: A100 in bf16)."""
    mfu: float = Field(0.4, gt=0, le=1)
    """Share of that peak that training reaches (model FLOPs utilization)."""
    dollars_per_device_hour: float | None = Field(None, ge=0)
    """Price of a device; no money is shown without it."""


Models = Literal["keep", "last", "none"]


class Tracking(Strict):
    """Weights & Biases, beside the TensorBoard events that are always written. It is an extra of
    the installation (`pip install -c envs/constraints.txt -e '.[tracking]'`); its key and host
    come from its own environment variables."""

    tool: Literal["wandb"]
    project: str = Field("instruct-scaling", min_length=1)
    """Project under which the runs appear."""


class Study(Strict):
    """One study: one config file, one folder under `results/`."""

    study: Name = Field(examples=["NAME"])
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
    """Models of every run before its last step."""
    evalset: EvalSet
    """The questions that every run answers."""
    generate: Generate = Generate()
    """How a model generates its responses."""
    judges: dict[Name, Judge] = Field(min_length=1)
    """What scores the responses, by name."""
    analysis: CurveOptions = CurveOptions()
    """Intervals, margins and fits."""
    figures: FigureOptions = FigureOptions()
    """What the figures show."""
    budget: Budget = Budget()
    """What the plan assumes; no result depends on it."""
    execution: Execution = Execution()
    """How fine-tuning is carried out; no result depends on it."""
    tracking: Tracking | None = None
    """Where the figures of training runs also go; no result depends on it."""
    models: Models = execution_field("keep")
    """Which tuned models stay on the disk once they have answered: `keep` all, `last` those of the
    largest scale, `none`. Intermediate checkpoints stay under `keep` alone. A model that is needed
    again later, for new eval items say, is trained again; the plan states the cost first."""
