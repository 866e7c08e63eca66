"""Read the contract files of a study and arrange them as the page's context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from instruct_scaling.common.categories import CATEGORIES
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import read_json
from instruct_scaling.common.records import EvalItem, read_items
from instruct_scaling.config.study import Study
from instruct_scaling.reporting.report.audits import read_audit
from instruct_scaling.reporting.report.clusters import cluster_counts, clusters_told
from instruct_scaling.reporting.report.context import Audit, Report
from instruct_scaling.reporting.report.costs import costs
from instruct_scaling.reporting.report.curves import (
    CURVE_COLUMNS,
    curve_tables,
    read_table,
    score_decimals,
)
from instruct_scaling.reporting.report.figures import read_figures
from instruct_scaling.reporting.report.further import further_tables
from instruct_scaling.reporting.report.headline import headlines
from instruct_scaling.reporting.report.judging import judge_check
from instruct_scaling.reporting.report.limits import limits
from instruct_scaling.reporting.report.method import analysis_options, held_out, method
from instruct_scaling.reporting.report.origin import origin
from instruct_scaling.reporting.report.results import ArmDifference, CurveTable, VerdictTable
from instruct_scaling.reporting.report.runs import (
    JudgementSurvey,
    ResponseSurvey,
    survey_judgements,
    survey_responses,
)
from instruct_scaling.reporting.report.samples import items_to_show, sample_responses
from instruct_scaling.reporting.report.verdicts import (
    COMPARISON_COLUMNS,
    VERDICT_COLUMNS,
    arm_differences,
    verdict_tables,
)
from instruct_scaling.reporting.report.wording import count, level, listing, plural, scale_name


@dataclass(frozen=True, slots=True)
class Inputs:
    """The files of one study, as its other stages wrote them."""

    tables: Path
    figures: Path
    pool_audits: Sequence[Path]
    evalset_items: Path
    evalset_audit: Path
    responses: Sequence[Path]
    judgements: Sequence[Path]
    train: Sequence[Path]


def collect(study: Study, inputs: Inputs) -> Report:
    """Everything that the page shows.

    Raises:
        InputError: a file that is named is missing or does not keep its contract. Tables that a
            study need not have (all but `curves.csv`) may be absent.
    """
    items = list(read_items(inputs.evalset_items).values())
    order = study_categories(study, items)
    arms, judges = list(study.arms), list(study.judges)
    clusters = clusters_told(cluster_counts(items))
    curves, verdicts = _curves(inputs.tables, order)
    chosen = items_to_show(items, order, len(arms) * (len(study.ladder.values()) + 1))
    shown_ids = {item.id for group in chosen.values() for item in group}
    answered = survey_responses(inputs.responses, shown_ids)
    judged = survey_judgements(
        inputs.judgements,
        {item.id: item.category for item in items},
        {row.id for row in answered.sampled},
    )
    check = judge_check(judged, judges, order, inputs.tables)
    figures, omitted = read_figures(inputs.figures)
    decimals = score_decimals(curves)
    coverage = level(study.analysis.interval)
    pools = [read_audit(path, path.parent.name) for path in inputs.pool_audits]
    train = {str(path): read_json(path) for path in inputs.train}
    audits = {str(p): read_json(p) for p in (*inputs.pool_audits, inputs.evalset_audit)}
    return Report(
        study=study,
        overview=_overview(study, items, order, answered, judged, pools),
        headlines=headlines(curves, verdicts, _differences(inputs.tables), coverage, decimals),
        verdicts=verdicts,
        curves=curves,
        further=further_tables(inputs.tables),
        figures=figures,
        omitted=omitted,
        method=method(study, verdicts, clusters),
        analysis_options=analysis_options(study),
        pools=pools,
        evalset=read_audit(inputs.evalset_audit, "eval set"),
        held_out=held_out(study, "the pool"),
        clusters=clusters,
        judge_check=check,
        costs=costs(train, answered, judged, arms, judges),
        samples=sample_responses(chosen, answered.sampled, judged, arms, judges),
        limits=limits(study, curves, verdicts, check, clusters),
        config_yaml=as_yaml(study, defaults=False),
        config_yaml_full=as_yaml(study, defaults=True),
        provenance=origin(study, {**audits, **train}, _hashed(inputs)),
        level=coverage,
        decimals=decimals,
    )


def study_categories(study: Study, items: Sequence[EvalItem]) -> list[str]:
    """Categories in the order of the study; else the paper's, then others as they occur."""
    present = dict.fromkeys(item.category for item in items)
    order = study.evalset.categories or CATEGORIES
    return [name for name in order if name in present] + [n for n in present if n not in order]


def as_yaml(study: Study, *, defaults: bool) -> str:
    """The config as YAML, with or without the values that are defaults."""
    value = study.model_dump(mode="json", exclude_defaults=not defaults)
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)


def _curves(tables: Path, order: list[str]) -> tuple[list[CurveTable], list[VerdictTable]]:
    path = tables / "curves.csv"
    frame = read_table(path, CURVE_COLUMNS)
    if frame is None:
        raise InputError("no such file", where=path, fix="run the curves stage first")
    verdicts = read_table(tables / "verdicts.csv", VERDICT_COLUMNS)
    return (
        curve_tables(frame, order),
        [] if verdicts is None else verdict_tables(verdicts, order),
    )


def _differences(tables: Path) -> list[ArmDifference]:
    frame = read_table(tables / "comparisons.csv", COMPARISON_COLUMNS)
    return [] if frame is None else arm_differences(frame)


def _overview(
    study: Study,
    items: Sequence[EvalItem],
    order: list[str],
    answered: ResponseSurvey,
    judged: JudgementSurvey,
    pools: Sequence[Audit],
) -> list[tuple[str, str]]:
    """A few counts, as (what, how many)."""
    scales = study.ladder.values()
    shown = [0, *scales] if study.ladder.base else scales
    responses = sum(usage.responses for usage in answered.usage.values())
    return [
        ("arms" if len(study.arms) > 1 else "arm", listing(study.arms)),
        ("records per scale", " · ".join(scale_name(scale) for scale in shown)),
        ("seeds", count(len(study.seeds.replicates))),
        ("pool records", " + ".join(count(pool.kept) for pool in pools)),
        ("eval items", f"{count(len(items))} in {plural(len(order), 'category', 'categories')}"),
        ("responses", count(responses)),
        ("judgements", count(judged.counts.total())),
    ]


def _hashed(inputs: Inputs) -> list[Path]:
    tables = sorted(inputs.tables.glob("*.csv")) + sorted(inputs.tables.glob("scores.parquet"))
    return [*tables, inputs.evalset_items]
