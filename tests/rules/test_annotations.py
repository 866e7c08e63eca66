"""A pool made of another one and its annotations, built by the workflow."""

from __future__ import annotations

import json

import pytest

from instruct_scaling.data.annotations.store import annotation_facts, read_annotation
from instruct_scaling.data.pool.store import iter_records, read_ids
from tests.studies import DryRun, dry_runs, planned_jobs, snakemake, tiny_study

pytestmark = pytest.mark.slow


def layered_study():
    """The tiny study on the easier half of its pool, by the loss of its base."""
    config = tiny_study()
    config["pools"]["own"]["annotations"] = {
        "language": {"type": "language"},
        "loss": {"type": "base_loss", "base": "small", "max_length": 96, "precision": "fp32"},
    }
    steps = [
        {"type": "filter", "tags": {"language": ["zh"]}},
        {"type": "filter", "tag_bounds": {"loss": {"max": 6.2}}},
    ]
    config["pools"]["easy"] = {"sources": [{"type": "pool", "pool": "own"}], "steps": steps}
    for arm in config["arms"].values():
        arm["pool"] = "easy"
    return config


def test_a_pool_is_made_of_another_by_its_annotations(tmp_path):
    config = layered_study()
    audit_file = "results/tiny/pools/easy/audit.json"
    snakemake(tmp_path, config, "--until", "validation_set")
    pools = tmp_path / "results" / "tiny" / "pools"
    values = {
        name: read_annotation(pools / "own" / "annotations" / f"{name}.parquet")
        for name in ("language", "loss")
    }
    ids = read_ids(pools / "own" / "records")
    assert list(values["loss"]) == list(values["language"]) == ids
    assert annotation_facts(pools / "own" / "annotations" / "loss.parquet")["missing"] == "0"
    wanted = [one for one in ids if values["language"][one] == "zh" and values["loss"][one] <= 6.2]
    kept = list(iter_records(pools / "easy" / "records"))
    assert [one.id for one in kept] == wanted
    assert 0 < len(wanted) < len(ids)
    assert {one.tags["language"] for one in kept} == {"zh"}
    audit = json.loads((tmp_path / audit_file).read_text("utf-8"))
    assert audit["read"] == len(ids) == audit["kept"] + audit["removed"] + audit["broken"]

    # An annotation decides nothing for its own pool: a new one builds it again nowhere.
    config["pools"]["own"]["annotations"]["length"] = {"type": "length"}
    planned = planned_jobs(dry_runs(tmp_path, {"": DryRun(config)})[""])
    assert planned["annotation"] == 1
    assert planned["pool"] == 1  # that which has it as a tag
    assert "base" not in planned
