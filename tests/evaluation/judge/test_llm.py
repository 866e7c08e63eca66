"""The llm judge against an HTTP server with canned replies."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from instruct_scaling.common.errors import InputError, Interrupted
from instruct_scaling.common.records import EvalItem, Judgement
from instruct_scaling.config.judges import LlmJudge
from instruct_scaling.evaluation.judge import llm
from instruct_scaling.evaluation.judge.endpoint import Endpoint, Reply
from instruct_scaling.evaluation.judge.llm import judge_all, judge_version, repeat_seed
from tests.evaluation.judge.conftest import answer

KEY = "sk-very-secret-key"
JUDGE = LlmJudge(type="llm", model="judge-1", repeats=3)
MATH = EvalItem.make("math", "1+1?", reference="2", language="en")
QA = EvalItem.make("open_qa", "首都？", reference="北京", language="zh")

Handler = Callable[[dict[str, Any]], Response]


def reply(content: str | None, **message: Any) -> Response:
    """A chat completion of 100 prompt tokens and 10 of its own."""
    body = {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": "judge-1",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": content, **message},
            }
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }
    return Response(json.dumps(body), content_type="application/json")


def failure(status: int, message: str = "no", **headers: str) -> Response:
    body = json.dumps({"error": {"message": message}})
    return Response(body, status, headers, content_type="application/json")


@pytest.fixture
def root() -> str:
    """A path of each test's own: requests of a test that was cut short reach no other."""
    return f"/{secrets.token_hex(4)}/v1"


@pytest.fixture
def serve(httpserver: HTTPServer, root: str) -> Callable[[Handler], list[dict[str, Any]]]:
    """Serves chat completions with a handler; gives the list where requests will be put."""

    def start(handler: Handler) -> list[dict[str, Any]]:
        seen: list[dict[str, Any]] = []

        def handle(request: Request) -> Response:
            seen.append(request.get_json())
            return handler(seen[-1])

        httpserver.expect_request(f"{root}/models").respond_with_json(
            {"object": "list", "data": []}
        )
        httpserver.expect_request(f"{root}/chat/completions").respond_with_handler(handle)
        return seen

    return start


@pytest.fixture
def judge(httpserver: HTTPServer, root: str, tmp_path: Path) -> Callable[..., list[Judgement]]:
    """Runs the judge against the server, with judgements kept in tmp_path/work."""

    def run(
        pairs: list[tuple[EvalItem, str]],
        config: LlmJudge = JUDGE,
        *,
        url: str | None = None,
        seed: int = 7,
        **execution: Any,
    ) -> list[Judgement]:
        quick = {"timeout_seconds": 10, "max_retries": 0, "concurrency": 2}
        config = config.model_copy(update=quick | execution)
        endpoint = Endpoint(config, KEY, url or httpserver.url_for(root))
        return judge_all(
            config,
            "llm",
            {item.id: item for item, _ in pairs},
            [answer(item, text) for item, text in pairs],
            seed=seed,
            work=tmp_path / "work",
            endpoint=endpoint,
        )

    return run


def test_three_repeats_with_seeds_of_their_own(serve, judge):
    seen = serve(lambda body: reply("Right.\nScore: 1"))
    config = JUDGE.model_copy(update={"temperature": 0.5, "max_tokens": 64})
    rows = judge([(MATH, "2"), (QA, "上海")], config)
    assert [(row.item, row.repeat) for row in rows] == [
        (item.id, repeat) for item in (MATH, QA) for repeat in (1, 2, 3)
    ]
    assert {(row.score, row.status, row.tokens, row.cost) for row in rows} == {(1, "ok", 110, None)}
    assert rows[0].reason == "Right.\nScore: 1"
    assert sorted({body["seed"] for body in seen}) == [repeat_seed(7, r) for r in (1, 2, 3)]
    assert {(body["model"], body["temperature"], body["max_tokens"]) for body in seen} == {
        ("judge-1", 0.5, 64)
    }
    prompts = {body["messages"][0]["content"] for body in seen}
    assert len(prompts) == 2
    assert {"得分：x" in prompt for prompt in prompts} == {True, False}


def test_costs_are_counted_where_prices_are_known(serve, judge):
    serve(lambda body: reply("unreadable"))
    priced = JUDGE.model_copy(
        update={
            "dollars_per_million_prompt_tokens": 2.0,
            "dollars_per_million_completion_tokens": 30.0,
        }
    )
    rows = judge([(MATH, "2")], priced)
    assert [row.cost for row in rows] == pytest.approx([0.0005] * 3)  # unparsed ones cost too


@pytest.mark.parametrize(
    ("response", "status", "reason"),
    [
        (lambda: reply("I like it."), "unparsed", "I like it."),
        (lambda: reply("Score: 0.5"), "unparsed", "0.5 is not on the scale"),
        (lambda: reply(""), "empty", "empty reply"),
        (lambda: reply(None), "empty", "empty reply"),
        (lambda: reply(None, refusal="I will not"), "empty", "refused: I will not"),
        (lambda: failure(500, "broken"), "http_error", "broken"),
        (lambda: failure(400, "too long"), "http_error", "too long"),
        (lambda: failure(429, "slow down"), "http_error", "slow down"),
        (lambda: Response("<html>", content_type="text/html"), "http_error", "no chat completion"),
        (lambda: Response("{", content_type="application/json"), "http_error", ""),
        (lambda: Response("{}", content_type="application/json"), "http_error", "no chat"),
        (lambda: Response("[]", content_type="application/json"), "http_error", ""),
    ],
)
def test_what_goes_wrong_is_missing_with_its_reason(serve, judge, response, status, reason):
    serve(lambda body: response())
    rows = judge([(MATH, "2")])
    assert {(row.score, row.status) for row in rows} == {(None, status)}
    assert all(reason in (row.reason or "") for row in rows)


def test_a_slow_reply_is_a_timeout(serve, judge):
    def sleep(body: dict[str, Any]) -> Response:
        time.sleep(1)
        return reply("Score: 1")

    serve(sleep)
    one = JUDGE.model_copy(update={"repeats": 1})
    assert [row.status for row in judge([(MATH, "2")], one, timeout_seconds=0.2)] == ["timeout"]


def test_a_busy_server_is_asked_again(serve, judge):
    replies = iter(
        [failure(429, **{"retry-after-ms": "10"}), failure(503, **{"retry-after-ms": "10"})]
    )
    seen = serve(lambda body: next(replies, None) or reply("Score: 1"))
    one = JUDGE.model_copy(update={"repeats": 1})
    assert [row.score for row in judge([(MATH, "2")], one, max_retries=3)] == [1]
    assert len(seen) == 3


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_stops_at_once_and_is_not_printed(serve, judge, status, tmp_path):
    seen = serve(lambda body: failure(status, f"Incorrect API key provided: {KEY}"))
    with pytest.raises(InputError) as caught:
        judge([(MATH, "2"), (QA, "x")], concurrency=1)
    assert "OPENAI_API_KEY" in str(caught.value)
    assert KEY not in str(caught.value)
    assert len(seen) == 1
    assert all(KEY not in path.read_text() for path in (tmp_path / "work").iterdir())


def test_a_wrong_key_is_noticed_before_the_first_prompt(httpserver, root, judge):
    httpserver.expect_request(f"{root}/models").respond_with_json({"error": {}}, status=401)
    with pytest.raises(InputError, match="check the key in OPENAI_API_KEY"):
        judge([(MATH, "2")])


def test_an_unknown_model_stops_at_once(serve, judge):
    serve(lambda body: failure(404, "no such model"))
    with pytest.raises(InputError, match="check the judge's `model`"):
        judge([(MATH, "2")])


def test_an_endpoint_that_is_not_there_stops_at_once(judge):
    before = time.monotonic()
    with pytest.raises(InputError, match=r"no connection to http://127.0.0.1:9/v1"):
        judge([(MATH, "2")], url="http://127.0.0.1:9/v1", max_retries=5)
    assert time.monotonic() - before < 5


def test_the_key_is_kept_out_of_judgements(serve, judge, tmp_path):
    serve(lambda body: failure(500, f"bad header Bearer {KEY}"))
    rows = judge([(MATH, "2")])
    assert "***" in (rows[0].reason or "")
    assert KEY not in json.dumps([row.to_row() for row in rows])
    assert all(KEY not in path.read_text() for path in (tmp_path / "work").iterdir())


def test_failure_after_failure_stops_the_judge(serve, judge):
    seen = serve(lambda body: failure(500, "out of order"))
    items = [EvalItem.make("open_qa", f"q{n}", reference="r") for n in range(30)]
    with pytest.raises(InputError, match=r"20 requests in a row failed.*out of order"):
        judge([(item, "x") for item in items], concurrency=1)
    assert len(seen) == llm.MAX_FAILURES_IN_A_ROW


def test_it_continues_where_it_stopped(serve, judge, tmp_path):
    items = [EvalItem.make("open_qa", f"q{n}", reference="r") for n in range(4)]
    pairs = [(item, "x") for item in items]
    requests = 0

    def dies_after_five(body: dict[str, Any]) -> Response:
        nonlocal requests
        requests += 1
        return reply("Score: 0.5") if requests <= 5 else failure(401)

    serve(dies_after_five)
    with pytest.raises(InputError):
        judge(pairs, concurrency=1)
    (cache,) = (tmp_path / "work").iterdir()
    with cache.open("a") as handle:
        handle.write('{"key": "incompl')
    requests = -100
    rows = judge(pairs, concurrency=1)
    assert requests == -100 + 4 * 3 - 5
    assert [row.score for row in rows] == [0.5] * 12
    assert judge(pairs) == rows
    assert requests == -100 + 4 * 3 - 5  # a third attempt sends nothing


def test_failures_with_successes_between_them_do_not_stop_the_judge(serve, judge):
    seen = serve(lambda body: reply("Score: 1") if len(seen) % 10 == 0 else failure(500))
    items = [EvalItem.make("open_qa", f"q{n}", reference="r") for n in range(30)]
    one = JUDGE.model_copy(update={"repeats": 1})
    statuses = [row.status for row in judge([(item, "x") for item in items], one, concurrency=1)]
    assert statuses == [*["http_error"] * 9, "ok"] * 3


@pytest.mark.parametrize("concurrency", [1, 5])
def test_so_many_requests_run_at_a_time(tmp_path, concurrency):
    running, most, closed = 0, 0, 0

    class Stub:
        async def check(self) -> None: ...

        async def close(self) -> None:
            nonlocal closed
            closed += 1

        async def ask(self, prompt: str, seed: int) -> Reply:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.001)
            running -= 1
            return Reply("Score: 1")

    config = JUDGE.model_copy(update={"concurrency": concurrency})
    judge_all(
        config,
        "llm",
        {MATH.id: MATH},
        [answer(MATH, str(n)) for n in range(9)],
        7,
        tmp_path,
        Stub(),
    )
    assert (most, closed) == (concurrency, 1)


def test_failed_requests_are_repeated_by_the_next_attempt(serve, judge):
    broken = True
    serve(lambda body: failure(500) if broken else reply("Score: 1"))
    assert {row.status for row in judge([(MATH, "2")])} == {"http_error"}
    broken = False
    assert {row.status for row in judge([(MATH, "2")])} == {"ok"}


def test_another_answer_and_another_seed_are_judged_again(serve, judge):
    seen = serve(lambda body: reply("Score: 1"))
    judge([(MATH, "2")])
    judge([(MATH, "3")])
    assert len(seen) == 6
    judge([(MATH, "3")], seed=70)
    assert len(seen) == 9


def test_sigterm_keeps_what_was_judged(serve, judge, tmp_path):
    def then_stop(body: dict[str, Any]) -> Response:
        if len(seen) == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return reply("Score: 0.5")

    seen = serve(then_stop)
    items = [EvalItem.make("open_qa", f"q{n}", reference="r") for n in range(200)]
    before = signal.signal(signal.SIGTERM, stages_own_handler := lambda *_: pytest.fail("raised"))
    try:
        with pytest.raises(Interrupted):
            judge([(item, "x") for item in items])
        assert signal.getsignal(signal.SIGTERM) is stages_own_handler
    finally:
        signal.signal(signal.SIGTERM, before)
    (cache,) = (tmp_path / "work").iterdir()
    kept = [json.loads(line) for line in cache.read_text().splitlines() if line]
    assert 3 <= len(kept) < 600
    assert {row["judgement"]["score"] for row in kept} == {0.5}


def test_a_rubric_that_compares_needs_references(serve, judge):
    seen = serve(lambda body: reply("Score: 1"))
    bare = EvalItem.make("math", "1+2?")
    free = EvalItem.make("generation", "Write.")
    with pytest.raises(InputError, match=f"eval item {bare.id} .math. has no reference"):
        judge([(free, "x"), (bare, "3")])
    lenient = JUDGE.model_copy(update={"on_missing_reference": "missing", "repeats": 1})
    rows = judge([(free, "x"), (bare, "3")], lenient)
    assert [(row.score, row.status) for row in rows] == [(1, "ok"), (None, "no_reference")]
    assert len(seen) == 1


def test_the_key_must_be_set(monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    config = JUDGE.model_copy(update={"api_key_env": "MY_KEY"})
    with pytest.raises(InputError, match="MY_KEY holds no key"):
        Endpoint.from_environment(config)


@pytest.mark.parametrize(
    "change",
    [{"model": "judge-2"}, {"temperature": 0.5}, {"max_tokens": 9}, {"language": "zh"}],
)
def test_the_version_follows_what_decides_a_grade(change):
    changed = JUDGE.model_copy(update=change)
    assert judge_version(changed, ["math"]) != judge_version(JUDGE, ["math"])


@pytest.mark.parametrize(
    "change",
    [
        {"repeats": 5},
        {"api_key_env": "X"},
        {"base_url_env": "X"},
        {"dollars_per_million_prompt_tokens": 1.0},
        {"concurrency": 1, "timeout_seconds": 1.0, "max_retries": 0},
    ],
)
def test_the_version_is_free_of_what_does_not(change):
    changed = JUDGE.model_copy(update=change)
    assert judge_version(changed, ["math", "code"]) == judge_version(JUDGE, ["code", "math"])


def test_the_version_follows_the_rubrics(monkeypatch):
    before = judge_version(JUDGE, ["math"])
    assert judge_version(JUDGE, ["code"]) != before
    other = llm.rubric("math").model_copy(update={"en": "Another text."})
    monkeypatch.setattr(llm, "rubric", lambda name: other)
    assert judge_version(JUDGE, ["math"]) != before
