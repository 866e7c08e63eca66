"""Which records of its pool a run trains on, how often, and in which phase.

A selection ranks the pool under a seed; scale n takes the first n distinct records. What it reads
of a record is named by `by`: `category`, `language`, `source`, `tag:NAME` or `annotation:NAME`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from instruct_scaling.config.section import Strict, Unordered

By = Annotated[
    str, StringConstraints(pattern=r"^(category|language|source|(tag|annotation):[^\s:]+)$")
]
ANNOTATION = "annotation:"
TAG = "tag:"
SHARE_SUM_TOLERANCE = 1e-6


def _one_of_or(names: tuple[str, ...], kind: type, what: str) -> BeforeValidator:
    """Refuse in one line what is neither one of the names nor a value of the kind."""

    def check(value: Any) -> Any:
        if isinstance(value, kind) or (isinstance(value, str) and value in names):
            return value
        raise ValueError(f"give {', '.join(names)} or {what}")

    return BeforeValidator(check)


def _text(name: Any) -> Any:
    """YAML reads the name of a band, such as 1, as a number."""
    return str(name) if isinstance(name, int) and not isinstance(name, bool) else name


def _names(value: Any) -> Any:
    return [_text(name) for name in value] if isinstance(value, list) else value


def _shares(value: Any) -> Any:
    """Refuse shares that are no shares of one whole."""
    if not isinstance(value, dict):
        return value
    value = {_text(name): share for name, share in value.items()}
    for name, share in value.items():
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
            raise ValueError(f"the share of {name} is {share!r}; a share is above 0 and at most 1")
    total = sum(value.values())
    if abs(total - 1) > SHARE_SUM_TOLERANCE:
        raise ValueError(f"the shares sum to {total:g}, not to 1")
    return value


Shares = Annotated[dict[str, float], BeforeValidator(_shares)]
AnyShares = Annotated[
    Literal["proportional", "equal"] | dict[str, float],
    BeforeValidator(_shares),
    _one_of_or(("proportional", "equal"), dict, "a mapping of values to shares"),
]
Order = Annotated[
    Literal["ascending", "descending", "mixed"] | list[str],
    BeforeValidator(_names),
    _one_of_or(("ascending", "descending", "mixed"), list, "a list of values"),
]


class UniformSelection(Strict):
    """Every record is as likely as any other."""

    type: Literal["uniform"]


class _Labeled(Strict):
    """What is common to selections that read a label of every record."""

    by: By = Field(examples=["annotation:NAME"])
    """Label that is read: `category`, `language`, `source`, `tag:NAME` or `annotation:NAME`."""
    on_missing: Literal["refuse", "exclude"] = "refuse"
    """What a record without the label does: stop with the number of them, or never be drawn."""


class _Banded(_Labeled):
    """What is common to selections by strata: values of a label, or bands of a number."""

    bands: int | None = Field(None, ge=2)
    """Bands of a number, at its quantiles over the pool; they are called 1, 2, ... from the
    lowest on."""
    edges: list[float] | None = Field(None, min_length=1)
    """Bands of a number at stated edges, in place of `bands`; a value at an edge is above it."""
    shares: AnyShares = "proportional"
    """Share of each value or band at every scale: as in the pool (`proportional`), `equal`, or a
    mapping of all of them to shares that sum to 1."""

    @model_validator(mode="after")
    def _one_division(self) -> _Banded:
        if self.bands is not None and self.edges is not None:
            raise ValueError("give `bands` or `edges`, not both")
        if self.edges is not None and self.edges != sorted(set(self.edges)):
            raise ValueError("`edges` must increase")
        if (self.bands or self.edges) and ":" not in self.by:
            raise ValueError(f"{self.by} is no number: it has values, no bands")
        return self


class StratifiedSelection(_Banded):
    """Each value of a label, or band of a number, has a stated share of every scale, exact to
    one record."""

    type: Literal["stratified"]


class StagedSelection(_Banded):
    """Values of a label, or bands of a number, as phases of training in a stated order."""

    type: Literal["staged"]
    order: Order = "ascending"
    """Order of the phases: of the bands' numbers (or of the values by name), `descending`, a list
    of all of them, or `mixed`: the same records in one phase, as the control."""


class MixtureSelection(_Labeled):
    """Stated shares of some sources, languages or other values; the rest of the pool is left
    out."""

    type: Literal["mixture"]
    shares: Shares = Field(min_length=1, examples=[{"NAME": 1.0}])
    """Share of each value; they sum to 1. No record is taken twice: a scale for which a source
    has too few records is refused with the largest one that is possible."""


class WeightedSelection(_Labeled):
    """A record is drawn with a chance in proportion to its weight (Efraimidis and Spirakis
    2006)."""

    type: Literal["weighted"]
    weights: dict[str, Annotated[float, Field(ge=0)]] | None = Field(None, min_length=1)
    """Weight of each value of the label; without it the label is a number and the weight itself.
    A record of weight 0 is never drawn."""


class RankedSelection(_Labeled):
    """The best records by a number; equal ones in the order of the keyed hash."""

    type: Literal["ranked"]
    order: Literal["descending", "ascending"] = "descending"
    """Which end is the best: the largest numbers, or the smallest."""


class DoseSelection(Strict):
    """Some records several times in every pass, the rest uniform and once."""

    type: Literal["dose"]
    times: int = Field(2, ge=1)
    """How often each dosed record occurs in a pass."""
    by: By | None = Field(None, examples=["tag:NAME"])
    """Label that says which records are dosed; null where `ids` says it."""
    values: Annotated[list[str] | None, Unordered] = Field(None, examples=[["VALUE"]])
    """Values of the label that are dosed."""
    at_least: float | None = None
    """Dosed are records whose label is a number of at least this."""
    at_most: float | None = None
    """Dosed are records whose label is a number of at most this."""
    ids: Annotated[list[str] | None, Unordered] = Field(None, min_length=1, max_length=1000)
    """Ids of the dosed records, in place of a label."""
    from_scale: int | None = Field(None, gt=0)
    """Smallest scale that holds the dosed records; smaller ones hold none of them. By default
    every scale holds them all."""

    @model_validator(mode="after")
    def _one_choice(self) -> DoseSelection:
        bounds = self.at_least is not None or self.at_most is not None
        if self.ids is not None and (self.by is not None or self.values is not None or bounds):
            raise ValueError("give `ids`, or `by` with `values` or bounds, not both")
        if self.ids is None and (self.by is None or bounds == (self.values is not None)):
            raise ValueError("give `ids`, `by` with `values`, or `by` with `at_least` or `at_most`")
        if bounds and self.by is not None and ":" not in self.by:
            raise ValueError(f"{self.by} is no number: give `values`")
        return self


Selection = Annotated[
    UniformSelection
    | StratifiedSelection
    | WeightedSelection
    | RankedSelection
    | MixtureSelection
    | StagedSelection
    | DoseSelection,
    Field(discriminator="type"),
]

UNIFORM = UniformSelection(type="uniform")


def label_of(selection: Selection) -> str | None:
    """The label that a selection reads, if it reads any."""
    return getattr(selection, "by", None)


def annotation_name(selection: Selection) -> str | None:
    """Name of the annotation that a selection reads, if it reads one."""
    label = label_of(selection) or ""
    return label.removeprefix(ANNOTATION) if label.startswith(ANNOTATION) else None
