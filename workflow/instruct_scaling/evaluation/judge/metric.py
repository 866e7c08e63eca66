"""The metric judge: one reference scorer for each category."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tqdm import tqdm

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.provenance import identity_hash
from instruct_scaling.common.records import EvalItem, Judgement, Response, checks_of
from instruct_scaling.config.judges import MetricJudge
from instruct_scaling.evaluation.judge.outcome import Outcome, missing
from instruct_scaling.evaluation.judge.sandbox import Sandbox
from instruct_scaling.evaluation.judge.scorers import Scorer, choose_scorers, lacking, score


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
        scorer = scorers[item.category]
        what = lacking(item, checks_of(item), scorer)
        if what == "reference":
            outcomes[item.id] = missing("no_reference", f"`{scorer.name}` needs a reference")
        elif what == "tests":
            outcomes[item.id] = missing("no_tests", f"`{scorer.name}` needs `checks.tests`")
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

    Programs run `workers` at a time (default: one for each core); the rest is scored here, in
    the calling thread, since math-verify's time limit needs the main one.

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
        return score(scorers[item.category], item, checks_of(item), response.text, sandbox)

    judgements = []
    with ThreadPoolExecutor(workers or usable_cores()) as pool:
        programs = {response.id: pool.submit(outcome, response) for response in in_sandbox}
        try:
            for response in tqdm(responses, desc=f"judge {name}", unit="response"):
                result = unscorable.get(response.item)
                if result is None:
                    future = programs.get(response.id)
                    result = future.result() if future else outcome(response)
                judgements.append(_judgement(response, name, version, result))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return judgements, None if sandbox is None else str(sandbox.isolation)


def usable_cores() -> int:
    """Cores that this process may use, which on a cluster are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _judgement(response: Response, judge: str, version: str, outcome: Outcome) -> Judgement:
    return Judgement(
        item=response.item,
        response=response.id,
        judge=judge,
        judge_version=version,
        repeat=1,
        score=outcome.score,
        status=outcome.status,
        reason=outcome.reason,
    )
