"""From the page's data to one HTML file: templates, style and script inlined, all text escaped.

The templates hold the wording; the filters here say how a number, a name or a frame is written.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pandas.api.types import is_bool_dtype, is_float_dtype, is_numeric_dtype

from analysis.names import category_name
from analysis.tables import SCHEMAS
from instruct_scaling.reporting.report.samples import language_of
from instruct_scaling.reporting.report.tables import compare_ends, sparkline

PACKAGE = "instruct_scaling.reporting.report"
STYLES = ("base.css", "layout.css", "tables.css", "samples.css", "print.css")
SCRIPTS = ("filter.js",)
OPEN_TABLES = 2
"""Tables of the same kind that are open; further ones are closed at first."""
MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"
_REMARKS = ("noise", "note", "reason")
_LABELS = ("seed", "replicate", "repeat")
_KEYS = ("name", "step", "why", "option")


def render(context: dict[str, Any]) -> str:
    """The page. Style and script are allowed by their hashes, so nothing else can run or load."""
    style, script = _joined(STYLES), _joined(SCRIPTS)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            **context,
            open_tables=OPEN_TABLES,
            style=Markup(style),
            script=Markup(script),
            policy=content_policy(style, script),
        )
    )


def content_policy(style: str, script: str) -> str:
    """A Content-Security-Policy that allows this style, this script and embedded images only."""
    return (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )


def environment() -> Environment:
    """The templates with their filters; everything that they print is escaped."""
    found = Environment(
        loader=PackageLoader(PACKAGE, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (number, short, count, percent, level, duration, words, plain, listing, cells):
        found.filters[function.__name__] = function
    found.filters |= {"category": category_name, "scale": scale_name}
    functions = (interval, plural, sparkline, language_of, compare_ends)
    found.globals |= {function.__name__: function for function in functions}
    found.globals["schemas"] = SCHEMAS
    return found


def _joined(names: Iterable[str]) -> str:
    folder = files(PACKAGE) / "templates"
    return "\n" + "\n".join((folder / name).read_text("utf-8") for name in names)


def _hash(text: str) -> str:
    """Source expression of an inline element, CSP level 2: base64 of the SHA-256 of its text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()


def number(value: float | None, decimals: int = 2, *, sign: bool = False) -> str:
    """A number with a true minus sign, thousands separated; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{value:{'+' if sign else ''},.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def short(value: float) -> str:
    """A number without trailing zeros, such as a margin: 0.02."""
    return f"{value:.4g}".replace("-", MINUS)


def count(value: float | None) -> str:
    """A whole number with thousands separated; a dash where there is none."""
    return number(value, 0)


def interval(
    low: float | None, high: float | None, decimals: int = 2, *, sign: bool = False
) -> str:
    """`[low, high]`; empty where there is no interval."""
    if low is None or high is None:
        return ""
    return f"[{number(low, decimals, sign=sign)}, {number(high, decimals, sign=sign)}]"


def percent(share: float, decimals: int = 1) -> str:
    """A share in [0, 1] as a percentage; small shares that are not 0 never read as 0."""
    if 0 < share < 0.5 * 10 ** -(decimals + 2):
        return f"<{10**-decimals:g}%"
    return f"{100 * share:.{decimals}f}%"


def level(coverage: float) -> str:
    """Coverage of an interval as text: 0.9 is "90%"."""
    return f"{100 * coverage:g}%"


def duration(seconds: float | None) -> str:
    """Seconds as `42 s`, `3 min 5 s` or `2 h 10 min`."""
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min"


def plural(how_many: float, noun: str, nouns: str | None = None) -> str:
    """`1 seed`, `2 seeds`, `3 categories`."""
    return f"{count(how_many)} {noun if how_many == 1 else nouns or noun + 's'}"


def listing(texts: Iterable[Any], form: str = "{}") -> str:
    """`a`, `a and b`, `a, b and c`, each written in a form such as `{}%`."""
    *others, last = [form.format(text) for text in texts] or [""]
    return f"{', '.join(others)} and {last}" if others else last


def scale_name(scale: int) -> str:
    """The label of a scale: record count, or `base` for the untuned model."""
    return "base" if scale == 0 else count(scale)


def words(name: str) -> str:
    """A column or key name as words: `n_missing` reads "missing", `tail_slope` "tail slope"."""
    return name.removeprefix("n_").replace("_", " ")


def plain(value: Any) -> str:
    """Any JSON value as short text."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return NOTHING if not math.isfinite(value) else short(value)
    if isinstance(value, list | tuple):
        return ", ".join(plain(part) for part in value) or NOTHING
    if isinstance(value, dict):
        return ", ".join(f"{words(key)} {plain(part)}" for key, part in value.items()) or NOTHING
    return str(value)


def cells(frame: pd.DataFrame, most: int = 400) -> dict[str, Any]:
    """A frame as texts: its first rows, without empty columns.

    Whole numbers get no decimals, other numbers as many as they have, at most as many as their
    size needs. A remark that is the same in all of several rows is taken out of the rows.

    Returns:
        `columns` (label, whether it is numeric), `rows` of texts, `remarks` (column -> text),
        `total` rows.
    """
    frame = frame.dropna(axis="columns", how="all")
    remarks = {
        name: frame[name].iloc[0]
        for name in _REMARKS
        if name in frame and len(frame) > 1 and frame[name].nunique(dropna=False) == 1
    }
    frame = frame.drop(columns=list(remarks))
    texts = [_texts(str(name), frame[name], most) for name in frame]
    return {
        "columns": [(words(str(name)), _is_number(frame[name])) for name in frame],
        "rows": list(zip(*texts, strict=True)),
        "remarks": remarks,
        "total": len(frame),
    }


def _is_number(column: pd.Series) -> bool:
    return is_numeric_dtype(column) and not is_bool_dtype(column)


def _texts(name: str, column: pd.Series, most: int) -> list[str]:
    shown = column.head(most)
    if not _is_number(column):
        write = category_name if name == "category" else words if name in _KEYS else plain
        return ["" if value != value else write(value) for value in shown]
    if name in _LABELS:
        return ["" if pd.isna(value) else str(int(value)) for value in shown]
    decimals = _decimals(column)
    return ["" if pd.isna(value) else number(float(value), decimals) for value in shown]


def _decimals(column: pd.Series) -> int:
    if not is_float_dtype(column) or (column.dropna() % 1 == 0).all():
        return 0
    size = column.abs().max()
    decimals = 4 if size < 1 else 3 if size < 100 else 1
    while decimals > 1 and (column.dropna() == column.dropna().round(decimals - 1)).all():
        decimals -= 1
    return decimals
