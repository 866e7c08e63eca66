"""What was not measured follows from the study and its results."""

from __future__ import annotations

import re
from typing import Any

import pytest

from instruct_scaling.common.seeds import PURPOSES
from instruct_scaling.config.study import Study
from tests.reporting.report.page import rendered, texts

LLM = {"type": "llm", "model": "gpt"}
POOL = {"sources": [{"type": "file", "path": "data.jsonl"}]}
RESULTS = {
    "pools": [],
    "verdicts": [],
    "clusters": None,
    "half_width": 0.05,
    "fewest_items": 40,
    "overlap": [],
    "looks": [],
}
COUNTS = {"judgements": 200, "missing": 0}


@pytest.fixture
def limits(default_config):
    """Title -> text of the limits; keyword arguments replace sections of the default study."""

    def of(results: dict[str, Any] | None = None, **sections: Any) -> dict[str, str]:
        study = Study(**default_config | sections)
        context = RESULTS | {"judged": [COUNTS]} | (results or {})
        html = rendered("limits.html.j2", study=study, purposes=PURPOSES, **context)
        found = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", html, re.DOTALL)
        assert len(found) == len(texts(html, "dt"))
        return {title: " ".join(text.split()) for title, text in found}

    return of


def with_recipe(config: dict[str, Any], **recipe: Any) -> dict[str, Any]:
    arm = config["arms"]["full"]
    return {**arm, "recipe": arm["recipe"] | recipe}


def test_scorers_and_models_are_no_people(limits):
    metric, llm = limits(), limits(judges={"a": LLM, "b": LLM})
    assert "Metric scores, not people&#39;s" in metric
    assert "A single judge" in metric
    assert "No comparison with people" not in metric
    assert "No comparison with people" in llm
    assert "A single judge" not in llm
    both = limits(judges={"a": LLM, "b": {"type": "metric"}})
    assert "No comparison with people" in both
    assert "Metric scores, not people&#39;s" not in both


@pytest.mark.parametrize(
    ("seeds", "title"), [([1], "One seed"), ([1, 2], "Two seeds"), ([1, 2, 3], None)]
)
def test_few_seeds_are_a_limit(limits, seeds, title):
    found = limits(seeds={"replicates": seeds})
    assert [name for name in ("One seed", "Two seeds") if name in found] == [title] * bool(title)


def test_seeds_that_are_held_fixed_are_named(limits):
    title = "Sources of variation held fixed"
    assert title not in limits()
    varied = {"replicates": [1, 2], "vary": ["subset", "order", "init"]}
    assert "The seeds for generation and judge are the same" in limits(seeds=varied)[title]
    assert title not in limits(seeds=varied | {"replicates": [1]})


def test_records_that_seeds_share_are_a_limit(limits):
    title = "Seeds share records"
    part = {"pool": "p", "same": [], "much": []}
    assert title not in limits({"overlap": [part]})
    text = limits({"overlap": [part | {"same": [400], "much": [200, 300]}]})[title]
    assert "At 200 and 300 records of pool “p” most records of two seeds are the same" in text
    assert "At 400 records of pool “p” all of them are" in text


def test_crossed_runs_are_no_independent_seeds(limits):
    title = "Crossed runs share seeds"
    assert title not in limits()
    crossed = {"crossed": {"subset": [1, 2], "training": [1, 2]}}
    assert "treat the 4 runs of a scale as independent" in limits(seeds=crossed)[title]


def test_few_items_are_a_limit_with_the_precision_that_follows(limits):
    title = "Few items per category"
    assert limits({"fewest_items": 99})[title] == (
        "The smallest category has 99 items. The mean of a category at one scale is known to about "
        "±0.050 (median half-width of the 90% intervals)."
    )
    clusters = {"items": (99, 99), "clusters": (2, 5)}
    assert "99 items in 2 to 5 clusters" in limits({"clusters": clusters})[title]
    for nothing in ({"fewest_items": 100}, {"half_width": None}, {"fewest_items": None}):
        assert title not in limits(nothing)


def test_missing_judgements_are_counted_over_judges(limits):
    assert "Missing judgements" not in limits()
    judged = [COUNTS, COUNTS | {"missing": 3}]
    assert (
        "3 of 400 judgements (0.8%) have no score"
        in limits({"judged": judged})["Missing judgements"]
    )


def test_undetermined_trends_are_named_by_arm(limits):
    one = {"arm": "full", "judge": "m", "undetermined": ["math", "code"], "categories": 3}
    title = "Undetermined trends"
    assert title not in limits({"verdicts": [one | {"undetermined": []}]})
    assert limits({"verdicts": [one]})[title].startswith("No verdict on Math and Code (2 of 3).")
    every = one | {"arm": "lora", "undetermined": ["math", "code", "cot"]}
    assert limits({"verdicts": [one, every]})[title].startswith(
        "No verdict on arm full, judge m: Math and Code (2 of 3); arm lora, judge m: all (3 of 3)."
    )


def test_epochs_and_steps_have_a_limit_each(limits, default_config):
    by_epochs, by_steps = "Data and compute grow together", "Repetition shrinks as data grows"
    assert (by_epochs in limits()) and (by_steps not in limits())
    steps = with_recipe(default_config, epochs=None, steps=10)
    found = limits(arms={"full": steps})
    assert (by_epochs not in found) and (by_steps in found)
    found = limits(arms={"full": steps, "other": default_config["arms"]["full"]})
    assert (by_epochs in found) and (by_steps in found)


def test_greedy_decoding_is_a_limit(limits):
    assert "One greedy answer per item" in limits()
    assert "One greedy answer per item" not in limits(generate={"temperature": 0.7})


def test_what_was_not_done_to_the_data_is_named(limits, default_config):
    assert "Generated data" in limits()
    (name,) = default_config["pools"]
    own = limits(pools={name: POOL})
    titles = {"Generated data", "Overlap with the eval set", "Repeated records"}
    assert not titles & set(own)
    copies = [{"type": "deduplicate", "method": "none"}, {"type": "decontaminate"}]
    overlap = [{"type": "deduplicate"}, {"type": "filter"}]
    found = limits(pools={name: POOL | {"steps": overlap}, "b": POOL | {"steps": copies}})
    assert f"Nothing was removed from {name} for" in found["Overlap with the eval set"]
    assert "Copies were left in b:" in found["Repeated records"]


def test_data_without_a_commit_may_change(limits):
    title = "Data that may change"
    part = {"name": "own", "unpinned": {}}
    assert title not in limits({"pools": [part]})
    part["unpinned"] = {"a": "revision main, commit 12", "b": "revision v1, commit unknown"}
    assert limits({"pools": [part]})[title] == (
        "a of pool own was read at revision main, commit 12 and b of pool own was read at revision "
        "v1, commit unknown: the same config may read other records at another time."
    )


def test_bases_are_a_limit_if_they_are_few_or_small(limits, default_config):
    assert {"A very small base model", "One base model"} <= set(limits())
    large = {"type": "pretrained", "model": "./model"}
    (base,) = default_config["bases"].items()
    arm = default_config["arms"]["full"]
    found = limits(bases=dict([base]) | {"large": large}, arms={"full": arm | {"base": "large"}})
    assert "A very small base model" not in found  # an unused base does not count
    both = limits(
        bases=dict([base]) | {"large": large}, arms={"a": arm, "b": arm | {"base": "large"}}
    )
    assert "A very small base model" in both
    assert "One base model" not in both


def test_seeds_added_after_a_look_are_a_limit_unless_the_error_is_spent_over_looks(limits):
    look = {"judge": "m", "arm": "full", "seeds": [3, 5], "spending": "none"}
    look |= {"level": 0.05, "false_claims": 0.0712}
    title = "More than one look"
    assert "a chance of about 0.07 instead of 0.05" in limits({"looks": [look]})[title]
    assert title not in limits({"looks": [look | {"seeds": [5]}]})
    assert title not in limits({"looks": [look | {"spending": "pocock"}]})
