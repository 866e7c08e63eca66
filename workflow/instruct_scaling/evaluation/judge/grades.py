"""Reading the grade out of a judge's reply."""

from __future__ import annotations

import unicodedata

import regex

from instruct_scaling.evaluation.judge.outcome import Outcome, missing, scored

# Raise it when a change of the rules below changes what a reply is worth.
PARSER_VERSION = 1

_LINE = regex.compile(
    r"^[ \t>*#_`-]*(?:(?:final|overall)\s+)?(?:score|(?:最终|最后|总)?(?:得分|评分|分数))[ \t*_`]*:"
    r"(.*)$",
    regex.IGNORECASE | regex.MULTILINE,
)
_GRADE = regex.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(?:分|/\s*1(?:\.0+)?)?")


def parse_grade(reply: str, *, binary: bool) -> Outcome:
    """The grade on the last "Score:" line of a reply (also "得分：" or "评分：").

    Strict, because a wrong reading is worse than none: the line must hold one number in [0, 1]
    (0 or 1 if `binary`) and nothing else but emphasis, "/1" or a full stop. Anything else is
    missing with status `unparsed`; earlier lines do not count.

    Returns:
        The outcome, with the whole reply as its reason.
    """
    lines = _LINE.findall(unicodedata.normalize("NFKC", reply))
    if not lines:
        return missing("unparsed", f"no score line: {reply}")
    match = _GRADE.fullmatch(lines[-1].strip(" \t\r*_`").removesuffix(".").removesuffix("。"))
    if match is None:
        return missing("unparsed", f"no single number on the score line: {reply}")
    grade = float(match[1])
    if grade > 1 or (binary and grade not in (0.0, 1.0)):
        return missing("unparsed", f"{match[1]} is not on the scale: {reply}")
    return scored(grade, reply)
