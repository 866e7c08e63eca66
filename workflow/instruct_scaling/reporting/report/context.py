"""What the page shows, as plain values: the templates read these and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

from instruct_scaling.config.study import Study
from instruct_scaling.reporting.report.results import CurveTable, VerdictTable

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table as text: header cells and rows, ready to be shown."""

    columns: list[str]
    rows: list[list[Cell]]
    caption: str = ""
    numeric: frozenset[str] = frozenset()
    """Columns that are set flush right."""
    total_rows: int | None = None
    """Rows of the source, where only the first ones are shown."""
    remark: str = ""
    """What holds for every row."""


@dataclass(frozen=True, slots=True)
class FurtherTable:
    """A table of the tables folder as it is, with the meaning of its columns."""

    name: str
    title: str
    table: Table
    columns: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with the data it was drawn from."""

    name: str
    title: str
    caption: str
    png_base64: str
    width: int
    height: int
    data: Table | None
    csv_base64: str | None


@dataclass(frozen=True, slots=True)
class Omitted:
    """A figure that was not drawn, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """One step of a pool: records left after it and records that it removed."""

    name: str
    removed: int
    kept: int
    share_kept: float
    """Of the records that were read, in [0, 1]."""
    reasons: list[tuple[str, int]]
    """Why records were removed, with counts; reasons that removed nothing are left out."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What went into a pool or an eval set, and what was removed on the way."""

    name: str
    read: int | None
    kept: int | None
    steps: list[FunnelStep]
    examples: Table | None
    """Some of the removed records."""
    tables: list[Table]
    facts: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Score:
    """What a judge made of a response: the mean over its repeats, or the reason for none."""

    judge: str
    value: float | None
    repeats: int
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class SampleResponse:
    """One answer, cut to a length that a page can carry."""

    scale: int
    seed: int
    text: str
    language: str | None
    cut_chars: int
    """Characters left out of `text` here."""
    tokens: int
    finish: str
    scores: list[Score]


@dataclass(frozen=True, slots=True)
class SampleItem:
    """One eval item with the answers of every arm, by increasing scale."""

    id: str
    category: str
    prompt: str
    prompt_language: str | None
    reference: str | None
    reference_language: str | None
    checks: str | None
    answers: dict[str, list[SampleResponse]]


@dataclass(frozen=True, slots=True)
class Samples:
    """The sample responses and what they can be filtered by."""

    items: list[SampleItem]
    categories: list[str]
    arms: list[str]


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that this study did not measure."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class JudgeCheck:
    """How many judgements there are, how many are missing and why, and how repeats agree."""

    missing: Table
    by_category: Table | None
    repeats: FurtherTable | None
    agreement: str
    """What `repeats` can show with these judges, in words."""
    judgements: int
    failed: int


@dataclass(frozen=True, slots=True)
class Costs:
    """Tokens, seconds and hours of tuning, answering and judging."""

    training: Table | None
    responses: Table | None
    judging: Table | None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which code, packages and seeds made the page and what it was made from."""

    facts: list[tuple[str, str]]
    packages: list[tuple[str, str]]
    seeds: Table
    inputs: Table
    differences: list[str]
    """Versions in which artefacts of this study differ from the code that wrote the page."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything on the page. A part that is None or empty is stated as absent."""

    study: Study
    overview: list[tuple[str, str]]
    headlines: list[str]
    verdicts: list[VerdictTable]
    curves: list[CurveTable]
    further: list[FurtherTable]
    figures: list[Figure]
    omitted: list[Omitted]
    method: list[str]
    analysis_options: Table
    pools: list[Audit]
    evalset: Audit
    held_out: str
    """What no run trains on, of each pool; empty if there is nothing."""
    clusters: str
    """How the eval items are grouped; empty if each stands by itself."""
    judge_check: JudgeCheck
    costs: Costs
    samples: Samples
    limits: list[Limit]
    config_yaml: str
    """What the config says beyond the defaults."""
    config_yaml_full: str
    """The same with every default."""
    provenance: Provenance
    level: str
    """Coverage of the intervals, as text: "90%"."""
    decimals: int
    """Of a score."""
