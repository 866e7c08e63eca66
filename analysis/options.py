"""Options of the analysis, usable on a score table alone: intervals, margins, fits, figures."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from analysis.errors import InputError, unknown_option

Family = Literal["saturating power law", "logit-linear", "rectified power law"]
Axis = Literal["records", "examples", "tokens", "supervised_tokens", "steps", "training_flops"]
Share = Annotated[float, Field(ge=0, le=1)]


class Options(BaseModel):
    """The base of the option models: unknown keys are refused, every field is described."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


Model = TypeVar("Model", bound=Options)


def options_from_json(model: type[Model], text: str) -> Model:
    """The options that a JSON object states; those it leaves out have their defaults.

    Raises:
        InputError: not JSON, an unknown key, or a value out of range.
    """
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "JSON"
        if first["type"] == "extra_forbidden":
            raise unknown_option(key, model.model_fields, "--options") from error
        fix = None
        if first["type"] == "json_invalid":
            fix = """give a JSON object, such as '{"tail_margin": 0.01}'"""
        raise InputError(f"{key}: {first['msg']}", where="--options", fix=fix) from error


class PrimaryFamily(Options):
    """The claims that a study is about, declared before its results are seen. They are corrected
    by Holm's method; all others are exploratory (Benjamini-Hochberg) and labeled so."""

    judges: list[str] | None = Field(None, min_length=1)
    """Judges whose verdicts are primary. Default: the first one."""
    arms: list[str] | None = Field(None, min_length=1)
    """Arms whose verdicts are primary. Default: all; each is a family of its own."""
    categories: list[str] | None = Field(None, min_length=1)
    """Categories whose verdicts are primary, `overall` among them if it is to be. Default: all of
    them, and overall."""


class Looks(Options):
    """How the level of claims is shared over looks at a study that is extended by seeds."""

    spending: Literal["none", "obrien_fleming", "pocock"] = "none"
    """Spending function of Lan and DeMets (1983): `obrien_fleming` spends little at first,
    `pocock` about the same at each look. `none` makes every look at the full level; the looks
    taken are then reported with what they do to the error."""
    planned: int | None = Field(None, ge=2)
    """Seeds at the last look, planned before the first one; needed to spend."""

    @model_validator(mode="after")
    def _planned_to_spend(self) -> Looks:
        if self.spending != "none" and self.planned is None:
            raise ValueError("spending needs `planned`: the number of seeds at the last look")
        return self


class CurveOptions(Options):
    """What decides the numbers of the tables."""

    interval: float = Field(0.9, gt=0, lt=1)
    """Coverage of every interval. A one-sided claim is made at level (1 - interval) / 2."""
    draw_seed: int = 0
    """Seed of the draws behind fits, extrapolations and ratios of data."""
    tail_margin: float = Field(0.02, gt=0, lt=1)
    """A tail slope per doubling within plus or minus this counts as no change."""
    range_margin: float = Field(0.04, gt=0, lt=1)
    """A curve whose means all lie within this of each other counts as flat."""
    sufficient_margin: float = Field(0.04, gt=0, lt=1)
    """A scale is sufficient where the largest one gains less than this over it."""
    corrected: Literal["directional", "all"] = "directional"
    """Claims that are corrected together over the categories: those with a direction (the tail
    rises, a drop, a rise before the tail), or all, the equivalence claims (flat, plateaued) too."""
    primary: PrimaryFamily = PrimaryFamily()
    """The claims that the study is about; all others are exploratory."""
    looks: Looks = Looks()
    """Correction for looks at the results before the last seed."""
    run_sd: float | None = Field(None, gt=0, lt=1)
    """Standard deviation of a category's mean over training runs, known from elsewhere; used
    only where the table holds one seed."""
    missing_limit: Share = 0.05
    """Above this share of missing scores at a scale no verdict is given, only bounds."""
    right_from: float = Field(0.5, gt=0, le=1)
    """A score of at least this counts as right, for negative flips."""
    families: list[Family] = ["saturating power law", "logit-linear", "rectified power law"]
    """Families of curves to fit. Each needs two scales more than it has parameters; the rectified
    power law counts the untuned base as one."""
    misfit_level: float = Field(0.05, gt=0, lt=1)
    """A family whose misfit test has a p value below this is dropped."""
    fit_draws: int = Field(400, ge=50)
    """Refits per family behind the interval of a fit."""
    extrapolate: float = Field(4.0, ge=1, le=10)
    """Curves are drawn up to this multiple of the largest scale, never beyond ten times."""
    targets: list[Share] = []
    """Scores to estimate the needed records of. Empty: .02 and .05 above the last scale."""
    sizes: dict[str, float] = {}
    """Base model size (parameters) of each arm, for a joint law in data and size."""
    by_tag: list[str] = []
    """Tags of the items, such as `language`, by whose values curves are drawn apart
    (`curves_by_tag`, with a claim on each in `claims_by_tag`): exploratory, without verdicts."""
    power: float = Field(0.8, gt=0.5, lt=1)
    """Power that "detectable" and "needed" stand for."""
    plan_items: list[int] = [50, 100, 200, 400, 800]
    """Items per category that the plan table goes through."""
    plan_seeds: list[int] = [1, 2, 3, 5, 8]
    """Seeds that the plan table goes through."""
    plan_answers: list[Annotated[int, Field(ge=1)]] = [1]
    """Answers of a run to each item that the plan table goes through. More than 1 needs
    `answer_sd`."""
    plan_repeats: list[Annotated[int, Field(ge=1)]] = []
    """Judgements of each answer that the plan table goes through; empty: as many as the table has.
    What more of them bring is known where the table has repeats."""
    answer_sd: float | None = Field(None, gt=0, lt=1)
    """Standard deviation of the score between answers of one run to one item, known from
    elsewhere: the part of the noise that more answers average out."""

    @property
    def level(self) -> float:
        """Level of a one-sided test."""
        return (1 - self.interval) / 2


class FigureOptions(Options):
    """What the figures show; changing it redraws and computes nothing again."""

    formats: list[Literal["pdf", "png", "svg"]] = Field(["pdf", "png"], min_length=1)
    """File formats of every figure."""
    width: Literal["page", "column"] = "page"
    """Width of the figures in print: page is 7.0 inches, column is 3.3 inches."""
    dpi: int = Field(200, ge=72, le=600)
    """Resolution of PNG files in dots per inch."""
    whiskers: bool = True
    """Show the intervals on the bars of figure 1."""
    paper_overlay: bool = False
    """Show the paper's published points beside the curves."""
    axes: list[Axis] = Field(["records", "tokens", "training_flops"], min_length=1)
    """What overall scores are drawn against, a panel each (figure 13)."""
    captions: bool = True
    """Print items, seeds, interval level and margins below every figure."""
