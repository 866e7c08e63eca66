"""The metric judge: which scorers there are, which category takes which, and judging with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal

from tqdm import tqdm

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.provenance import identity_hash
from instruct_scaling.common.records import Constraints, EvalItem, Judgement, Response, checks_of
from instruct_scaling.config.judges import MetricJudge, ScorerName
from instruct_scaling.evaluation.judge.choice import DEFAULT_SCORERS
from instruct_scaling.evaluation.judge.judgements import Outcome, make_judgement, missing
from instruct_scaling.evaluation.judge.responses import answer_of, exhausted
from instruct_scaling.evaluation.judge.sandbox import Sandbox, unit_tests
from instruct_scaling.evaluation.judge.scorers.answers import (
    answer_match,
    exact_match,
    label_match,
)
from instruct_scaling.evaluation.judge.scorers.content import content
from instruct_scaling.evaluation.judge.scorers.final_answer import final_answer
from instruct_scaling.evaluation.judge.scorers.matching import (
    label_set_problem,
    token_f1,
)
from instruct_scaling.evaluation.judge.scorers.ngrams import chrf, rouge_l
from instruct_scaling.evaluation.judge.scorers.open_ended import fluency_only, open_ended

Need = Literal["reference", "reference or facts", "tests", "nothing"]
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


# What the scorers read text with.
_READING = ("regex", "cn2an", "opencc", "text2num")
_OPEN_PACKAGES = (*_READING, "nltk", "py3langid", "rouge-score")
_CONTENT_PACKAGES = (*_OPEN_PACKAGES, "sacrebleu")

SCORERS: dict[str, Scorer] = {
    scorer.name: scorer
    for scorer in (
        Scorer("final_answer", "reference", final_answer, (*_READING, "math-verify", "sympy"), 2),
        Scorer("unit_tests", "tests", None),
        Scorer("label_match", "reference", label_match, _READING, 2),
        Scorer("answer_match", "reference", answer_match, _READING),
        Scorer("token_f1", "reference", token_f1, ("rouge-score", "regex")),
        Scorer("content", "reference or facts", content, _CONTENT_PACKAGES),
        Scorer("rouge_l", "reference", rouge_l, ("rouge-score", "regex")),
        Scorer("chrf", "reference", chrf, ("sacrebleu",)),
        Scorer("exact_match", "reference", exact_match, _READING, 2),
        Scorer("open_ended", "nothing", open_ended, _OPEN_PACKAGES, 2),
        Scorer("fluency", "nothing", fluency_only, ("py3langid", "regex"), 2),
    )
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


def lacking(item: EvalItem, scorer: Scorer) -> Outcome | None:
    """The outcome for an item that lacks what its scorer needs; None for one that has it.

    Raises:
        InputError: the item's reference is none of its own labels.
    """
    checks = checks_of(item)
    if scorer.name == "label_match":
        problem = label_set_problem(item, checks)
        if problem is not None:
            raise InputError(f"item {item.id}: {problem}", fix="correct `reference` or `labels`")
    if scorer.needs == "reference" and not (item.reference or "").strip():
        return missing("no_reference", f"`{scorer.name}` needs a reference")
    if scorer.needs == "reference or facts" and not (
        (item.reference or "").strip() or checks.references or checks.required_facts
    ):
        return missing("no_reference", f"`{scorer.name}` needs a reference or required facts")
    if scorer.needs == "tests" and not (checks.tests or "").strip():
        return missing("no_tests", f"`{scorer.name}` needs `checks.tests`")
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


def judge_version(judge: MetricJudge, scorers: Mapping[str, Scorer]) -> str:
    """Hash of what decides a score: scorers with their versions and packages, and the limits."""
    identity: dict[str, Any] = {
        "scorers": {category: scorer.identity() for category, scorer in sorted(scorers.items())}
    }
    if any(scorer.needs == "tests" for scorer in scorers.values()):
        identity["limits"] = [judge.code_timeout_seconds, judge.code_memory_mb]
    return identity_hash(identity)


def find_lacking(
    items: Mapping[str, EvalItem], scorers: Mapping[str, Scorer], judge: MetricJudge
) -> dict[str, Outcome]:
    """The outcome of every item that cannot be scored, by item id.

    Raises:
        InputError: there is such an item and the judge's `on_missing_reference` is `stop`.
    """
    outcomes: dict[str, Outcome] = {}
    for item in items.values():
        outcome = lacking(item, scorers[item.category])
        if outcome is not None:
            outcomes[item.id] = outcome
    if outcomes and judge.on_missing_reference == "stop":
        first = items[next(iter(outcomes))]
        scorer = scorers[first.category]
        what = "unit tests (checks.tests)" if scorer.needs == "tests" else "reference"
        raise InputError(
            f"eval item {first.id} ({first.category}) has no {what}, which the scorer "
            f"`{scorer.name}` needs; {len(outcomes)} of {len(items)} items lack what theirs needs",
            fix=f"add it to the eval set, choose another scorer (`scorers: {{{first.category}: "
            "NAME}`), or leave such items unjudged with `on_missing_reference: missing`",
        )
    return outcomes


def judge_all(
    judge: MetricJudge,
    name: str,
    items: Mapping[str, EvalItem],
    responses: Sequence[Response],
    workers: int | None = None,
) -> tuple[list[Judgement], str | None]:
    """Judge the responses of one run, in their order.

    Programs run `workers` at a time (default: one for each core); the rest is scored in the
    calling thread, whichever that is.

    Returns:
        The judgements, and the isolation that programs ran under (None if there were none).

    Raises:
        InputError: as `choose_scorers`, `find_lacking` and `Sandbox`.
    """
    scorers = choose_scorers((item.category for item in items.values()), judge.scorers)
    unscorable = find_lacking(items, scorers, judge)
    version = judge_version(judge, scorers)
    in_sandbox = [
        response
        for response in responses
        if scorers[response.category].needs == "tests" and response.item not in unscorable
    ]
    sandbox = Sandbox(judge.code_timeout_seconds, judge.code_memory_mb) if in_sandbox else None

    def outcome(response: Response) -> Outcome:
        item = items[response.item]
        text = answer_of(response.text, item.full_prompt)
        return exhausted(response) or score(
            scorers[item.category], item, checks_of(item), text, sandbox
        )

    judgements = []
    with ThreadPoolExecutor(workers or usable_cores()) as pool:
        programs = {response.id: pool.submit(outcome, response) for response in in_sandbox}
        try:
            for response in tqdm(responses, desc=f"judge {name}", unit="response"):
                result = unscorable.get(response.item)
                if result is None:
                    future = programs.get(response.id)
                    result = future.result() if future else outcome(response)
                judgements.append(make_judgement(response, name, version, result))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return judgements, None if sandbox is None else str(sandbox.isolation)


def usable_cores() -> int:
    """Cores that this process may use, which on a cluster are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
