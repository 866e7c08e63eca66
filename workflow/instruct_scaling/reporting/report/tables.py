"""The tables of the analysis as data frames, arranged as the templates read them.

A row is a dictionary with every column of the table's schema; an empty cell is None.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.tables import OVERALL, SCHEMAS
from instruct_scaling.common.categories import CATEGORIES
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import EvalItem

Row = dict[str, Any]

REQUIRED: dict[str, tuple[str, ...]] = {
    "curves": ("judge", "arm", "category", "scale", "mean", "low", "high"),
    "verdicts": ("judge", "arm", "category", "verdict"),
    "sufficient": ("judge", "arm", "category", "scale", "gain_upper", "statement"),
    "base_comparison": ("judge", "arm", "category", "shots", "scale", "which", "difference"),
    "comparisons": ("judge", "category", "scale", "arm_a", "arm_b", "difference", "low", "high"),
}
_NAMES = ("judge", "other", "arm", "arm_a", "arm_b", "category")
_NARROW = 0.02
_SAME_RECORDS = 0.01
_BOX_WIDTH, _BOX_HEIGHT = 110.0, 40.0


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables of `analysis.tables.SCHEMAS` that the folder has, by name, without empty ones.

    Raises:
        InputError: curves.csv is missing, a file is not a CSV table or lacks a required column.
    """
    found = {}
    for name in SCHEMAS:
        path = folder / f"{name}.csv"
        if path.exists():
            table = _read_table(path, REQUIRED.get(name, ()))
            if len(table):
                found[name] = table
        elif name == "curves":
            raise InputError("no such file", where=path, fix="run the stage curves first")
    return found


def _read_table(path: Path, required: Iterable[str]) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys(_NAMES, str))
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"not a CSV table: {error}", where=path) from error
    missing = [column for column in required if column not in frame.columns]
    if missing:
        raise InputError(
            f"columns are missing: {', '.join(missing)}",
            where=path,
            fix="run the stage curves again with this version",
        )
    return frame


def rows(frame: pd.DataFrame) -> list[Row]:
    """The rows of a frame, empty cells as None."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def study_categories(names: Sequence[str] | None, items: Iterable[EvalItem]) -> list[str]:
    """Categories that the eval items have: in the study's order, else the paper's, then others.

    Args:
        names: the categories that the study names, if it does.
        items: the eval set.
    """
    present = list(dict.fromkeys(item.category for item in items))
    order = names or CATEGORIES
    return [name for name in order if name in present] + [n for n in present if n not in order]


def in_order(frame: pd.DataFrame, order: Sequence[str]) -> pd.DataFrame:
    """Rows by category: those of `order`, others by name, `overall` last; the rest stays."""
    rank = {name: position for position, name in enumerate(order)}
    key = [(c == OVERALL, rank.get(c, len(rank)), c) for c in frame["category"]]
    return frame.iloc[sorted(range(len(frame)), key=key.__getitem__)]


def curve_tables(curves: pd.DataFrame, order: Sequence[str]) -> list[Row]:
    """One table for each (judge, arm), in order of appearance.

    Args:
        curves: the rows of curves.csv.
        order: categories of the study.

    Returns:
        `judge`, `arm`, `scales`, `categories` (category -> scale -> row) and the distinct `notes`.
    """
    curves = _with_all_columns(curves, "curves")
    half_known = curves[["low", "high"]].isna().any(axis=1)
    curves.loc[half_known, ["low", "high"]] = math.nan
    tables = []
    for (judge, arm), part in curves.groupby(["judge", "arm"], sort=False):
        part = in_order(part.sort_values("scale"), order)
        categories: dict[str, dict[int, Row]] = {}
        for row in rows(part):
            categories.setdefault(row["category"], {})[row["scale"]] = row
        scales = sorted(int(scale) for scale in part["scale"].unique())
        notes = list(part["note"].dropna().unique())
        tables.append(
            {"judge": judge, "arm": arm, "scales": scales, "categories": categories, "notes": notes}
        )
    return tables


def answer_tables(
    sufficient: pd.DataFrame, bases: pd.DataFrame | None, order: Sequence[str]
) -> list[Row]:
    """What is enough, one table for each (judge, arm), in order of appearance.

    Args:
        sufficient: the rows of sufficient.csv.
        bases: the rows of base_comparison.csv, where there are any.
        order: categories of the study.

    Returns:
        `judge`, `arm`, `rows`, the distinct `notes`, `margins` and `last_margins`. A row has also
        `base`: the row of base_comparison.csv at the sufficient scale, or at the largest where
        there is none; and `few_shot`: the same for each number of examples in the prompt.
    """
    sufficient = _with_all_columns(sufficient, "sufficient")
    bases = pd.DataFrame() if bases is None else bases
    compared = rows(_with_all_columns(bases, "base_comparison"))
    tables = []
    for (judge, arm), part in sufficient.groupby(["judge", "arm"], sort=False):
        own = [row for row in compared if (row["judge"], row["arm"]) == (judge, arm)]
        tables.append(
            {
                "judge": judge,
                "arm": arm,
                "rows": [row | _against_bases(row, own) for row in rows(in_order(part, order))],
                "notes": list(part["note"].dropna().unique()),
                "margins": sorted(part["margin"].dropna().unique()),
                "last_margins": sorted(part["last_margin"].dropna().unique()),
            }
        )
    return tables


def _against_bases(row: Row, compared: Iterable[Row]) -> Row:
    role = "largest" if row["scale"] is None else "sufficient"
    own = [
        each
        for each in compared
        if each["category"] == row["category"] and role in each["which"].split(", ")
    ]
    zero = [each for each in own if each["shots"] == 0]
    return {
        "base": zero[0] if zero else None,
        "few_shot": [each for each in own if each["shots"] > 0],
    }


def changes_with(row: Row) -> list[str]:
    """What else the verdict would be: `flat with double margins`, in the order of verdicts.csv."""
    found = []
    for column, words in (
        ("margin_sensitivity", "{} margins"),
        ("tail_sensitivity", "the {} as tail"),
    ):
        for part in filter(None, (row.get(column) or "").split("; ")):
            how, _, verdict = part.rpartition(": ")
            if verdict != row["verdict"]:
                found.append(f"{verdict} with {words.format(how)}")
    return found


def verdict_tables(verdicts: pd.DataFrame, order: Sequence[str]) -> list[Row]:
    """One table for each (judge, arm), in order of appearance.

    Args:
        verdicts: the rows of verdicts.csv.
        order: categories of the study.

    Returns:
        `judge`, `arm`, `rows`, the number of `categories`, those that are `undetermined`, and the
        distinct `notes`, `noise`, `margins` and `range_margins`.
    """
    verdicts = _with_all_columns(verdicts, "verdicts")
    verdicts["verdict"] = verdicts["verdict"].astype(object).fillna("undetermined")
    tables = []
    for (judge, arm), part in verdicts.groupby(["judge", "arm"], sort=False):
        part = in_order(part, order)
        single = part[part["category"] != OVERALL]
        undetermined = single.loc[single["verdict"] == "undetermined", "category"]
        tables.append(
            {
                "judge": judge,
                "arm": arm,
                "rows": [row | {"changes": changes_with(row)} for row in rows(part)],
                "categories": len(single),
                "undetermined": list(undetermined),
                "notes": list(part["note"].dropna().unique()),
                "noise": list(part["noise"].dropna().unique()),
                "margins": sorted(part["margin"].dropna().unique()),
                "range_margins": sorted(part["range_margin"].dropna().unique()),
            }
        )
    return tables


def look_tables(tables: Mapping[str, pd.DataFrame]) -> list[Row]:
    """Looks at the results of each judge and arm, from looks.csv; none without the table.

    Returns:
        `judge`, `arm`, `seeds` of each look, `spending`, `planned`, `level` of a claim now, and
        the chance of `false_claims` up to now.
    """
    found = []
    if "looks" not in tables:
        return []
    for (judge, arm), part in tables["looks"].groupby(["judge", "arm"], sort=False):
        last = rows(part)[-1]
        found.append(
            {key: last.get(key) for key in ("spending", "planned", "level", "false_claims")}
            | {"judge": judge, "arm": arm, "seeds": [int(n) for n in part["seeds"]]}
        )
    return found


def families(tables: Mapping[str, pd.DataFrame]) -> dict[str, list[str]]:
    """Judges and arms that have primary claims, and those with exploratory ones alone, from
    verdicts.csv: `primary` and `exploratory`, each "judge / arm"; empty without the column."""
    verdicts = tables.get("verdicts")
    if verdicts is None or "family" not in verdicts or verdicts["family"].isna().all():
        return {"primary": [], "exploratory": []}
    primary = verdicts[verdicts["family"] == "primary"]
    first = [
        f"{j} / {a}" for j, a in dict.fromkeys(zip(primary["judge"], primary["arm"], strict=True))
    ]
    every = [
        f"{j} / {a}" for j, a in dict.fromkeys(zip(verdicts["judge"], verdicts["arm"], strict=True))
    ]
    return {"primary": first, "exploratory": [name for name in every if name not in first]}


def matched_axes(tables: Mapping[str, pd.DataFrame]) -> list[Row]:
    """On overall, differences of arms at the largest x that both reach, for each judge, pair of
    arms and axis of matched.csv; without those at equal records, which comparisons.csv has."""
    matched = tables.get("matched")
    if matched is None:
        return []
    known = matched[matched["category"] == OVERALL].dropna(subset=["difference", "low", "high"])
    ratio = known["records_a"] / known["records_b"]
    known = known[(ratio - 1).abs() > _SAME_RECORDS]
    key = ["judge", "arm_a", "arm_b", "axis"]
    return rows(
        known.sort_values("x", kind="stable").drop_duplicates(key, keep="last").sort_index()
    )


def _with_all_columns(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    return frame.reindex(columns=list(SCHEMAS[name]))


def arm_differences(comparisons: pd.DataFrame) -> list[Row]:
    """For each judge and pair of arms the row on all categories at the largest scale that has an
    interval."""
    known = comparisons[comparisons["category"] == OVERALL].dropna(
        subset=["difference", "low", "high"]
    )
    by_scale = known.sort_values("scale", kind="stable")
    return rows(by_scale.drop_duplicates(["judge", "arm_a", "arm_b"], keep="last").sort_index())


def compare_ends(categories: Mapping[str, Mapping[int, Row]]) -> Row | None:
    """How the intervals at the two ends of the ladder lie to each other.

    Args:
        categories: category -> scale -> row of curves.csv, as `curve_tables` returns it.

    Returns:
        The scales `first` and `last` of the ends that have intervals, and the names of the
        categories whose last interval lies `above` the first, `below` it or is `overlapping`;
        None where no category has two intervals or the ends differ between categories.
    """
    found: dict[str, list[str]] = {"above": [], "below": [], "overlapping": []}
    ends = set()
    for category, points in categories.items():
        known = [row for row in points.values() if row["low"] is not None]
        if category == OVERALL or len(known) < 2:
            continue
        first, last = known[0], known[-1]
        ends.add((first["scale"], last["scale"]))
        above, below = last["low"] > first["high"], last["high"] < first["low"]
        found["above" if above else "below" if below else "overlapping"].append(category)
    if len(ends) != 1:
        return None
    (first_scale, last_scale) = ends.pop()
    return {"first": first_scale, "last": last_scale, **found}


def half_width(curves: pd.DataFrame) -> float | None:
    """Median half width of the intervals of single categories, in score units."""
    single = curves[curves["category"] != OVERALL]
    width = ((single["high"] - single["low"]) / 2).median()
    return None if math.isnan(width) else width


def score_decimals(curves: pd.DataFrame) -> int:
    """Decimals that the intervals justify: two, or three where they are narrow."""
    width = half_width(curves)
    return 3 if width is not None and width < _NARROW else 2


def fewest_items(curves: pd.DataFrame) -> int | None:
    """Items of the smallest category, where the table says so."""
    if "n_items" not in curves:
        return None
    items = curves.loc[curves["category"] != OVERALL, "n_items"].dropna()
    return int(items.min()) if len(items) else None


def cluster_ranges(items: Iterable[EvalItem]) -> dict[str, tuple[int, int]] | None:
    """Fewest and most `items` and `clusters` of a category; None where no two items share one.

    A cluster holds the items made from one template or passage, which count together in every
    interval; an item without a cluster is one of its own.
    """
    named = [(item.category, item.cluster or item.id) for item in items]
    counts = pd.DataFrame(named, columns=["category", "cluster"]).groupby("category")["cluster"]
    table = pd.DataFrame({"items": counts.size(), "clusters": counts.nunique()})
    if (table["items"] == table["clusters"]).all():
        return None
    return {name: (int(table[name].min()), int(table[name].max())) for name in table}


def sparkline(points: Mapping[int, Row]) -> dict[str, Any] | None:
    """A small drawing of one curve in a box of 110 x 40 units; None with fewer than two points.

    The score in [0, 1] goes upwards, the logarithm of the scale to the right. Scale 0 has no
    logarithm: it stands one step to the left of the first scale.

    Args:
        points: scale -> row of curves.csv, by increasing scale.

    Returns:
        `dots` (x, y), and the points of `line` and `band` as SVG reads them; y is 0 at the top.
    """
    known = [row for row in points.values() if row["mean"] is not None]
    if len(known) < 2:
        return None
    tuned = [math.log(row["scale"]) for row in known if row["scale"] > 0]
    step = (tuned[-1] - tuned[0]) / max(len(tuned) - 1, 1) or 1.0
    positions = [math.log(row["scale"]) if row["scale"] else tuned[0] - step for row in known]
    span = positions[-1] - positions[0]
    xs = [round(4 + (_BOX_WIDTH - 8) * (at - positions[0]) / span, 1) for at in positions]

    def height(score: float) -> float:
        return round(2 + (_BOX_HEIGHT - 4) * (1 - score), 1)

    dots = [(x, height(row["mean"])) for x, row in zip(xs, known, strict=True)]
    banded = [(x, row) for x, row in zip(xs, known, strict=True) if row["low"] is not None]
    upper = [f"{x},{height(row['high'])}" for x, row in banded]
    lower = [f"{x},{height(row['low'])}" for x, row in reversed(banded)]
    return {
        "dots": dots,
        "line": " ".join(f"{x},{y}" for x, y in dots),
        "band": " ".join(upper + lower),
    }
