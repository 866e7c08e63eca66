"""A section and its execution keys, as a stage reads them from its command line."""

from __future__ import annotations

import pytest

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.identity import execution_json, identity_json
from instruct_scaling.config.judges import Judge, LlmJudge, MetricJudge
from instruct_scaling.config.section import add_execution, parse_section

JUDGE = LlmJudge(type="llm", model="m", repeats=2, concurrency=32, timeout_seconds=9, max_retries=0)


def test_execution_keys_come_back_beside_the_identity():
    bare = parse_section(Judge, identity_json(JUDGE), "--judge")
    assert bare == LlmJudge(type="llm", model="m", repeats=2)
    assert add_execution(bare, execution_json(JUDGE)) == JUDGE
    assert add_execution(bare, "{}") == bare


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"repeats": 5}', "repeats is not an execution field"),
        ('{"concurrency": 0}', "concurrency: "),
        ("[1]", "--execution"),
        ("{", "--execution"),
    ],
)
def test_other_keys_and_values_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        add_execution(JUDGE, text)


def test_a_section_without_execution_keys_takes_none():
    with pytest.raises(InputError, match=r"concurrency is not .*\n.*use these: none"):
        add_execution(MetricJudge(type="metric"), '{"concurrency": 1}')
