"""studies/smollm2-135m.yaml: training and eval set share no passage and no question; its result is
kept by one command."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from itertools import chain

import pytest

from instruct_scaling.common.records import EvalItem, Record
from instruct_scaling.config.load import load_study
from instruct_scaling.data.evalset.stage import build_evalset
from instruct_scaling.data.pool.stage import build_pool
from instruct_scaling.data.pool.store import iter_records
from tests.studies import ROOT

STUDY = ROOT / "studies" / "smollm2-135m.yaml"
LORA = ROOT / "studies" / "smollm2-135m-lora.yaml"
LEAST_CHARS = 45  # without white space: shorter sentences ("Why did Austin do this?") say nothing


@pytest.fixture(scope="module")
def data(offline_copies, tmp_path_factory):
    """Items, records of the pool, and the pool's audit."""
    folder = tmp_path_factory.mktemp("pool")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("INSTRUCT_SCALING_OFFLINE", str(offline_copies))
        environment.setenv("INSTRUCT_SCALING_CACHE", str(folder / "cache"))
        study = load_study(STUDY)
        items, _ = build_evalset(study.evalset)
        audit = build_pool(study.pools["english"], items, folder / "records")
    return items, list(iter_records(folder / "records")), audit


def sentences(text: str) -> set[str]:
    """Sentences and lines, without white space and case."""
    parts = (re.sub(r"\s+", "", part).lower() for part in re.split(r"\n|(?<=[.?!]) ", text))
    return {part for part in parts if len(part) >= LEAST_CHARS}


def shared(items: list[EvalItem], records: list[Record]) -> set[str]:
    """Sentences of records that are in an item, those that a template gives to many left out."""
    counts = Counter(chain.from_iterable(sentences(item.full_prompt) for item in items))
    asked = {sentence for sentence, count in counts.items() if count < 12}
    return asked & set(chain.from_iterable(sentences(record.prompt) for record in records))


def test_no_sentence_of_an_eval_item_is_trained_on(data):
    items, records, _ = data
    assert shared(items, records) == set()
    questions = {re.sub(r"\s+", "", item.full_prompt).lower() for item in items}
    assert not questions & {re.sub(r"\s+", "", record.prompt).lower() for record in records}
    # The search would have found one.
    assert shared([*items, items[0]], [Record.make(items[0].full_prompt, "x")]) != set()


def test_the_audit_shows_what_decontamination_removed(data):
    _, records, audit = data
    steps = {step["name"]: step for step in audit["steps"]}
    found = steps["decontaminate"]
    assert found["removed"] == found["read"] - found["kept"] > 0
    assert found["kept"] == len(records)
    page = " ".join((ROOT / "docs" / "real-model.md").read_text("utf-8").split())
    assert f"{found['removed']} of {found['read']:,} records" in page
    assert f"Left are {len(records):,} records" in page
    study = load_study(STUDY)
    assert len(records) - study.validation.records >= max(study.ladder.values())


def test_every_category_has_items_with_what_its_scorer_needs(data):
    items, records, _ = data
    counts = Counter(item.category for item in items)
    assert len(counts) >= 6 and min(counts.values()) >= 24
    assert set(counts) <= {record.category for record in records}
    assert all(item.reference for item in items)
    assert not any("<|endoftext|>" in item.reference for item in items)
    assert not any("<|endoftext|>" in record.output for record in records)
    tested = [item for item in items if item.category == "code"]
    assert all("check(" in item.checks["tests"] for item in tested)
    labeled = [item for item in items if item.category == "classification"]
    assert all(item.reference.lower() in map(str.lower, item.checks["labels"]) for item in labeled)


def test_the_second_file_adds_an_arm_and_changes_nothing_else():
    alone, both = load_study(STUDY), load_study(STUDY, LORA)
    assert alone.arms["full"] == both.arms["full"]
    assert set(both.arms) == {"full", "lora"}
    assert both.arms["lora"].recipe.tuning.method == "lora"
    for section in (
        "study",
        "pools",
        "bases",
        "ladder",
        "evalset",
        "seeds",
        "validation",
        "judges",
    ):
        assert getattr(alone, section) == getattr(both, section)


def make(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["make", "-C", str(ROOT), "real-results", *arguments], capture_output=True, text=True
    )


def test_one_command_copies_tables_and_figure_into_the_docs(tmp_path):
    results, docs = tmp_path / "results", tmp_path / "docs"
    tables = ["curves", "verdicts", "sufficient", "base_comparison"]
    tables += ["costs", "validation_loss", "subset_overlap"]
    for name in ("tables", "figures"):
        (results / name).mkdir(parents=True)
    for name in tables:
        (results / "tables" / f"{name}.csv").write_text(f"{name}\n1\n")
    (results / "figures" / "figure9_funnel.csv").write_text("funnel\n")
    (results / "figures" / "figure2_curves.metric.png").write_bytes(b"png")
    done = make(f"REAL_RESULTS={results}", f"DOCS={docs}")
    assert done.returncode == 0, done.stderr
    kept = {path.name: path.read_text() for path in (docs / "results/smollm2-135m").iterdir()}
    assert kept == {f"{name}.csv": f"{name}\n1\n" for name in tables} | {"funnel.csv": "funnel\n"}
    assert (docs / "img" / "smollm2-135m.png").read_bytes() == b"png"
    (results / "tables" / "curves.csv").unlink()
    failed = make(f"REAL_RESULTS={results}", f"DOCS={docs}")
    assert failed.returncode != 0 and "curves.csv" in failed.stderr
