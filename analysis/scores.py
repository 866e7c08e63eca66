"""Read a score table (Parquet or long CSV) and refuse what would make the numbers meaningless."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.errors import InputError
from analysis.tables import OVERALL

UNPARSABLE = "unparsable"  # status of an answer that could not be read: wrong, not missing
TAG = "tag_"  # columns that hold labels of the items, by name
REQUIRED = ("arm", "scale", "seed", "category", "item", "judge", "score")
_DEFAULTS = {
    **{"study": "", "cluster": "", "response": "", "judge_version": ""},
    **{"repeat": 0, "shots": 0},
}
_TEXTS = (
    *("study", "arm", "category", "item", "cluster"),
    *("response", "judge", "judge_version", "status"),
)
_RUN = ["arm", "scale", "seed", "shots"]
_KEY = ["judge", *_RUN, "item", "repeat"]


def read_scores(path: str | Path) -> pd.DataFrame:
    """Read and check a score table.

    Returns:
        One row per judgement: the columns of the score table, text as text, `scale` and `seed`
        as integers, `score` as float with NaN for a failed judgement and 0 for an answer that
        could not be read (status `unparsable`), `cluster` equal to the item where it was empty,
        columns `tag_NAME` as text, "" where an item has none, `shots` 0 where it was absent: how
        many examples the prompt held, for answers of the untuned base only.

    Raises:
        InputError: the file cannot be read, or the table breaks a rule (see `check_scores`).
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("no such file", where=path, fix="give a score table")
    try:
        if path.suffix.lower() in {".csv", ".txt", ".tsv"}:
            separator = "\t" if path.suffix.lower() == ".tsv" else ","
            header = pd.read_csv(path, sep=separator, nrows=0).columns
            texts = {name: str for name in header if name in _TEXTS or name.startswith(TAG)}
            table = pd.read_csv(path, sep=separator, dtype=texts)
        else:
            table = pd.read_parquet(path)
    except Exception as error:  # pyarrow and pandas raise many kinds for a broken file
        raise InputError(
            f"cannot be read as a table ({error})",
            where=path,
            fix="give Parquet, or CSV with a header (.csv)",
        ) from error
    return check_scores(table, where=str(path))


def check_scores(table: pd.DataFrame, where: str = "score table") -> pd.DataFrame:
    """Check a score table and bring it into the form that the analysis works on.

    Raises:
        InputError: a column is missing; the table is empty; a score is not a number in
            [0, 1]; a score is empty without a reason in `status`; two rows are the same
            judgement; an item is in two categories or two clusters; a run has other items than
            the rest; a scale is not a whole number from 0 on; a tuned model has examples in its
            prompt (`shots` above 0 at a scale above 0).
    """
    missing = [name for name in REQUIRED if name not in table.columns]
    if missing:
        raise InputError(
            f"no column {', '.join(missing)}",
            where=where,
            fix=f"a score table has at least the columns {', '.join(REQUIRED)}",
        )
    if table.empty:
        raise InputError("the table has no rows", where=where, fix="judge some responses first")
    table = table.reset_index(drop=True).copy()
    for name, default in _DEFAULTS.items():
        if name not in table.columns:
            table[name] = default
    _check_texts(table, where)
    _check_numbers(table, where)
    _check_reasons(table, where)
    _check_duplicates(table, where)
    _check_items(table, where)
    return table


def _row(table: pd.DataFrame, index: int) -> str:
    """The row in words: its number (header is line 1) and the judgement it is."""
    shown = [name for name in _KEY if name != "shots" or table[name].iloc[index] != 0]
    key = ", ".join(f"{name} {table[name].iloc[index]}" for name in shown)
    return f"line {index + 2} ({key})"


def _check_texts(table: pd.DataFrame, where: str) -> None:
    for name in ("arm", "category", "item", "judge"):
        empty = table[name].isna() | (table[name].astype(str).str.strip() == "")
        if empty.any():
            raise InputError(
                f"{name} is empty in {_row(table, int(np.argmax(empty.to_numpy())))}", where=where
            )
        table[name] = table[name].astype(str)
    if (table["category"] == OVERALL).any():
        raise InputError(
            f'a category is named "{OVERALL}", which is the name of the mean of all',
            where=where,
            fix="rename the category",
        )
    for name in tag_columns(table):
        known = table[name].notna()
        table[name] = table[name].astype("object").where(known, "").astype(str).str.strip()
    cluster = table["cluster"].astype("object").where(table["cluster"].notna(), "").astype(str)
    table["cluster"] = cluster.where(cluster.str.strip() != "", table["item"])


def tag_columns(table: pd.DataFrame) -> list[str]:
    """The columns of a score table that hold tags: `tag_NAME`."""
    return [name for name in table.columns if str(name).startswith(TAG)]


def zero_shot(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a checked score table without examples in the prompt."""
    few = table["shots"] > 0
    return table[~few] if few.any() else table


def _check_numbers(table: pd.DataFrame, where: str) -> None:
    table["shots"] = table["shots"].fillna(0)
    for name in ("scale", "seed", "repeat", "shots"):
        values = pd.to_numeric(table[name], errors="coerce").to_numpy(float)
        bad = ~np.isfinite(values) | (values != np.floor(values)) | (values < 0)
        if bad.any():
            raise InputError(
                f"{name} is not a whole number from 0 on in {_row(table, int(np.argmax(bad)))}",
                where=where,
            )
        table[name] = values.astype(np.int64)
    tuned = ((table["shots"] > 0) & (table["scale"] > 0)).to_numpy()
    if tuned.any():
        raise InputError(
            f"shots is above 0 at a tuned scale in {_row(table, int(np.argmax(tuned)))}",
            where=where,
            fix="examples in the prompt go with answers of the untuned base (scale 0) only",
        )
    given = table["score"].notna().to_numpy()
    values = pd.to_numeric(table["score"], errors="coerce").to_numpy(float)
    unreadable = given & np.isnan(values)
    with np.errstate(invalid="ignore"):
        outside = given & ((values < 0) | (values > 1))
    for bad, what in ((unreadable, "is not a number"), (outside, "lies outside [0, 1]")):
        if bad.any():
            first = int(np.argmax(bad))
            raise InputError(
                f"score {table['score'].iloc[first]} {what} in {_row(table, first)}",
                where=where,
                fix="scale scores to [0, 1]; leave the score of a failed judgement empty",
            )
    table["score"] = values


def _check_reasons(table: pd.DataFrame, where: str) -> None:
    missing = table["score"].isna()
    if "status" in table.columns:
        status = table["status"].astype("object").where(table["status"].notna(), "").astype(str)
        table["status"] = status
        silent = missing & status.str.strip().str.lower().isin(["", "ok"])
    else:
        silent = missing
        table["status"] = "ok"
    if silent.any():
        raise InputError(
            f"the score is empty without a reason in {_row(table, int(np.argmax(silent)))}",
            where=where,
            fix="say in the column status why the judgement failed, or judge it again",
        )
    unreadable = table["status"].str.strip().str.lower() == UNPARSABLE
    table.loc[missing & unreadable, "score"] = 0.0


def _check_duplicates(table: pd.DataFrame, where: str) -> None:
    duplicate = table.duplicated(_KEY).to_numpy()
    if duplicate.any():
        raise InputError(
            f"{_repeat(int(duplicate.sum()))} a judgement; the first is "
            f"{_row(table, int(np.argmax(duplicate)))}",
            where=where,
            fix="keep one row per judge, arm, scale, seed, item and repeat",
        )


def _repeat(rows: int) -> str:
    return "1 row repeats" if rows == 1 else f"{rows} rows repeat"


def _check_items(table: pd.DataFrame, where: str) -> None:
    for column in ("category", "cluster", *tag_columns(table)):
        kinds = table[["item", column]].drop_duplicates()
        twice = kinds["item"].duplicated()
        if twice.any():
            raise InputError(
                f"item {kinds['item'][twice].iloc[0]} has two values of {column}",
                where=where,
                fix="an item has one category, one cluster and one value of a tag; give the "
                "others other names",
            )
    for judge, rows in table.groupby("judge", sort=True):
        answered = rows[[*_RUN, "item"]].drop_duplicates()
        per_run = answered.groupby(_RUN).size()
        if (per_run < answered["item"].nunique()).any():
            raise InputError(
                _odd_run(answered, judge),
                where=where,
                fix="every run answers the same items; a failed judgement keeps its row, with an "
                "empty score and a status",
            )


def _odd_run(answered: pd.DataFrame, judge: str) -> str:
    """Names a run whose items differ from those that most runs of the judge have."""
    items = answered.groupby(_RUN)["item"].agg(frozenset)
    usual = max(items.unique(), key=lambda each: ((items == each).sum(), len(each)))
    odd = items[items != usual]
    (arm, scale, seed, shots), own = odd.index[0], odd.iloc[0]
    parts = [
        f"{what} {len(names)}, such as {min(names)}"
        for names, what in ((usual - own, "it lacks"), (own - usual, "the others lack"))
        if names
    ]
    examples = f", shots {shots}" if shots else ""
    return (
        f"run (arm {arm}, scale {scale}, seed {seed}{examples}) has other items than most runs "
        f"that judge {judge} scored: {'; '.join(parts)}"
    )
