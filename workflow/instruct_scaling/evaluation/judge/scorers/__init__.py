"""The reference scorers: which there are, what each needs, which category takes which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import Constraints, EvalItem
from instruct_scaling.config.judges import ScorerName
from instruct_scaling.evaluation.judge.outcome import Outcome
from instruct_scaling.evaluation.judge.sandbox import Sandbox
from instruct_scaling.evaluation.judge.scorers.final_answer import final_answer
from instruct_scaling.evaluation.judge.scorers.labels import label_match, label_set_problem
from instruct_scaling.evaluation.judge.scorers.open_ended import fluency_only, open_ended
from instruct_scaling.evaluation.judge.scorers.overlap import chrf, exact_match, rouge_l, token_f1
from instruct_scaling.evaluation.judge.scorers.programs import unit_tests

__all__ = ["DEFAULT_SCORERS", "SCORERS", "Scorer", "choose_scorers", "lacking", "score"]

Need = Literal["reference", "tests", "nothing"]
TextScorer = Callable[[EvalItem, Constraints, str], Outcome]


@dataclass(frozen=True, slots=True)
class Scorer:
    """A scorer's name, what an item must have for it, and the packages that decide its score.

    `function` is None for unit tests, which run in a sandbox. `version` is raised when a change
    of code changes scores.
    """

    name: str
    needs: Need
    function: TextScorer | None
    packages: tuple[str, ...] = ("regex",)
    version: int = 1

    def identity(self) -> dict[str, str | int]:
        """What decides this scorer's scores."""
        versions = {package: metadata.version(package) for package in self.packages}
        return {"scorer": self.name, "version": self.version, **versions}


SCORERS: dict[str, Scorer] = {
    scorer.name: scorer
    for scorer in (
        Scorer("final_answer", "reference", final_answer, ("math-verify", "sympy", "regex")),
        Scorer("unit_tests", "tests", None),
        Scorer("label_match", "reference", label_match, ("rouge-score", "regex")),
        Scorer("token_f1", "reference", token_f1, ("rouge-score", "regex")),
        Scorer("rouge_l", "reference", rouge_l, ("rouge-score", "regex")),
        Scorer("chrf", "reference", chrf, ("sacrebleu",)),
        Scorer("exact_match", "reference", exact_match),
        Scorer("open_ended", "nothing", open_ended),
        Scorer("fluency", "nothing", fluency_only),
    )
}

DEFAULT_SCORERS: dict[str, str] = {
    "math": "final_answer",
    "code": "unit_tests",
    "cot": "final_answer",
    "classification": "label_match",
    "extraction": "token_f1",
    "rewrite": "chrf",
    "open_qa": "token_f1",
    "closed_qa": "token_f1",
    "generation": "open_ended",
    "brainstorming": "open_ended",
    "translation": "chrf",
    "summarization": "rouge_l",
}


def choose_scorers(
    categories: Iterable[str], chosen: Mapping[str, ScorerName]
) -> dict[str, Scorer]:
    """The scorer of each category.

    Args:
        categories: categories of the eval set.
        chosen: the judge's `scorers`, which go before the defaults.

    Raises:
        InputError: a category of the study's own for which none is chosen.
    """
    names = DEFAULT_SCORERS | dict(chosen)
    scorers = {}
    for category in dict.fromkeys(categories):
        if category not in names:
            raise InputError(
                f"no scorer for the category `{category}`",
                where="scorers",
                fix=f"add `scorers: {{{category}: NAME}}` to the judge; "
                f"there are: {', '.join(SCORERS)}",
            )
        scorers[category] = SCORERS[names[category]]
    return scorers


def lacking(
    item: EvalItem, checks: Constraints, scorer: Scorer
) -> Literal["reference", "tests"] | None:
    """What the scorer needs and the item lacks.

    Raises:
        InputError: the item's reference is none of its own labels.
    """
    if scorer.name == "label_match":
        problem = label_set_problem(item, checks)
        if problem is not None:
            raise InputError(f"item {item.id}: {problem}", fix="mend `reference` or `labels`")
    if scorer.needs == "reference" and not (item.reference or "").strip():
        return "reference"
    if scorer.needs == "tests" and not (checks.tests or "").strip():
        return "tests"
    return None


def score(
    scorer: Scorer, item: EvalItem, checks: Constraints, response: str, sandbox: Sandbox | None
) -> Outcome:
    """Score one response whose item has what the scorer needs.

    Args:
        sandbox: where programs run; only unit tests need it.
    """
    if scorer.function is not None:
        return scorer.function(item, checks, response)
    assert sandbox is not None and checks.tests is not None
    return unit_tests(response, checks.tests, sandbox)
