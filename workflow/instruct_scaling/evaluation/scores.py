"""Stage scores: all judgements of a study in one table.

Reads the eval items, the responses of every run and the judgements of every run and judge; writes
`scores.parquet`, the same rows as `scores.csv`, and `scores.json` (counts by status, missing ones
by reason, provenance). One row is one judgement; a score is empty where it is missing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path, sha256_file, write_json
from instruct_scaling.common.provenance import provenance
from instruct_scaling.common.records import (
    EvalItem,
    Judgement,
    Response,
    read_items,
    read_responses,
    read_rows,
)

SCHEMA = pa.schema(
    [
        pa.field("study", pa.string(), nullable=False),
        pa.field("arm", pa.string(), nullable=False),
        pa.field("scale", pa.int64(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("category", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("cluster", pa.string()),
        pa.field("response", pa.string(), nullable=False),
        pa.field("judge", pa.string(), nullable=False),
        pa.field("judge_version", pa.string(), nullable=False),
        pa.field("repeat", pa.int64(), nullable=False),
        pa.field("score", pa.float64()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("tokens", pa.int64()),
        pa.field("cost", pa.float64()),
    ]
)

Run = tuple[str, int, int]  # arm, scale, seed label


@dataclass(frozen=True, slots=True)
class Answer:
    """A response without its text, and the file it stands in."""

    item: str
    run: Run
    path: Path


def expand(paths: Sequence[str]) -> list[Path]:
    """Paths, where `@FILE` stands for those that FILE lists, one a line.

    Raises:
        InputError: a list cannot be read, or there are no paths.
    """
    found: list[Path] = []
    for path in paths:
        if not path.startswith("@"):
            found.append(Path(path))
            continue
        try:
            lines = Path(path[1:]).read_text("utf-8").splitlines()
        except OSError as error:
            raise InputError(f"no list of files ({error.strerror})", where=path[1:]) from error
        found.extend(Path(line.strip()) for line in lines if line.strip())
    if not found:
        raise InputError("no files given", fix="name them, or a list of them as @FILE")
    return found


def read_answers(paths: Sequence[Path], items: Mapping[str, EvalItem]) -> dict[str, Answer]:
    """The responses of all runs, by response id.

    Raises:
        InputError: a file with responses of two runs, a run in two files, a run that does not
            answer every item, or one that answers others than the eval set's.
    """
    answers: dict[str, Answer] = {}
    runs: dict[Run, Path] = {}
    for path in paths:
        responses = read_responses(path, dict(items))
        run = _run_of(responses, path)
        if run in runs:
            raise InputError(f"{_name(run)} has its responses in {runs[run]} too", where=path)
        runs[run] = path
        lacking = items.keys() - {response.item for response in responses}
        if lacking:
            raise InputError(
                f"{_name(run)} lacks an answer to {len(lacking)} of {len(items)} items, "
                f"for instance {min(lacking)}",
                where=path,
                fix="remove the file and run the study again: every run answers the same items",
            )
        for response in responses:
            if response.id in answers:
                raise InputError(
                    f"response {response.id} is in {answers[response.id].path} too", where=path
                )
            answers[response.id] = Answer(response.item, run, path)
    return answers


def _run_of(responses: Sequence[Response], path: Path) -> Run:
    runs = sorted({(row.arm, row.scale, row.seed) for row in responses})
    if len(runs) > 1:
        raise InputError(f"holds {_name(runs[0])} and {_name(runs[1])}", where=path)
    return runs[0]


def _name(run: Run) -> str:
    return f"arm {run[0]}, scale {run[1]}, seed {run[2]}"


def make_rows(
    study: str,
    items: Mapping[str, EvalItem],
    answers: Mapping[str, Answer],
    judgements: Iterable[tuple[Path, Sequence[Judgement]]],
) -> list[dict[str, Any]]:
    """The rows of the table, ordered by judge, arm, scale, seed, item (as in the eval set), repeat.

    Args:
        judgements: files and what stands in them; taken one at a time, since the replies of llm
            judges take far more memory than the table.

    Raises:
        InputError: a judgement of an unknown response, or of another item than the response's;
            one that stands twice; a score outside [0, 1], or one that its status contradicts; a
            run that a judge did not judge wholly, with the same repeats; two versions of a judge.
    """
    position = {item: number for number, item in enumerate(items)}
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for path, judged in judgements:
        for judgement in judged:
            answer = _checked_answer(judgement, answers, path)
            item = items[answer.item]
            arm, scale, seed = answer.run
            key = (judgement.judge, arm, scale, seed, position[item.id], judgement.repeat)
            if key in rows:
                raise InputError(
                    f"judge {judgement.judge} judged response {judgement.response} twice "
                    f"in repeat {judgement.repeat}",
                    where=path,
                )
            rows[key] = {
                "study": study,
                "arm": arm,
                "scale": scale,
                "seed": seed,
                "category": item.category,
                "item": item.id,
                "cluster": item.cluster,
                "response": judgement.response,
                "judge": judgement.judge,
                "judge_version": judgement.judge_version,
                "repeat": judgement.repeat,
                "score": judgement.score,
                "status": judgement.status,
                "tokens": judgement.tokens,
                "cost": judgement.cost,
            }
    ordered = [rows[key] for key in sorted(rows)]
    _check_versions(ordered)
    _check_complete(ordered, answers)
    return ordered


def _checked_answer(judgement: Judgement, answers: Mapping[str, Answer], path: Path) -> Answer:
    answer = answers.get(judgement.response)
    if answer is None:
        raise InputError(
            f"judges response {judgement.response}, which no run gave",
            where=path,
            fix="remove the file and run the study again: it was made from older responses",
        )
    if answer.item != judgement.item:
        raise InputError(
            f"response {judgement.response} answers item {answer.item}, not {judgement.item}",
            where=path,
        )
    if judgement.score is not None and not 0 <= judgement.score <= 1:
        raise InputError(f"score {judgement.score} is outside [0, 1]", where=path)
    if (judgement.score is None) == (judgement.status == "ok"):
        raise InputError(
            f"score {judgement.score} does not go with status {judgement.status!r}", where=path
        )
    return answer


def _check_versions(rows: Sequence[Mapping[str, Any]]) -> None:
    versions: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        versions[row["judge"]].add(row["judge_version"])
    for judge, found in versions.items():
        if len(found) > 1:
            raise InputError(
                f"judge {judge} has scores of {len(found)} versions ({', '.join(sorted(found))})",
                fix="remove its judgements and run the study again: scores of different "
                "rubrics or package versions do not compare",
            )


def _check_complete(rows: Sequence[Mapping[str, Any]], answers: Mapping[str, Answer]) -> None:
    """Every judge gave every response that it saw a run of the same number of repeats, 1, 2, ..."""
    repeats: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        repeats[row["judge"]][row["response"]].append(row["repeat"])
    for judge, judged in repeats.items():
        wanted = list(range(1, max(map(len, judged.values())) + 1))
        for response, answer in answers.items():
            if judged.get(response, []) != wanted:
                raise InputError(
                    f"judge {judge}: {_name(answer.run)}, item {answer.item} has repeats "
                    f"{judged.get(response, [])}, not {wanted}",
                    fix="remove the run's judgements and run the study again",
                )


def summarize(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts for each judge: rows, scored, by status, missing by category and run, tokens, cost.

    Money is in US dollars and None where no price is known.
    """
    summary = {}
    for judge in sorted({row["judge"] for row in rows}):
        own = [row for row in rows if row["judge"] == judge]
        lost = [row for row in own if row["score"] is None]
        costs = [row["cost"] for row in own if row["cost"] is not None]
        by_category: dict[str, Counter[str]] = defaultdict(Counter)
        by_run: Counter[Run] = Counter()
        for row in lost:
            by_category[row["category"]][row["status"]] += 1
            by_run[row["arm"], row["scale"], row["seed"]] += 1
        summary[judge] = {
            "judge_version": own[0]["judge_version"],
            "rows": len(own),
            "scored": len(own) - len(lost),
            "status": dict(sorted(Counter(row["status"] for row in own).items())),
            "missing_by_category": {
                category: dict(sorted(counts.items()))
                for category, counts in sorted(by_category.items())
            },
            "missing_by_run": [
                {"arm": arm, "scale": scale, "seed": seed, "missing": count}
                for (arm, scale, seed), count in sorted(by_run.items())
            ],
            "tokens": sum(row["tokens"] or 0 for row in own),
            "dollars": sum(costs) if costs else None,
        }
    return summary


def write_table(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Write the rows as Parquet to `out` and as CSV beside it. Equal rows give equal bytes."""
    table = pa.Table.from_pylist(list(rows), schema=SCHEMA)
    with atomic_path(out) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    with atomic_path(out.with_suffix(".csv")) as temporary:
        frame = table.to_pandas(types_mapper=pd.ArrowDtype)
        frame.to_csv(temporary, index=False, lineterminator="\n")


def scores(
    judgements: Annotated[list[str], typer.Argument(help="Files of judgements, or @LIST.")],
    study: Annotated[str, typer.Option(help="Name of the study.")],
    items: Annotated[Path, typer.Option(help="Eval items (items.jsonl).")],
    responses: Annotated[
        list[str], typer.Option(help="Responses of a run, once for each run, or @LIST.")
    ],
    out: Annotated[Path, typer.Option(help="Table to write (scores.parquet).")],
) -> None:
    """Put the judgements of all runs and judges into one table."""
    if out.suffix != ".parquet":
        raise InputError("the table is a .parquet file", where=out, fix="name it scores.parquet")
    questions = read_items(items)
    answers = read_answers(expand(responses), questions)
    files = expand(judgements)
    judged = ((path, read_rows(path, Judgement)) for path in files)
    rows = make_rows(study, questions, answers, judged)
    sources = [items, *dict.fromkeys(answer.path for answer in answers.values()), *files]
    inputs = {str(path): sha256_file(path) for path in sources}
    write_table(rows, out)
    summary = {"rows": len(rows), "judges": summarize(rows)}
    record = provenance("scores", {"study": study}, inputs)
    write_json(out.with_suffix(".json"), summary | {"provenance": record})
