"""Command line of the report stage."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path
from typing import Annotated

import typer

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path
from instruct_scaling.config.section import parse_section
from instruct_scaling.config.study import Study
from instruct_scaling.reporting.report.collect import Inputs, collect
from instruct_scaling.reporting.report.render import render

log = logging.getLogger(__name__)

_MANY = (
    "Paths separated by blanks (quoted as in a shell), or @FILE with one path a line; repeatable."
)


def report(
    study_config: Annotated[str, typer.Option(help="The whole study's config, as JSON.")],
    tables: Annotated[Path, typer.Option(help="Folder with curves.csv and further tables.")],
    figures: Annotated[Path, typer.Option(help="Folder with index.json and the figures.")],
    evalset_items: Annotated[Path, typer.Option(help="items.jsonl of the eval set.")],
    evalset_audit: Annotated[Path, typer.Option(help="audit.json of the eval set.")],
    out: Annotated[Path, typer.Option(help="The page to write.")],
    pool_audits: Annotated[list[str], typer.Option(help=f"audit.json of each pool. {_MANY}")],
    responses: Annotated[list[str], typer.Option(help=f"responses.jsonl of each run. {_MANY}")],
    judgements: Annotated[list[str], typer.Option(help=f"Judgements of each run. {_MANY}")],
    train: Annotated[
        list[str] | None, typer.Option(help=f"train.json of each run. {_MANY}")
    ] = None,
) -> None:
    """Write the report: one HTML file that needs nothing else, not even a network."""
    study = parse_section(Study, study_config, "--study-config")
    inputs = Inputs(
        tables=tables,
        figures=figures,
        pool_audits=expand_paths(pool_audits),
        evalset_items=evalset_items,
        evalset_audit=evalset_audit,
        responses=expand_paths(responses),
        judgements=expand_paths(judgements),
        train=expand_paths(train or []),
    )
    page = render(collect(study, inputs))
    with atomic_path(out) as temporary:
        temporary.write_text(page, "utf-8")
    log.info("%s: %.1f MB", out, len(page.encode()) / 1e6)


def expand_paths(values: list[str]) -> list[Path]:
    """The paths that a repeatable option stands for; `@FILE` names a file with one path a line.

    Raises:
        InputError: a list file is missing, or quotes are not closed.
    """
    paths: list[Path] = []
    for value in values:
        if value.startswith("@"):
            paths += _listed(Path(value[1:]))
            continue
        try:
            paths += [Path(part) for part in shlex.split(value)]
        except ValueError as error:
            raise InputError(f"not a list of paths: {error}", where=value) from error
    return paths


def _listed(path: Path) -> list[Path]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError as error:
        raise InputError("no such file", where=path) from error
    return [Path(line.strip()) for line in lines if line.strip()]
