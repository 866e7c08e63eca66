"""Final answers of calculations and of reasoning: a number, a formula, a label, or words."""

from __future__ import annotations

from dataclasses import replace

import regex

from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.evaluation.judge.judgements import Outcome, missing, scored, scored_unparsable
from instruct_scaling.evaluation.judge.scorers.amounts import equal_in, units_told
from instruct_scaling.evaluation.judge.scorers.answers import answer_match, label_match
from instruct_scaling.evaluation.judge.scorers.compound import parts_of
from instruct_scaling.evaluation.judge.scorers.copies import copies_prompt
from instruct_scaling.evaluation.judge.scorers.final_number import final_quantity, has_number
from instruct_scaling.evaluation.judge.scorers.formulas import final_formulas, solutions
from instruct_scaling.evaluation.judge.scorers.math_worker import (
    MathError,
    MathTimeout,
    shared_worker,
)
from instruct_scaling.evaluation.judge.scorers.numerals import numerals
from instruct_scaling.evaluation.judge.scorers.quantities import quantities
from instruct_scaling.evaluation.judge.scorers.reading import boxed, marked, plain, sentences

MAX_FORMULA_CHARS = 300  # what is longer is a text, or a model that repeats itself


def final_answer(item: EvalItem, checks: Constraints, response: str) -> Outcome:
    """1 if the response's final answer is the reference's, else 0; a share for a set of solutions.

    `checks.answer` says how answers are compared: `number` by value and unit, `expression` as
    algebra (math-verify), `label` as `label_match`, `text` as `answer_match` with the words that
    the reference ends up with. Without it the reference decides: as numbers if it has one, else as
    words.
    """
    reference = item.reference or ""
    if plain(reference).split() == plain(response).split():
        return scored(1.0, "the same words")
    kind = checks.answer or ("number" if has_number(reference) else "text")
    if kind == "label":
        return label_match(replace(item, reference=final_segment(reference)), checks, response)
    if kind == "text":
        return answer_match(replace(item, reference=final_segment(reference)), checks, response)
    if copies_prompt(plain(response), plain(item.full_prompt)):
        return scored(0.0, "a copy of the prompt")
    if checks.answer != "expression" and parts_of(plain(reference)):
        return answer_match(item, checks, response)
    if kind == "expression" or _is_formula(reference):
        return _compare_formulas(reference, response)
    return _compare_numbers(item, reference, response)


def final_segment(text: str) -> str:
    """The part of a reference that gives its answer: boxed, marked, or all of it."""
    shown = plain(text)
    found = boxed(shown) or marked(shown)
    return found.rstrip(" .。") if found else text


def _is_formula(reference: str) -> bool:
    """Whether what a reference ends up with is algebra: a root, a variable, two solutions."""
    part = numerals(plain(final_segment(reference)))
    if "\\" in part or regex.search(r"[√π±]|\d[a-z]\b(?!\w)|\b[a-z]\s?[\^+*]", part):
        return regex.search(r"[\\√π±^=]", part) is not None
    return len(solutions(part)) > 1 and regex.search(r"\b[a-z]\s?=", part) is not None


def _compare_numbers(item: EvalItem, reference: str, response: str) -> Outcome:
    solution = len(sentences(reference)) > 1  # read as a response is
    wanted, _ = final_quantity(reference, item.full_prompt if solution else "")
    if wanted is None:
        return answer_match(item, Constraints(), response)
    given, reason = final_quantity(response, item.full_prompt)
    if given is None:
        if "\\" in response or "√" in response:
            return _compare_formulas(final_segment(reference), response)
        # A denied number or several of them are an answer, and a wrong one.
        return scored_unparsable(reason) if reason.startswith("no number") else scored(0.0, reason)
    prompt = numerals(plain(item.full_prompt))
    told = {(one.value, one.unit) for one in quantities(prompt) if one.unit}
    if wanted.unit is None and given.value != wanted.value and (given.value, given.unit) in told:
        return scored(0.0, "a quantity of the question")  # "3 minutes" for the seconds in them
    units = units_told(sentences(prompt)[-1] if prompt else "", prompt)
    return scored(float(equal_in(wanted, given, units)), reason)


def _compare_formulas(reference: str, response: str) -> Outcome:
    """Jaccard index of the two sets of solutions; of one formula each, 0 or 1."""
    gold, answers = final_formulas(reference), final_formulas(response)
    if not answers:
        return scored_unparsable("no formula found")
    if any(len(answer) > MAX_FORMULA_CHARS for answer in answers):
        return scored(0.0, f"longer than {MAX_FORMULA_CHARS} characters: no formula")
    if len(answers) > 3 * len(gold) + 3:
        return scored(0.0, f"{len(answers)} formulas")
    try:
        hits = sum(any(_same(one, other) for other in answers) for one in gold)
        extra = sum(not any(_same(one, other) for one in gold) for other in answers)
    except MathTimeout as error:
        return missing("timeout", str(error))
    return scored(hits / (len(gold) + extra))


def _same(gold: str, answer: str) -> bool:
    if "".join(gold.split()) == "".join(answer.split()):
        return True
    left, right = quantities(numerals(gold)), quantities(numerals(answer))
    whole = [
        len(found) == 1 and (found[0].start, found[0].end) == (0, len(numerals(text)))
        for found, text in ((left, gold), (right, answer))
    ]
    if all(whole):
        return left[0].value == right[0].value
    try:
        return shared_worker().same(gold, answer)
    except MathError:
        return False
