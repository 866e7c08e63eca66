"""Final answers of calculations and of reasoning."""

from __future__ import annotations

import threading

import regex
from math_verify import parse, verify
from math_verify.errors import TimeoutException

from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.evaluation.judge.judgements import Outcome, missing, scored
from instruct_scaling.evaluation.judge.scorers.matching import (
    CJK,
    label_match,
    same_text,
    token_f1,
)

COMPARE_SECONDS = 3  # of one math-verify call; whole seconds, as it uses alarm(2)
MAX_FORMULA_CHARS = 300  # what is longer is a text, or a model that repeats itself

_FULL_WIDTH = str.maketrans(
    "０１２３４５６７８９．，＋－＝％（）：／−×÷\u00a0", "0123456789.,+-=%():/-*/ "
)
# "the answer is", "答案：", GSM8K's "####": the answer follows. The bare word is not enough.
_ANCHOR = regex.compile(
    r"####|(?:answer|答案|结果)(?:\s*(?:\bis\b|是|为|[:=])\s*[:=]?|(?=\s*[-$\\\d]))|答\s*:",
    regex.IGNORECASE,
)
_THEREFORE = regex.compile(r"therefore|thus|hence|\bso\b|因此|所以|故", regex.IGNORECASE)
_BOLD = regex.compile(r"(?<!\w)\*\*(?=\S)(.+?)(?<=\S)\*\*(?!\w)")
_BOXED = regex.compile(r"\\boxed\s*(\{(?:[^{}]|(?1))*\})")
_NUMBER = regex.compile(
    r"(?:(?<![\w.)\]])-\s?)?(?<![\w.])(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?"
    r"(?:\s*/\s*\d+(?:\.\d+)?)?\s*%?"
)
_CJK = regex.compile(f"[{CJK}]|[。；、！？《》「」“”‘’]", flags=regex.VERSION1)


def final_answer(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """1 if the response's final answer is the reference's, else 0.

    `checks.answer` says how answers are compared: `number` and `expression` by math-verify,
    `label` as `label_match`, `text` by the words of the final answer. Without it the reference
    decides: as numbers if it has one, else by token F1.
    """
    reference = item.reference or ""
    kind = checks.answer or ("number" if final_number(reference) else "overlap")
    if kind == "label":
        return label_match(item, checks, final_segment(response))
    if kind == "text":
        return scored(float(same_text(final_segment(response), final_segment(reference))))
    if kind == "overlap":
        return token_f1(item, checks, response)
    extract = final_number if kind == "number" else final_expression
    answer = extract(response)
    if not answer:
        return scored(0.0, f"no {kind} found")
    if len(answer) > MAX_FORMULA_CHARS:
        return scored(0.0, f"longer than {MAX_FORMULA_CHARS} characters: no {kind}")
    return _compare(extract(reference), answer)


def final_segment(text: str) -> str:
    """The part of a text that gives the answer.

    The last boxed expression; else what follows the last "answer" mark, up to the end of its
    line, or the next line if nothing does; else the last line, after its last "therefore".
    """
    text = _plain(text)
    marked = _marked_segment(text)
    if marked is not None:
        return marked[0]
    last = text.split("\n")[-1]
    return _after_last(_THEREFORE, last) or last.strip()


def final_number(text: str) -> str:
    """The number (or, where the answer is one, the LaTeX formula) a text ends up with, or "".

    In a box the last number; after an answer mark the first one ("Answer: 14 apples, 2 more than
    ..."); without either, or where there is none, the last number of the text.
    """
    text = _plain(text)
    marked = _marked_segment(text)
    if "\\" in final_segment(text):
        return final_expression(text)
    if marked is not None:
        numbers = _numbers(marked[0])
        if numbers:
            return numbers[0 if marked[1] else -1]
    return next(reversed(_numbers(text)), "")


def _plain(text: str) -> str:
    return _BOLD.sub(r"\1", text.translate(_FULL_WIDTH).strip())


def _marked_segment(text: str) -> tuple[str, bool] | None:
    """The marked answer, and whether it is a mark (True) or a box (False) that shows it."""
    boxed = _BOXED.match(text, max(0, text.rfind("\\boxed")))
    if boxed:
        return boxed[1][1:-1].strip(), False
    after = _after_last(_ANCHOR, text)
    return (after, True) if after else None


def _after_last(mark: regex.Pattern[str], text: str) -> str:
    """What follows the last such mark, up to the end of a line; "" if nothing does."""
    ends = [match.end() for match in mark.finditer(text)]
    rest = text[ends[-1] :].strip(" .,:;。，；：\n") if ends else ""
    return rest.split("\n")[0].strip()


def _numbers(text: str) -> list[str]:
    return [match.strip() for match in _NUMBER.findall(_CJK.sub(" ", text))]


def final_expression(text: str) -> str:
    """The formula a text ends up with, as LaTeX without its dollar signs, or ""."""
    segment = _CJK.sub(" ", final_segment(text)).strip()
    formulas = regex.findall(r"\$\$?([^$]+)\$\$?|\\[(\[](.+?)\\[)\]]", segment)
    if formulas:
        return (formulas[-1][0] or formulas[-1][1]).strip()
    return segment.rstrip(".,;").strip()


def _compare(gold: str, answer: str) -> Outcome:
    # Python delivers the alarm to the main thread only; math-verify refuses to set it elsewhere.
    main = threading.current_thread() is threading.main_thread()
    seconds = COMPARE_SECONDS if main else None
    try:
        parsed = [
            parse(f"${text}$", parsing_timeout=seconds, raise_on_error=True)
            for text in (gold, answer)
        ]
        same = verify(*parsed, timeout_seconds=seconds, raise_on_error=True)
    except TimeoutException:
        return missing("timeout", f"math-verify took longer than {COMPARE_SECONDS} s")
    except Exception as error:  # it hands on whatever its parsers raise at text that is no formula
        return scored(0.0, f"not comparable: {type(error).__name__}")
    return scored(float(same))
