"""The metric judge: which scorers there are, which category takes which, and judging with them."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from instruct_scaling.common.errors import InputError, Interrupted
from instruct_scaling.common.provenance import identity_hash
from instruct_scaling.common.records import (
    Constraints,
    EvalItem,
    Judgement,
    Response,
    checks_of,
    content_id,
)
from instruct_scaling.common.versions import STAGE_VERSIONS
from instruct_scaling.config.judges import MetricJudge, ScorerName
from instruct_scaling.evaluation.judge.choice import DEFAULT_SCORERS
from instruct_scaling.evaluation.judge.judgements import (
    JudgementCache,
    Outcome,
    make_judgement,
    missing,
)
from instruct_scaling.evaluation.judge.programs.judging import Programs
from instruct_scaling.evaluation.judge.programs.walls import NoIsolation, Walls
from instruct_scaling.evaluation.judge.responses import answer_of, exhausted
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

log = logging.getLogger(__name__)

Need = Literal["reference", "reference or facts", "tests", "nothing"]
TextScorer = Callable[[EvalItem, Constraints, str], Outcome]


@dataclass(frozen=True, slots=True)
class Scorer:
    """A scorer's name, what an item must have for it, and the packages that decide its score.

    `function` is None for unit tests, which run behind walls (`programs`). `version` is raised
    when a change of code changes scores.
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
        Scorer("final_answer", "reference", final_answer, (*_READING, "math-verify", "sympy"), 3),
        Scorer("unit_tests", "tests", None, version=2),
        Scorer("label_match", "reference", label_match, _READING, 3),
        Scorer("answer_match", "reference", answer_match, _READING, 2),
        Scorer("token_f1", "reference", token_f1, ("rouge-score", "regex")),
        Scorer("content", "reference or facts", content, _CONTENT_PACKAGES, 3),
        Scorer("rouge_l", "reference", rouge_l, ("rouge-score", "regex")),
        Scorer("chrf", "reference", chrf, ("sacrebleu",)),
        Scorer("exact_match", "reference", exact_match, _READING, 2),
        Scorer("open_ended", "nothing", open_ended, _OPEN_PACKAGES, 4),
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
    work: Path | None = None,
    references: Path | None = None,
) -> tuple[list[Judgement], dict[str, Any] | None]:
    """Judge the responses of one run, in their order.

    Programs run `workers` at a time (default: one for each core), before the rest, which is scored
    in the calling thread, whichever that is.

    Args:
        work: folder where judgements are kept one by one; those of an earlier, stopped attempt are
            used. Without it none is.
        references: file of verdicts on the items' references, shared by the runs of a study.

    Returns:
        The judgements, and how programs were run (None if there were none).

    Raises:
        InputError: as `choose_scorers` and `find_lacking`.
    """
    scorers = choose_scorers((item.category for item in items.values()), judge.scorers)
    unscorable = find_lacking(items, scorers, judge)
    version = judge_version(judge, scorers)
    programs, unisolated = _programs(judge, items, scorers, unscorable, workers, references)
    unscorable |= unisolated
    keys = {response.id: _key(items[response.item], response, version) for response in responses}
    with (
        tempfile.TemporaryDirectory() as passing,
        JudgementCache(kept_judgements(work or Path(passing), version)) as cache,
    ):
        pending = [response for response in responses if keys[response.id] not in cache.done]
        with tqdm(
            total=len(responses), initial=len(responses) - len(pending), desc=f"judge {name}"
        ) as progress:
            for response, outcome in _outcomes(pending, items, scorers, unscorable, programs):
                cache.add(keys[response.id], make_judgement(response, name, version, outcome))
                progress.update()
        judgements = [cache.done[keys[response.id]] for response in responses]
    return judgements, None if programs is None else programs.summary()


def kept_judgements(work: Path, version: str) -> Path:
    """The file that keeps judgements one by one while a judge of this version is at work."""
    return work / f"{version}.jsonl"


def _key(item: EvalItem, response: Response, version: str) -> str:
    """What decides a judgement: a kept one of another item, answer or stage is not used."""
    stage = str(STAGE_VERSIONS["judge"])
    decisive = identity_hash({"item": item.to_row()})
    return content_id(version, stage, decisive, response.id, response.text)


def _programs(
    judge: MetricJudge,
    items: Mapping[str, EvalItem],
    scorers: Mapping[str, Scorer],
    unscorable: Mapping[str, Outcome],
    workers: int | None,
    references: Path | None,
) -> tuple[Programs | None, dict[str, Outcome]]:
    """What judges programs, None where no item has tests or where they cannot be kept apart; the
    outcome of each item with tests in the latter case."""
    with_tests = {
        item.id: (item, checks_of(item))
        for item in items.values()
        if scorers[item.category].needs == "tests" and item.id not in unscorable
    }
    if not with_tests:
        return None, {}
    try:
        walls = Walls(
            judge.code_timeout_seconds,
            judge.code_memory_mb,
            unprotected=judge.unprotected_programs,
        )
    except NoIsolation as error:
        log.warning("%s; code stays without a score: %s", error, error.fix)
        return None, dict.fromkeys(with_tests, missing("no_isolation", f"{error}; {error.fix}"))
    return Programs(walls, with_tests, workers or usable_cores(), references), {}


def _outcomes(
    responses: Iterable[Response],
    items: Mapping[str, EvalItem],
    scorers: Mapping[str, Scorer],
    unscorable: Mapping[str, Outcome],
    programs: Programs | None,
) -> Iterator[tuple[Response, Outcome]]:
    """Each response with its outcome, as they come: programs first, then the rest."""
    answers = {}
    texts = []
    for response in responses:
        known = unscorable.get(response.item) or exhausted(response)
        if known is not None:
            yield response, known
        elif scorers[response.category].needs == "tests":
            answers[response.id] = response
        else:
            texts.append(response)
    if programs is not None and answers:
        jobs = {
            key: (
                response.item,
                answer_of(response.text, items[response.item].full_prompt),
            )
            for key, response in answers.items()
        }
        for key, outcome in programs.judge(jobs):
            yield answers[key], outcome
    for response in texts:
        yield response, _text_outcome(scorers[response.category], items[response.item], response)


def _text_outcome(scorer: Scorer, item: EvalItem, response: Response) -> Outcome:
    """A scorer's outcome; one that breaks down on a response leaves that response missing."""
    assert scorer.function is not None
    try:
        return scorer.function(item, checks_of(item), answer_of(response.text, item.full_prompt))
    except (InputError, Interrupted):
        raise
    except Exception as error:
        log.exception("response %s: the scorer `%s` failed", response.id, scorer.name)
        return missing("scorer_error", f"{scorer.name}: {type(error).__name__}: {error}")


def usable_cores() -> int:
    """Cores that this process may use, which on a cluster are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
