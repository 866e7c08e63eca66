"""Stage report: one self-contained HTML page that can be read without the repository.

Reads the table of runs, the responses, judgements and train.json that it names, the tables and
figures, the eval set and the audits.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
import yaml

from instruct_scaling.common.files import atomic_path, sha256_file, write_json
from instruct_scaling.common.provenance import provenance
from instruct_scaling.common.records import read_items
from instruct_scaling.common.seeds import PURPOSES
from instruct_scaling.config.runs import RunRow, read_runs, seed_for
from instruct_scaling.config.section import parse_section
from instruct_scaling.config.study import Study
from instruct_scaling.evaluation.time_outs import items_with_tests
from instruct_scaling.reporting.costs import PHASES, training_figures
from instruct_scaling.reporting.report import runs as run_figures
from instruct_scaling.reporting.report import tables as analysis
from instruct_scaling.reporting.report.audits import read_audit
from instruct_scaling.reporting.report.figures import read_figures
from instruct_scaling.reporting.report.overlap import read_overlap
from instruct_scaling.reporting.report.render import render
from instruct_scaling.reporting.report.samples import items_to_show, samples

log = logging.getLogger(__name__)

HASH_DIGITS = 16


def report(
    study_config: Annotated[str, typer.Option(help="The whole study's config, as JSON.")],
    runs: Annotated[Path, typer.Option(help="The table of runs (runs.csv).")],
    tables: Annotated[Path, typer.Option(help="Folder with curves.csv and further tables.")],
    figures: Annotated[Path, typer.Option(help="Folder with index.json and the figures.")],
    pool_audit: Annotated[list[Path], typer.Option(help="audit.json of a pool; repeatable.")],
    evalset_items: Annotated[Path, typer.Option(help="items.jsonl of the eval set.")],
    evalset_audit: Annotated[Path, typer.Option(help="audit.json of the eval set.")],
    out: Annotated[Path, typer.Option(help="The page to write.")],
    config_out: Annotated[
        Path | None, typer.Option(help="Where the whole config goes, defaults included (JSON).")
    ] = None,
) -> None:
    """Write the report: one HTML file that needs nothing else, not even a network."""
    study = parse_section(Study, study_config, "--study-config")
    rows = read_runs(runs)
    items = read_items(evalset_items)
    order = analysis.study_categories(study.evalset.categories, items.values())
    found = analysis.read_tables(tables)
    context = {
        "study": study,
        "analysis_options": _analysis_options(study),
        "config": {"given": _as_yaml(study, defaults=False), "full": _as_yaml(study)},
        "tables": found,
        "clusters": analysis.cluster_ranges(items.values()),
        "overlap": read_overlap(tables / "subset_overlap.csv"),
        "looks": analysis.look_tables(found),
        "families": analysis.families(found),
        "matched": analysis.matched_axes(found),
        "pools": [read_audit(path, path.parent.name) for path in pool_audit],
        "evalset": read_audit(evalset_audit, "eval set"),
        "eval_items": len(items),
        "categories": order,
        "purposes": PURPOSES,
        **_results(found, order),
        **_runs(study, rows, items, order),
        "scorer_limits": run_figures.scorer_limits(study, order),
    }
    context["figures"], context["omitted"] = read_figures(figures)
    hashed = [*sorted(tables.glob("*.csv")), *tables.glob("scores.parquet"), evalset_items]
    made = [audit["provenance"] for audit in (*context["pools"], context["evalset"])]
    made += context["training"]["provenance"].tolist()
    context["origin"] = _origin(study, made, hashed)
    page = render(context)
    with atomic_path(out) as temporary:
        temporary.write_text(page, "utf-8")
    if config_out is not None:
        write_json(config_out, study.model_dump(mode="json"))
    log.info("%s: %.1f MB", out, len(page.encode()) / 1e6)


def _results(tables: dict[str, pd.DataFrame], order: Sequence[str]) -> dict[str, Any]:
    """Curves, verdicts and differences between arms, and how exact they are."""
    curves = tables["curves"]
    verdicts, comparisons = tables.get("verdicts"), tables.get("comparisons")
    sufficient, decisions = tables.get("sufficient"), tables.get("decisions")
    return {
        "answers": []
        if sufficient is None
        else analysis.answer_tables(sufficient, tables.get("base_comparison"), order),
        "decisions": [] if decisions is None else analysis.rows(decisions),
        "curves": analysis.curve_tables(curves, order),
        "verdicts": [] if verdicts is None else analysis.verdict_tables(verdicts, order),
        "differences": [] if comparisons is None else analysis.arm_differences(comparisons),
        "decimals": analysis.score_decimals(curves),
        "half_width": analysis.half_width(curves),
        "fewest_items": analysis.fewest_items(curves),
    }


def _runs(
    study: Study, rows: Sequence[RunRow], items: dict[str, Any], order: Sequence[str]
) -> dict[str, Any]:
    """What the runs used, how they were judged, and sample answers."""
    arms, judges = list(study.arms), list(study.judges)
    chosen = items_to_show(items.values(), order, len(arms) * (len(study.ladder.values()) + 1))
    survey = run_figures.survey(rows, judges, items, {item.id for item in chosen})
    training = training_figures(rows)
    return {
        "training": training,
        "phases": [phase for phase in (*PHASES, "total") if training[f"seconds_{phase}"].any()],
        "training_totals": run_figures.training_totals(training),
        "usage": run_figures.response_totals(survey.usage),
        "judged": run_figures.judgement_counts(survey.judgements, ["judge"]),
        "no_answers": run_figures.no_answers(survey.judgements),
        "missing_by_category": run_figures.missing_by_category(survey.judgements, order),
        "time_outs": survey.time_outs,
        "unusable_items": survey.unusable_items,
        "items_with_tests": len(items_with_tests(items)),
        "same_process": sum(
            bool((item.checks or {}).get("same_process")) for item in items.values()
        ),
        "samples": samples(chosen, survey.answers, arms),
    }


def _as_yaml(study: Study, *, defaults: bool = True) -> str:
    """The config as YAML, with or without the values that are defaults."""
    value = study.model_dump(mode="json", exclude_defaults=not defaults)
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)


def _analysis_options(study: Study) -> pd.DataFrame:
    """Every option of the analysis with its value and meaning."""
    fields = type(study.analysis).model_fields.items()
    values = study.analysis.model_dump()
    rows = [(name, values[name], field.description) for name, field in fields]
    return pd.DataFrame(rows, columns=["option", "value", "meaning"], dtype=object)


def _origin(study: Study, made: Iterable[Any], hashed: Iterable[Path]) -> dict[str, Any]:
    """Which code, packages and seeds made the page, and hashes of what it was made from.

    Args:
        study: the study.
        made: the `provenance` of other artefacts, compared with the code that writes the page.
        hashed: files whose SHA-256 is printed.
    """
    here = provenance("report", study.model_dump(mode="json"), {})
    seeds = {
        replicate: {purpose: seed_for(study, replicate, purpose) for purpose in PURPOSES}
        for replicate in study.seeds.labels
    }
    hashes = [(path.name, sha256_file(path)[:HASH_DIGITS]) for path in hashed]
    return {
        "here": here,
        "seeds": seeds,
        "hashes": pd.DataFrame(hashes, columns=["file", f"SHA-256 (first {HASH_DIGITS} digits)"]),
        "differences": list(dict.fromkeys(_differences(made, here))),
    }


def _differences(made: Iterable[Any], here: dict[str, Any]) -> Iterator[tuple[str, str, Any, Any]]:
    """(stage, what, version then, version here) where an artefact was made by another version."""
    for document in made:
        if not isinstance(document, dict):
            continue
        stage = document.get("stage", "a stage")
        for key in ("instruct_scaling", "commit", "python"):
            if key in document and document[key] != here[key]:
                yield stage, key, document[key], here[key]
        for package, version in (document.get("packages") or {}).items():
            now = here["packages"].get(package)
            if now is not None and now != version:
                yield stage, package, version, now
