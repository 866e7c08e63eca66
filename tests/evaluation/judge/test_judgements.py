"""Outcomes within their bounds, and a file of judgements that survives any stop."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.records import Judgement
from instruct_scaling.evaluation.judge.judgements import JudgementCache, Outcome, missing, scored


def judgement(repeat: int, status: str = "ok") -> Judgement:
    score = 0.5 if status == "ok" else None
    return Judgement("item", "response", "j", "v", repeat, score, status, "好\u2028好", 3, 0.1)


@pytest.mark.parametrize("value", [-0.1, 1.1, 1 + 1e-6, float("nan"), float("inf")])
def test_a_score_outside_the_unit_interval_is_a_bug(value):
    with pytest.raises(ValueError, match="outside"):
        scored(value)


def test_rounding_errors_are_clipped():
    assert (scored(1 + 1e-12).score, scored(-1e-12).score, scored(0.25).score) == (1.0, 0.0, 0.25)


def test_a_score_and_its_status_agree():
    with pytest.raises(ValueError, match="does not go with"):
        Outcome(0.5, "timeout")
    with pytest.raises(ValueError, match="does not go with"):
        missing("ok", "no score")


@pytest.mark.parametrize("status", ["unparsable", "reasoning_exhausted"])
def test_no_answer_is_worth_nothing_and_is_not_missing(status):
    assert Outcome(0.0, status).score == 0
    for score in (None, 0.5):
        with pytest.raises(ValueError, match="does not go with"):
            Outcome(score, status)


def test_a_judgement_is_on_disk_before_the_next(tmp_path):
    with JudgementCache(tmp_path / "v.jsonl") as cache:
        cache.add("a", judgement(1))
        with JudgementCache(tmp_path / "v.jsonl") as other:
            assert other.done == {"a": judgement(1)}


def test_judgements_come_back(tmp_path):
    path = tmp_path / "work" / "v.jsonl"
    with JudgementCache(path) as cache:
        cache.add("a", judgement(1))
        cache.add("b", judgement(2, "unparsed"))
    with JudgementCache(path) as again:
        assert again.done == {"a": judgement(1), "b": judgement(2, "unparsed")}


@pytest.mark.parametrize("status", ["http_error", "timeout"])
def test_a_failed_request_is_repeated_by_the_next_attempt(tmp_path, status):
    path = tmp_path / "v.jsonl"
    with JudgementCache(path) as cache:
        cache.add("a", judgement(1, status))
    with JudgementCache(path) as again:
        assert again.done == {}


@given(cut=st.integers(0, 400))
def test_a_file_cut_anywhere_keeps_its_whole_lines(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("cache") / "v.jsonl"
    with JudgementCache(path) as cache:
        for repeat in (1, 2, 3):
            cache.add(str(repeat), judgement(repeat))
    whole = path.read_bytes()
    kept = whole[: min(cut, len(whole))]
    path.write_bytes(kept)
    with JudgementCache(path) as again:
        complete = min(3, kept.count(b'"cost": 0.1}}'))
        assert set(again.done) == {str(repeat) for repeat in range(1, complete + 1)}
        again.add("4", judgement(4))
    with JudgementCache(path) as last:
        assert len(last.done) == complete + 1
