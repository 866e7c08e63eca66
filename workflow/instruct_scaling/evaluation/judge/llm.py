"""The llm judge: a model grades every response, several times."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from instruct_scaling.common.errors import InputError, Interrupted
from instruct_scaling.common.provenance import identity_hash
from instruct_scaling.common.records import EvalItem, Judgement, Response, content_id
from instruct_scaling.config.judges import LlmJudge
from instruct_scaling.evaluation.judge.endpoint import Endpoint
from instruct_scaling.evaluation.judge.judgements import (
    TRANSIENT,
    JudgementCache,
    make_judgement,
    missing,
)
from instruct_scaling.evaluation.judge.responses import answer_of, exhausted
from instruct_scaling.evaluation.judge.rubrics import (
    PARSER_VERSION,
    frame,
    judge_prompt,
    parse_grade,
    rubric,
    rubric_language,
)

# This many failed requests in a row, each after its retries, mean that the endpoint is broken.
MAX_FAILURES_IN_A_ROW = 20


@dataclass(frozen=True, slots=True)
class Task:
    """One grade to request. `key` is a hash of all that decides the reply."""

    response: Response
    repeat: int
    prompt: str
    seed: int
    binary: bool
    key: str


def judge_version(judge: LlmJudge, categories: Sequence[str]) -> str:
    """Hash of what decides a grade: model, settings, the rubrics and frame, and the parser."""
    return identity_hash(
        {
            "model": judge.model,
            "temperature": judge.temperature,
            "max_tokens": judge.max_tokens,
            "language": judge.language,
            "frame": frame().model_dump(),
            "rubrics": {name: rubric(name).model_dump() for name in sorted(set(categories))},
            "parser": PARSER_VERSION,
        }
    )


def repeat_seed(seed: int, repeat: int) -> int:
    """The seed sent with a repeat (1, 2, ...): distinct for the repeats of one judge seed."""
    return (seed + repeat) & 0x7FFFFFFF


def make_tasks(
    judge: LlmJudge,
    items: Mapping[str, EvalItem],
    responses: Sequence[Response],
    seed: int,
) -> list[Task]:
    """All grades to request, in the order of responses and repeats."""
    tasks = []
    for response in responses:
        item = items[response.item]
        language = rubric_language(judge.language, item)
        prompt = judge_prompt(item, answer_of(response.text, item.full_prompt), language)
        for repeat in range(1, judge.repeats + 1):
            own_seed = repeat_seed(seed, repeat)
            key = content_id(response.id, str(repeat), str(own_seed), prompt)
            binary = rubric(item.category).scale == "binary"
            tasks.append(Task(response, repeat, prompt, own_seed, binary, key))
    return tasks


def find_without_reference(judge: LlmJudge, items: Mapping[str, EvalItem]) -> set[str]:
    """Ids of the items whose rubric compares with a reference that they lack.

    Raises:
        InputError: there is one and the judge's `on_missing_reference` is `stop`.
    """
    without = [
        item
        for item in items.values()
        if rubric(item.category).reference == "required" and not (item.reference or "").strip()
    ]
    if without and judge.on_missing_reference == "stop":
        raise InputError(
            f"eval item {without[0].id} ({without[0].category}) has no reference, which the "
            f"rubric of its category compares with; {len(without)} of {len(items)} items lack one",
            fix="add references to the eval set, or leave such items unjudged with "
            "`on_missing_reference: missing`",
        )
    return {item.id for item in without}


def judge_all(
    judge: LlmJudge,
    name: str,
    items: Mapping[str, EvalItem],
    responses: Sequence[Response],
    seed: int,
    work: Path,
    endpoint: Endpoint,
) -> list[Judgement]:
    """Judge the responses of one run: `judge.repeats` judgements of each, in their order.

    Args:
        seed: judge seed of the run; every repeat sends one derived from it.
        work: folder where judgements are kept one by one; those of an earlier, stopped attempt
            are used, except those whose request failed (HTTP errors, timeouts).

    Raises:
        InputError: no reference where a rubric needs one, a wrong key, no connection, or
            failure after failure.
        Interrupted: SIGTERM; what was judged is kept in `work`.
    """
    without_reference = find_without_reference(judge, items)
    version = judge_version(judge, [item.category for item in items.values()])
    tasks = make_tasks(judge, items, responses, seed)
    with JudgementCache(work / f"{version}.jsonl") as cache:
        for task in tasks:
            if task.response.item in without_reference:
                outcome = missing("no_reference", "the rubric compares with a reference")
                cache.done[task.key] = make_judgement(
                    task.response, name, version, outcome, task.repeat
                )
            elif (spent := exhausted(task.response)) is not None:
                cache.done[task.key] = make_judgement(
                    task.response, name, version, spent, task.repeat
                )
        pending = [task for task in tasks if task.key not in cache.done]
        with tqdm(
            total=len(tasks), initial=len(tasks) - len(pending), desc=f"judge {name}"
        ) as progress:
            if pending:
                _request_all(judge, name, version, pending, cache, endpoint, progress)
        return [cache.done[task.key] for task in tasks]


def _request_all(
    judge: LlmJudge,
    name: str,
    version: str,
    pending: list[Task],
    cache: JudgementCache,
    endpoint: Endpoint,
    progress: tqdm,
) -> None:
    """Put the judgements of all pending tasks into the cache, `judge.concurrency` at a time."""
    queue = iter(pending)
    failures = 0

    async def worker() -> None:
        nonlocal failures
        for task in queue:
            reply = await endpoint.ask(task.prompt, task.seed)
            outcome = reply.failure or parse_grade(reply.text or "", binary=task.binary)
            tokens, cost = usage(judge, reply.prompt_tokens, reply.completion_tokens)
            judgement = make_judgement(
                task.response, name, version, outcome, task.repeat, tokens, cost
            )
            cache.add(task.key, judgement)
            progress.update()
            failures = failures + 1 if outcome.status in TRANSIENT else 0
            if failures >= MAX_FAILURES_IN_A_ROW:
                raise InputError(
                    f"{failures} requests in a row failed, the last one with: {outcome.reason}",
                    where="llm judge",
                    fix="check the endpoint and the judge's settings, then run the same command "
                    "again: it continues from here",
                )

    async def all_workers() -> None:
        with _canceled_by_sigterm():
            try:
                await endpoint.check()
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(judge.concurrency, len(pending))):
                        group.create_task(worker())
            finally:
                await endpoint.close()

    try:
        asyncio.run(all_workers())
    except ExceptionGroup as group:  # of the workers; the first error is reported
        raise group.exceptions[0] from None


@contextmanager
def _canceled_by_sigterm() -> Iterator[None]:
    """Let SIGTERM cancel the running task, and be raised as Interrupted.

    The command line's own handler raises wherever the program is, and the HTTP client takes an
    exception raised inside it for a lost connection.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    before = signal.getsignal(signal.SIGTERM)
    loop.add_signal_handler(signal.SIGTERM, task.cancel, "SIGTERM")
    try:
        yield
    except asyncio.CancelledError as canceled:
        if canceled.args == ("SIGTERM",):
            raise Interrupted("stopped by SIGTERM") from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)


def usage(
    judge: LlmJudge, prompt_tokens: int | None, completion_tokens: int | None
) -> tuple[int | None, float | None]:
    """Tokens of one judgement and their price in US dollars.

    None where the endpoint does not count tokens; no price unless the config states both.
    """
    if prompt_tokens is None or completion_tokens is None:
        return None, None
    tokens = prompt_tokens + completion_tokens
    per_prompt = judge.dollars_per_million_prompt_tokens
    per_completion = judge.dollars_per_million_completion_tokens
    if per_prompt is None or per_completion is None:
        return tokens, None
    return tokens, (prompt_tokens * per_prompt + completion_tokens * per_completion) / 1e6
