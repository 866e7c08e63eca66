"""The steps of a pool as a list: what is counted always adds up, and an id stands once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import EvalItem, Message, Record, content_id
from instruct_scaling.config.pool_steps import Deduplicate, Filter
from instruct_scaling.config.pools import Pool
from instruct_scaling.data.pool import stage
from instruct_scaling.data.pool.filter import FilterStep
from instruct_scaling.data.pool.funnel import Entry, Funnel
from instruct_scaling.data.pool.sources import open_source
from instruct_scaling.data.pool.stage import build_pool
from instruct_scaling.data.pool.steps import Broken, RecordStep, Removal
from instruct_scaling.data.pool.store import iter_records

ITEM = EvalItem.make("math", "abc")


@dataclass(frozen=True)
class Cut:
    """Stands for the section of a step that changes records: answers lose their last letters."""

    letters: int
    type: str = "cut"


class CutStep(RecordStep):
    """Cuts answers; those of one letter cannot be cut, and those of four are removed."""

    reasons = ("four",)

    def __init__(self, section):
        self._letters = section.letters

    def apply(self, record):
        """The record with a shorter answer."""
        prompt, answer = record.messages
        if len(answer.content) == 4:
            return Removal("four")
        if len(answer.content) == 1:
            return Broken("one letter")
        cut = Message("assistant", answer.content[: -self._letters or None])
        return replace(record, messages=(prompt, cut))


class LookAhead:
    """A step that takes two batches before it answers the first."""

    reasons = ()

    def __call__(self, batches):
        """Every record as it is."""
        waiting = []
        for batch in batches:
            waiting.append(batch)
            if len(waiting) > 1:
                yield waiting.pop(0)
        yield from waiting


letters = st.text("ab", max_size=5)
lines = st.one_of(
    st.builds(lambda i, o: json.dumps({"instruction": i, "output": o}), letters, letters),
    st.sampled_from(["{", "3", '{"output": "a"}']),
)
sections = st.one_of(
    st.builds(Filter, type=st.just("filter"), max_output_chars=st.integers(2, 5)),
    st.builds(Deduplicate, type=st.just("deduplicate"), method=st.sampled_from(["none", "exact"])),
    st.builds(Cut, letters=st.integers(0, 3)),
)


def opened(section, items=()):
    return CutStep(section) if isinstance(section, Cut) else open_step(section, items)


open_step = stage.open_step


def adds_up(counts):
    return counts["read"] == counts["kept"] + counts["removed"] + counts["broken"]


@settings(deadline=None)
@given(
    files=st.lists(st.lists(lines, max_size=8), min_size=1, max_size=3),
    sections=st.lists(sections, max_size=5),
)
def test_the_funnel_adds_up_for_random_steps_and_records(files, sections, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pool")
    sources = []
    for number, content in enumerate(files):
        path = folder / f"{number}.jsonl"
        path.write_text("\n".join(content), "utf-8")
        sources.append({"type": "file", "path": str(path), "on_error": "skip"})
    config = Pool.model_validate({"sources": sources})
    config = config.model_copy(update={"steps": sections})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "open_step", opened)
        patch.setattr(stage, "BATCH_RECORDS", 2)
        try:
            audit = build_pool(config, [ITEM], folder / "records")
        except InputError as error:
            if "the pool is empty" not in str(error):
                raise
            return
    first, *rest = audit["steps"]
    assert first["read"] == sum(map(len, files))
    assert all(map(adds_up, audit["steps"]))
    for before, after in zip(audit["steps"], rest, strict=False):
        assert after["read"] == before["kept"]
    for step in audit["steps"]:
        by_reason = sum(found["count"] for found in step["reasons"].values())
        assert by_reason == step["removed"] + step["broken"]
    assert adds_up(audit)
    assert audit["kept"] == audit["steps"][-1]["kept"]
    assert all(map(adds_up, audit["by_source"]))
    for key in ("read", "kept", "removed", "broken"):
        assert sum(source[key] for source in audit["by_source"]) == audit[key]
    names = [step["name"] for step in audit["steps"]]
    assert len(set(names)) == len(names)
    kept = list(iter_records(folder / "records"))
    assert len(kept) == audit["kept"] == len({one.id for one in kept})
    for one in kept:
        assert one.id == content_id(one.messages[0].content, "", one.messages[1].content)


def run(tmp_path, answers, *steps, on_error="skip", batch=2):
    """The audit and the answers that are kept, of a file with these answers."""
    rows = [{"instruction": f"q{n}", "output": answer} for n, answer in enumerate(answers)]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    section = {"type": "file", "path": str(path), "on_error": on_error}
    config = Pool.model_validate({"sources": [section]}).sources[0]
    source = open_source(config, (), None)
    funnel = Funnel([source], steps)
    stream = list(source.records)
    batches: Iterator[list[Entry]] = (
        [Entry(0, number, record) for number, record in stream[start : start + batch]]
        for start in range(0, len(stream), batch)
    )
    kept = [record.output for record in funnel.records(batches)]
    return funnel.to_json(), kept


def test_a_step_that_cannot_use_a_record_stops_with_its_line_or_is_counted(tmp_path):
    audit, kept = run(tmp_path, ["abc", "a", "ab"], ("cut", CutStep(Cut(1))))
    assert kept == ["ab", "a"]
    (_, cut) = audit["steps"]
    assert (cut["read"], cut["kept"], cut["broken"], cut["changed"]) == (3, 2, 1, 2)
    (example,) = cut["reasons"]["broken"]["examples"]
    assert (example["line"], example["reason"]) == (2, "one letter")
    with pytest.raises(InputError, match=r"a\.jsonl, line 2: step cut: one letter"):
        run(tmp_path, ["abc", "a"], ("cut", CutStep(Cut(1))), on_error="stop")


def test_a_record_that_a_step_leaves_without_an_answer_is_broken(tmp_path):
    audit, kept = run(tmp_path, ["abc", "ab"], ("cut", CutStep(Cut(2))))
    assert kept == ["a"]
    (example,) = audit["steps"][1]["reasons"]["broken"]["examples"]
    assert "message 2 (assistant) is empty" in example["reason"]


def test_a_changed_record_has_the_id_of_its_new_text_and_later_steps_see_it(tmp_path):
    longest = FilterStep(Filter(type="filter", max_output_chars=2))
    audit, kept = run(tmp_path, ["abc", "abcde"], ("cut", CutStep(Cut(1))), ("filter", longest))
    assert kept == ["ab"]
    (example,) = audit["steps"][2]["reasons"]["max_output_chars"]["examples"]
    assert example["id"] == Record.make("q1", "abcd").id


def test_labels_that_a_step_changes_leave_the_id_as_it_is(tmp_path):
    class Label(RecordStep):
        def apply(self, record):
            return replace(record, tags={"tier": "a"})

    one = FilterStep(Filter(type="filter", tags={"tier": ["a"]}))
    audit, kept = run(tmp_path, ["abc"], ("label", Label()), ("filter", one))
    assert kept == ["abc"]
    assert audit["steps"][1]["changed"] == 1


def test_a_step_may_take_batches_before_it_answers(tmp_path):
    answers = [f"answer {n}" for n in range(7)]
    audit, kept = run(tmp_path, answers, ("ahead", LookAhead()))
    assert kept == answers
    assert audit["steps"][1]["kept"] == 7


@pytest.mark.parametrize(
    ("steps", "names"),
    [
        ([], ["read", "deduplicate"]),
        (["filter", "filter"], ["read", "filter", "filter_2", "deduplicate"]),
        (["deduplicate", "filter"], ["read", "deduplicate", "filter"]),
        (["deduplicate", "cut"], ["read", "deduplicate", "cut", "deduplicate_2"]),
        (["cut", "deduplicate"], ["read", "cut", "deduplicate"]),
    ],
)
def test_an_id_stands_once_in_a_pool_whatever_the_steps(tmp_path, monkeypatch, steps, names):
    path = tmp_path / "a.jsonl"
    rows = [{"instruction": "q", "output": answer} for answer in ("abcde", "abcdf", "abcde")]
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    section = {"sources": [{"type": "file", "path": str(path)}]}
    kinds = {
        "filter": Filter(type="filter"),
        "deduplicate": Deduplicate(type="deduplicate", method="none"),
        "cut": Cut(1),
    }
    config = Pool.model_validate(section).model_copy(
        update={"steps": [kinds[kind] for kind in steps]}
    )
    monkeypatch.setattr(stage, "open_step", opened)
    audit = build_pool(config, [ITEM], tmp_path / "records")
    assert [step["name"] for step in audit["steps"]] == names
    answers = Counter(one.output for one in iter_records(tmp_path / "records"))
    expected = {"abcd": 1} if "cut" in steps else {"abcde": 1, "abcdf": 1}
    assert answers == expected
