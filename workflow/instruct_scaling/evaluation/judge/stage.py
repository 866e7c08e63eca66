"""Stage judge: one judge scores the responses of one run.

Reads `items.jsonl` and `responses.jsonl`; writes one `records.Judgement` a line, in the order of
the responses and of the repeats, and `NAME.provenance.json` beside it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from instruct_scaling.common.files import sha256_file, write_json, write_jsonl
from instruct_scaling.common.provenance import provenance
from instruct_scaling.common.records import read_items, read_responses
from instruct_scaling.config.identity import execution_keys
from instruct_scaling.config.judges import Judge, LlmJudge, MetricJudge
from instruct_scaling.config.section import add_execution, parse_section


def judge(
    judge: Annotated[str, typer.Option(help="The judge's config section as JSON.")],
    name: Annotated[str, typer.Option(help="Name of the judge.")],
    items: Annotated[Path, typer.Option(help="Eval items (items.jsonl).")],
    responses: Annotated[Path, typer.Option(help="Responses of one run (responses.jsonl).")],
    seed: Annotated[int, typer.Option(help="Judge seed.")],
    work: Annotated[Path, typer.Option(help="Folder of judgements so far, to continue from.")],
    out: Annotated[Path, typer.Option(help="Judgements to write (judgements/NAME.jsonl).")],
    execution: Annotated[
        str, typer.Option(help="Keys of the section that change no result, as JSON.")
    ] = "{}",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Programs at a time (default: one for each core).")
    ] = None,
) -> None:
    """Judge the responses of one run."""
    section: MetricJudge | LlmJudge = parse_section(Judge, judge, "--judge")
    section = add_execution(section, execution)
    questions = read_items(items)
    answers = read_responses(responses, questions)
    inputs = {"items": sha256_file(items), "responses": sha256_file(responses)}
    decisive = section.model_dump(mode="json", exclude=execution_keys(section))
    identity = {"judge": decisive, "name": name, "seed": seed}
    details: dict[str, object] = {}
    if isinstance(section, MetricJudge):
        from instruct_scaling.evaluation.judge import metric

        references = items.with_name(".references.jsonl")
        judgements, programs = metric.judge_all(
            section, name, questions, answers, workers, work, references
        )
        details["programs"] = programs
    else:
        from instruct_scaling.evaluation.judge import llm
        from instruct_scaling.evaluation.judge.endpoint import Endpoint

        endpoint = Endpoint.from_environment(section)
        judgements = llm.judge_all(section, name, questions, answers, seed, work, endpoint)
    details["judge_version"] = judgements[0].judge_version
    write_jsonl(out, [judgement.to_row() for judgement in judgements])
    if isinstance(section, MetricJudge):  # cheap, so that an explicit second run judges again
        shutil.rmtree(work, ignore_errors=True)
    sidecar = out.with_name(f"{out.stem}.provenance.json")
    write_json(sidecar, provenance("judge", identity, inputs) | details)
