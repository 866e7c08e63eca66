"""Stage scores: all judgements of a study in one table.

Reads `runs.csv`, the eval items, and the responses and judgements in the folders of the runs;
writes `scores.parquet`, the same rows as `scores.csv`, and `scores.json` (counts by status, missing
ones by reason, time-outs of programs by scale, provenance). One row is one judgement; a score is
empty where it is missing. Each tag of the items is a column `tag_NAME` behind the others, empty
where an item has none. Where arms share a folder (the untuned base's answers under greedy
decoding), each of them gets the rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
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
    read_items,
    read_responses,
    read_rows,
)
from instruct_scaling.config.runs import RunRow, read_runs
from instruct_scaling.evaluation.judge.judgements import ZERO, fits_status
from instruct_scaling.evaluation.time_outs import TimeOuts, items_with_tests

SCHEMA = pa.schema(
    [
        pa.field("study", pa.string(), nullable=False),
        pa.field("arm", pa.string(), nullable=False),
        pa.field("scale", pa.int64(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("subset_seed", pa.int64()),
        pa.field("training_seed", pa.int64()),
        pa.field("shots", pa.int64(), nullable=False),
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

OF_RUN = ("arm", "scale", "seed", "subset_seed", "training_seed", "shots")

Columns = dict[str, list[Any]]


def tag_names(items: Iterable[EvalItem]) -> list[str]:
    """The tags that any item has, sorted; an item's language is the tag `language`."""
    return sorted({name for item in items for name in _tags_of(item)})


def _tags_of(item: EvalItem) -> dict[str, str]:
    return item.tags | ({"language": item.language} if item.language else {})


def schema_of(items: Iterable[EvalItem]) -> pa.Schema:
    """The columns of the table: those of `SCHEMA`, then `tag_NAME` for each tag of the items."""
    tags = [pa.field(f"tag_{name}", pa.string()) for name in tag_names(items)]
    return pa.schema([*SCHEMA, *tags])


def read_answers(
    runs: Sequence[RunRow], items: Mapping[str, EvalItem]
) -> dict[Path, dict[str, str]]:
    """The responses in every folder of `runs`: response id -> item id.

    Raises:
        InputError: a folder holds responses of another run than those that `runs` names it for, or
            lacks an answer to an item of the eval set.
    """
    named: dict[Path, list[RunRow]] = defaultdict(list)
    for run in runs:
        named[run.folder].append(run)
    return {folder: _answers_of(folder, sharing, items) for folder, sharing in named.items()}


def _answers_of(
    folder: Path, sharing: Sequence[RunRow], items: Mapping[str, EvalItem]
) -> dict[str, str]:
    path = folder / "responses.jsonl"
    responses = read_responses(path, dict(items))
    found = {(row.arm, row.scale, row.seed) for row in responses}
    allowed = {(run.arm, run.scale, run.seed) for run in sharing}
    if len(found) > 1 or not found <= allowed:
        raise InputError(
            f"holds responses of {_names(found)}, the table of runs says {_names(allowed)}",
            where=path,
            fix="remove the file and run the study again",
        )
    lacking = items.keys() - {response.item for response in responses}
    if lacking:
        raise InputError(
            f"lacks an answer to {len(lacking)} of {len(items)} items, for instance {min(lacking)}",
            where=path,
            fix="remove the file and run the study again: every run answers the same items",
        )
    return {response.id: response.item for response in responses}


def _names(runs: set[tuple[str, int, int]]) -> str:
    return " and ".join(
        f"arm {arm}, scale {scale}, seed {seed}" for arm, scale, seed in sorted(runs)
    )


def judge_table(
    study: str,
    judge: str,
    runs: Sequence[RunRow],
    answers: Mapping[Path, Mapping[str, str]],
    items: Mapping[str, EvalItem],
) -> pa.Table:
    """One judge's rows, in the order of `runs`, then by item (as in the eval set) and repeat.

    Raises:
        InputError: see `judged_columns`; two versions of the judge; an item that was not judged in
            the repeats 1, 2, ... up to the judge's largest one.
    """
    judged = {
        folder: judged_columns(_judgements(folder, judge), judge, responses, items)
        for folder, responses in answers.items()
    }
    versions = sorted({version for part in judged.values() for version in part["judge_version"]})
    if len(versions) > 1:
        raise InputError(
            f"judge {judge} has scores of {len(versions)} versions ({', '.join(versions)})",
            fix="remove its judgements and run the study again: scores of different rubrics or "
            "package versions do not compare",
        )
    repeats = range(1, max(max(part["repeat"]) for part in judged.values()) + 1)
    for folder, part in judged.items():
        _check_complete(part, items, repeats, _judgements(folder, judge))
    schema = schema_of(items.values())
    return pa.concat_tables(_rows_of(study, run, judged[run.folder], schema) for run in runs)


def _judgements(folder: Path, judge: str) -> Path:
    return folder / "judgements" / f"{judge}.jsonl"


def judged_columns(
    path: Path, judge: str, answers: Mapping[str, str], items: Mapping[str, EvalItem]
) -> Columns:
    """A file of judgements as columns of the table, ordered by item and repeat.

    The replies of llm judges, which take far more memory than the table, are dropped.

    Raises:
        InputError: a judgement by another judge, of an unknown response, or of another item than
            the response's; a score outside [0, 1], or one that its status contradicts.
    """
    judgements = read_rows(path, Judgement)
    for judgement in judgements:
        _check_judgement(judgement, judge, answers, path)
    position = {item: number for number, item in enumerate(items)}
    judgements.sort(key=lambda row: (position[row.item], row.repeat))
    columns: Columns = {
        "category": [items[row.item].category for row in judgements],
        "cluster": [items[row.item].cluster for row in judgements],
    }
    for name in SCHEMA.names:
        if name not in columns and name not in ("study", *OF_RUN):
            columns[name] = [getattr(row, name) for row in judgements]
    tags = {item_id: _tags_of(item) for item_id, item in items.items()}
    for name in tag_names(items.values()):
        columns[f"tag_{name}"] = [tags[row.item].get(name) for row in judgements]
    return columns


def _check_judgement(
    judgement: Judgement, judge: str, answers: Mapping[str, str], path: Path
) -> None:
    if judgement.judge != judge:
        raise InputError(f"holds a judgement by {judgement.judge}, not by {judge}", where=path)
    item = answers.get(judgement.response)
    if item is None:
        raise InputError(
            f"judges response {judgement.response}, which the run did not give",
            where=path,
            fix="remove the file and run the study again: it was made from older responses",
        )
    if item != judgement.item:
        raise InputError(
            f"response {judgement.response} answers item {item}, not {judgement.item}", where=path
        )
    if judgement.score is not None and not 0 <= judgement.score <= 1:
        raise InputError(f"score {judgement.score} is outside [0, 1]", where=path)
    if not fits_status(judgement.score, judgement.status):
        raise InputError(
            f"score {judgement.score} does not go with status {judgement.status!r}", where=path
        )


def _check_complete(
    columns: Columns, items: Mapping[str, EvalItem], repeats: range, path: Path
) -> None:
    found: dict[str, list[int]] = {item: [] for item in items}
    for item, repeat in zip(columns["item"], columns["repeat"], strict=True):
        found[item].append(repeat)
    for item, judged in found.items():
        if judged != list(repeats):
            raise InputError(
                f"item {item} has the repeats {judged}, not {list(repeats)}",
                where=path,
                fix="remove the file and run the study again",
            )


def _rows_of(study: str, run: RunRow, columns: Columns, schema: pa.Schema) -> pa.Table:
    count = len(columns["item"])
    own = {"study": study} | {name: getattr(run, name) for name in OF_RUN}
    constant = {name: [value] * count for name, value in own.items()}
    return pa.Table.from_pydict(constant | columns, schema=schema)


def summarize(table: pd.DataFrame) -> dict[str, Any]:
    """Counts for each judge: rows, scored, by status, missing by category and run, tokens, cost.

    `no_answer_by_scale` counts the rows scored 0 because no answer was found (the statuses of
    `judgements.ZERO`), by arm and scale.

    Tokens and US dollars (None where no price is known) count a judgement once, also where it is in
    the rows of several arms.
    """
    summary: dict[str, Any] = {}
    for judge, rows in table.groupby("judge", sort=True):
        lost = rows[rows["score"].isna()]
        by_run = lost.groupby(["arm", "scale", "seed", "shots"]).size()
        once = rows.drop_duplicates(["response", "shots", "repeat"])
        priced = once["cost"].notna().any()
        summary[str(judge)] = {
            "judge_version": rows["judge_version"].iloc[0],
            "rows": len(rows),
            "scored": len(rows) - len(lost),
            "status": _counts(rows["status"]),
            "missing_by_category": {
                category: _counts(part["status"]) for category, part in lost.groupby("category")
            },
            "missing_by_run": [
                {"arm": arm, "scale": scale, "seed": seed, "shots": shots, "missing": count}
                for (arm, scale, seed, shots), count in by_run.to_dict().items()
            ],
            "no_answer_by_scale": [
                {"arm": arm, "scale": scale, "rows": len(part)} | _counts(part["status"])
                for (arm, scale), part in rows[rows["status"].isin(ZERO)].groupby(["arm", "scale"])
            ],
            "tokens": int(once["tokens"].sum()),
            "dollars": float(once["cost"].sum()) if priced else None,
        }
    return summary


def time_outs(
    judge: str, runs: Sequence[RunRow], items: Mapping[str, EvalItem]
) -> list[dict[str, Any]]:
    """Programs that a time limit stopped, by arm and scale (see `TimeOuts.rows`)."""
    with_tests = items_with_tests(items)
    found = TimeOuts(with_tests)
    sharing: dict[Path, set[tuple[str, int, int]]] = defaultdict(set)
    for run in runs if with_tests else ():
        sharing[run.folder].add((run.arm, run.scale, run.seed))
    for folder, names in sharing.items():
        rows = read_rows(_judgements(folder, judge), Judgement)
        found.add([(arm, scale) for arm, scale, _ in sorted(names)], rows)
    return found.rows()


def _counts(column: pd.Series) -> dict[str, int]:
    return column.value_counts().sort_index().to_dict()


def write_table(table: pa.Table, out: Path) -> None:
    """Write the rows as Parquet to `out` and as CSV beside it. Equal rows give equal bytes."""
    with atomic_path(out) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    with atomic_path(out.with_suffix(".csv")) as temporary:
        frame = table.to_pandas(types_mapper=pd.ArrowDtype)
        frame.to_csv(temporary, index=False, lineterminator="\n")


def scores(
    study: Annotated[str, typer.Option(help="Name of the study.")],
    runs: Annotated[Path, typer.Option(help="Table of runs (runs.csv).")],
    judge: Annotated[list[str], typer.Option(help="Name of a judge, once for each.")],
    items: Annotated[Path, typer.Option(help="Eval items (items.jsonl).")],
    out: Annotated[Path, typer.Option(help="Table to write (scores.parquet).")],
) -> None:
    """Put the judgements of all runs and judges into one table."""
    if out.suffix != ".parquet":
        raise InputError("the table is a .parquet file", where=out, fix="name it scores.parquet")
    questions, judges = read_items(items), sorted(set(judge))
    rows = sorted(read_runs(runs), key=lambda run: (run.arm, run.scale, run.seed, run.shots))
    answers = read_answers(rows, questions)
    tables = [judge_table(study, name, rows, answers, questions) for name in judges]
    table = pa.concat_tables(tables).combine_chunks()
    write_table(table, out)
    sources = [items, runs, *(folder / "responses.jsonl" for folder in answers)]
    sources += [_judgements(folder, name) for name in judges for folder in answers]
    record = provenance(
        "scores",
        {"study": study, "judges": judges},
        {str(path): sha256_file(path) for path in sources},
    )
    summary = {"rows": len(table), "judges": summarize(table.to_pandas())}
    for name in judges:
        summary["judges"][name]["time_outs_by_scale"] = time_outs(name, rows, questions)
    write_json(out.with_suffix(".json"), summary | {"provenance": record})
