"""`compare A B`: two finished studies side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from analysis.inference.studies import compare_studies, unshared_scales, verdict_changes
from analysis.options import CurveOptions
from analysis.scores import read_scores
from analysis.tables import OVERALL
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import read_json
from instruct_scaling.config.differences import differences

CONFIG = "config.json"
_WIDEST = 48

Folder = Annotated[Path, typer.Argument(help="Results folder of a finished study.")]


def compare(
    a: Folder,
    b: Folder,
    out: Annotated[Path | None, typer.Option(help="Also write all rows to this CSV file.")] = None,
    every: Annotated[
        bool, typer.Option("--every", help="Print every category and scale, not overall alone.")
    ] = False,
    interval: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.9,
    power: Annotated[float, typer.Option(help="Power of what is called detectable.")] = 0.8,
) -> None:
    """Compare two studies: configs, scores, and verdicts that changed (B minus A)."""
    if not 0 < interval < 1 or not 0.5 < power < 1:
        raise InputError(
            "--interval or --power is out of range",
            where="compare",
            fix="give an interval between 0 and 1, and a power between 0.5 and 1",
        )
    scores = [_scores(folder) for folder in (a, b)]
    verdicts = [_verdicts(folder) for folder in (a, b)]
    table = compare_studies(*scores, CurveOptions(interval=interval, power=power))
    print(f"A: {a}\nB: {b}\n")
    print(_config_text(a, b))
    print(scores_text(table, every=every, interval=interval))
    only_a, only_b = unshared_scales(*scores)
    if only_a or only_b:
        print(_scales_text(only_a, only_b))
    print(_verdict_text(verdict_changes(*verdicts)))
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(out, index=False, float_format="%.10g", lineterminator="\n")
        print(f"\nall rows: {out}")


def _scores(folder: Path) -> pd.DataFrame:
    for name in ("scores.parquet", "scores.csv"):
        if (folder / "tables" / name).is_file():
            return read_scores(folder / "tables" / name)
    raise _unfinished(folder, "tables/scores.parquet")


def _verdicts(folder: Path) -> pd.DataFrame:
    path = folder / "tables" / "verdicts.csv"
    if not path.is_file():
        raise _unfinished(folder, "tables/verdicts.csv")
    return pd.read_csv(path, dtype=dict.fromkeys(("judge", "arm", "category"), str))


def _unfinished(folder: Path, lacks: str) -> InputError:
    what = f"lacks {lacks}" if folder.is_dir() else "no such folder"
    return InputError(
        f"not the results folder of a finished study: {what}",
        where=folder,
        fix="give a folder such as results/STUDY, and let `instruct-scaling run` finish it",
    )


def _config_text(a: Path, b: Path) -> str:
    missing = [str(folder) for folder in (a, b) if not (folder / CONFIG).is_file()]
    if missing:
        return f"configs: not compared, no {CONFIG} in {', '.join(missing)} (made before it was)\n"
    found = differences(*(read_json(folder / CONFIG) for folder in (a, b)))
    if not found:
        return "configs: no difference that decides a number\n"
    rows = [(key, _value(x), _value(y)) for key, x, y in found]
    return f"configs: {len(rows)} differences\n{_aligned([('key', 'A', 'B'), *rows])}\n"


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def scores_text(table: pd.DataFrame, *, every: bool, interval: float) -> str:
    """The rows on overall, or all, with what they rest on."""
    shown = table if every else table[table["category"] == OVERALL]
    head = ("judge", "arm", "category", "scale", "A", "B", "B - A", f"{100 * interval:g}% interval")
    rows = [(*head, "q", "detectable", "ties", "paired")]
    for row in shown.to_dict("records"):
        arm = row["arm_a"] if row["arm_a"] == row["arm_b"] else f"{row['arm_a']}/{row['arm_b']}"
        ends = f"[{_number(row['low'], '+.3f')}, {_number(row['high'], '+.3f')}]"
        rows.append(
            (
                *(row["judge"], arm, row["category"]),
                "base" if row["scale"] == 0 else f"{row['scale']:,}",
                *(_number(row[name], ".3f") for name in ("mean_a", "mean_b")),
                *(_number(row["difference"], "+.3f"), ends if row["low"] == row["low"] else "-"),
                *(_number(row[name], ".3f") for name in ("q_value", "detectable")),
                *(_number(row["ties"], ".0%"), "yes" if row["paired"] else "no"),
            )
        )
    notes = [note for note in dict.fromkeys(shown["note"]) if note]
    text = f"scores: {len(table)} rows, {len(shown)} shown; exploratory, q values by judge\n"
    return "\n".join([text + _aligned(rows), *(f"  note: {note}" for note in notes)]) + "\n"


def _scales_text(only_a: Sequence[int], only_b: Sequence[int]) -> str:
    lists = [", ".join(f"{n:,}" for n in scales) or "none" for scales in (only_a, only_b)]
    return f"scales of one study alone, not compared: A {lists[0]}; B {lists[1]}\n"


def _verdict_text(changed: pd.DataFrame) -> str:
    if changed.empty:
        return "verdicts: none changed"
    rows = [
        (
            *(row["judge"], row["arm"], row["category"], row["verdict_a"], row["verdict_b"]),
            *(_number(row[f"tail_slope_{side}"], "+.4f") for side in "ab"),
        )
        for row in changed.to_dict("records")
    ]
    head = ("judge", "arm", "category", "verdict A", "verdict B", "tail slope A", "tail slope B")
    return f"verdicts: {len(rows)} changed\n{_aligned([head, *rows])}"


def _number(value: float, form: str) -> str:
    return format(value, form) if value == value else "-"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their longest cell."""
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  " + "  ".join(f"{cell!s:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
