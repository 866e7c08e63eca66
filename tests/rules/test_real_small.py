"""Real public data, four formats and a flawed eval file, through every stage."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import yaml

from tests.check_outputs import check_scores
from tests.studies import ROOT, snakemake

REDUCED = {"ladder": {"start": 100, "factor": 4, "count": 2}, "seeds": {"replicates": [1]}}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def results(offline_copies, tmp_path_factory):
    """Results of studies/real-small.yaml with one seed and two small scales, its sources read from
    the folder of copies."""
    top = tmp_path_factory.mktemp("real")
    reduced = top / "reduced.yaml"
    reduced.write_text(yaml.safe_dump(REDUCED), "utf-8")
    study = str(ROOT / "studies" / "real-small.yaml")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("INSTRUCT_SCALING_OFFLINE", str(offline_copies))
        environment.setenv("INSTRUCT_SCALING_CACHE", str(top / "cache"))
        snakemake(top, None, "--configfile", study, str(reduced), timeout=1100)
    return top / "results" / "real-small"


def audit(path):
    return json.loads(path.read_text("utf-8"))


def test_what_is_broken_in_the_eval_file_is_reported(results):
    found = audit(results / "evalset" / "audit.json")
    broken = found["steps"][0]["reasons"]["broken"]
    assert [example["line"] for example in broken["examples"]] == [156, 714, 1111]
    assert "closed<U+00A0>QA" in json.dumps(found["renamed_categories"])
    items = [
        json.loads(line)
        for line in (results / "evalset" / "items.jsonl").read_text("utf-8").splitlines()
    ]
    assert len({item["category"] for item in items}) == 11


def test_the_pool_says_what_was_removed_and_why(results):
    found = audit(results / "pools" / "public" / "audit.json")
    removed = sum(step["removed"] for step in found["steps"])
    assert found["read"] - removed == found["kept"] > 2_500
    assert len(found["by_source"]) == 20
    assert set(found["by_language"]) == {"zh", "en"}
    assert {source["license"] for source in found["by_source"]} == {
        "Apache-2.0",
        "MIT",
        "CC-BY-4.0",
    }


def test_every_run_is_judged_on_every_item(results):
    scores = pd.read_parquet(results / "tables" / "scores.parquet")
    check_scores(scores)
    assert scores.category.nunique() == 11
    missing = scores[scores.score.isna()]
    assert set(missing.status) <= {"no_reference", "no_tests"}


def test_the_loss_falls_with_scale(results):
    """The held-back signal of a model too small for these tasks: it fits the data better."""
    last = {}
    for path in results.glob("runs/*/n*/s*/train.json"):
        train = audit(path)
        last[train["provenance"]["identity"]["scale"]] = train["loss"]["last"]
    assert last[max(last)] < last[min(last)]


def test_the_report_shows_the_study(results):
    page = (results / "report.html").read_text("utf-8")
    assert "real-small" in page
    assert (results / "figures" / "index.json").exists()
