"""The formulas that a text ends up with: as LaTeX, several where an equation has solutions."""

from __future__ import annotations

import regex

from instruct_scaling.evaluation.judge.scorers.compound import fields
from instruct_scaling.evaluation.judge.scorers.matching import CJK
from instruct_scaling.evaluation.judge.scorers.negation import one_of_several
from instruct_scaling.evaluation.judge.scorers.reading import (
    boxed,
    conclusion,
    corrected,
    marked,
    plain,
    sentences,
    without_reasons,
)

_LATEX = regex.compile(r"\$\$?([^$]+)\$\$?|\\[(\[](.+?)\\[)\]]", regex.DOTALL)
_NO_FORMULA = regex.compile(f'[{CJK}]|[。；、！？《》「」“”‘’"]', flags=regex.VERSION1)
# Words end a formula, names of functions and LaTeX commands do not.
_WORDS = regex.compile(
    r"(?<!\\)\b(?!(?:sin|cos|tan|log|ln|sqrt|frac|pi|exp|abs)\b)[A-Za-z]{2,}\b'?\w*"
)
_OR = regex.compile(r"\bor\b|\band\b|或者?|和|以及|,(?!\d{3})|;|、", regex.IGNORECASE)
_ASSIGNED = regex.compile(r"^\s*[A-Za-z](?:_\{?\w+\}?)?(?:\([a-z]\))?\s*(?:=|\\in)\s*")
# {-2, 2}, [-2, 2]: roots side by side. A pair in round brackets is a point.
_LIST = regex.compile(
    r"(?<!\w)(?:(?:∈|\\in(?![a-z]))\s*)?(?<!\w)(?:\\?\{|\[)"
    r"(?P<inside>[^][{}]*,(?!\d{3}(?!\d))[^][{}]*)(?:\\?\}|\])"
)
# "The derivative of x^3 is 3x^2": what stands after the verb.
_IS = regex.compile(
    r"\b(?:is|equals|are|becomes|gives)\b|等于|[是为得](?=[^是为得]*[\dA-Za-z])", regex.IGNORECASE
)
# A key of JSON that names a solution, or all of them.
_ROOT_KEY = regex.compile(
    r"[a-z]_?\d?|(?:root|solution|answer|result)s?_?\d?|[解根]\d?|答案|结果", regex.IGNORECASE
)
_GET = regex.compile(r"\bwe (?:get|obtain|have)\b|\bgives\b|\byields\b|得到|化简得|结果[是为]")
_ROOTS = regex.compile(r"√\s?(?:\(([^()]+)\)|(\w+))")


def solutions(text: str) -> list[str]:
    """The alternatives of an answer: "x = 3 or x = -2" has two, "x = ±2" too."""
    parts = [_ASSIGNED.sub("", part).strip(" .") for part in _OR.split(text)]
    found: list[str] = []
    for part in filter(None, parts):
        sign = regex.fullmatch(r"(?:±|\\pm)\s*(.+)", part)
        found += [sign[1], f"-{sign[1]}"] if sign else [part]
    return found


def final_formulas(text: str) -> list[str]:
    """The formulas of a text's answer, without names ("x =") and dollar signs; [] without any."""
    shown = plain(text)
    roots = [value for key, value in fields(shown) if _ROOT_KEY.fullmatch(key)]
    if roots:
        return list(dict.fromkeys(one for root in roots for one in solutions(root.strip("[]"))))
    part = boxed(shown)
    if part is None:
        shown = corrected(shown)
        part = marked(shown) or _last(conclusion(shown) or without_reasons(shown))
    part = _LIST.sub(lambda m: f"= {m['inside']}", part)  # an equation with several solutions
    part = _ROOTS.sub(lambda m: rf"\sqrt{{{m[1] or m[2]}}}", part).replace("π", r"\pi ")
    if any(
        one_of_several(part, *match.span()) and "=" not in part for match in _LATEX.finditer(part)
    ):
        return []
    if "=" not in part:
        part = _GET.split(part)[-1]
    if not _OR.search(part):
        part = _IS.split(part)[-1]
    inside = [one or other for one, other in _LATEX.findall(part)]
    runs = inside or [_NO_FORMULA.sub(" ; ", _OR.sub(" ; ", part))]
    found: list[str] = []
    for run in runs:
        for piece in _WORDS.sub(";", run).split(";") if not inside else _OR.split(run):
            found += [formula for formula in solutions(_result(piece)) if _is_formula(formula)]
    if (
        inside
        and len(found) > 1
        and not _OR.search(regex.sub(r"\$[^$]*\$", "", part))
        and len(inside) > 1
    ):
        found = found[-1:]  # steps: the last formula is the result
    return list(dict.fromkeys(found))


def _last(text: str) -> str:
    """The last sentence that holds a formula."""
    parts = [part for part in sentences(text) if regex.search(r"[\d=^\\]|\b[a-z]\b", part)]
    return parts[-1] if parts else text


def _result(piece: str) -> str:
    """What stands after the last "=" of a formula."""
    return piece.rsplit("=", 1)[-1].strip(" .,:!?")


def _is_formula(text: str) -> bool:
    return regex.search(r"[0-9]|\\\w|(?<![a-z])[b-hj-z](?![a-z])|^[a-z]$", text) is not None
