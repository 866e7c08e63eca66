"""Everything that a study takes from the web, in one folder of copies."""

from __future__ import annotations

import hashlib
import json

import pytest
import yaml

from instruct_scaling.commands.prefetch import Snapshot, hub_snapshots, prefetch, web_files
from instruct_scaling.common import fetch
from instruct_scaling.common.errors import InputError
from instruct_scaling.common.fetch import location
from instruct_scaling.config.load import load_study
from instruct_scaling.config.pools import Pool
from instruct_scaling.data.pool.stage import build_pool
from instruct_scaling.data.synthetic import generate_items
from tests.studies import ROOT, tiny_study

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def web(httpserver, tmp_path, monkeypatch):
    """A study whose pool and eval set are files of a web server."""
    monkeypatch.setenv(fetch.CACHE, str(tmp_path / "cache"))
    monkeypatch.delenv(fetch.OFFLINE, raising=False)
    texts = {
        "/pool.jsonl": [{"instruction": f"Say {n}.", "output": str(n)} for n in range(9)],
        "/items.jsonl": [{"category": "math", "prompt": "1 + 1?", "reference": "2"}],
    }
    sources = {}
    for path, rows in texts.items():
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        httpserver.expect_request(path).respond_with_data(content)
        sources[path] = {
            "type": "url",
            "url": httpserver.url_for(path),
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
        }
    sources["/pool.jsonl"]["license"] = "CC0-1.0"
    study = tiny_study()
    study["pools"] = {
        name: {"sources": [sources["/pool.jsonl"] | more]}
        for name, more in {"all": {}, "few": {"sample": 4}}.items()
    }
    for arm in study["arms"].values():
        arm["pool"] = "all"
    study["evalset"] = {"sources": [sources["/items.jsonl"]]}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study), "utf-8")
    return path


def test_copies_of_all_files_replace_the_network(web, httpserver, tmp_path, monkeypatch, capsys):
    copies = tmp_path / "copies"
    prefetch(web, copies)
    assert "CC0-1.0" in capsys.readouterr().out
    assert len(httpserver.log) == 2, "two pools on one file, and the eval set"
    study = load_study(web)
    assert all((copies / location(file.url)).is_file() for file in web_files(study))
    monkeypatch.setenv(fetch.OFFLINE, str(copies))
    monkeypatch.setenv(fetch.CACHE, str(tmp_path / "empty"))
    items = list(generate_items(1, 0, ("math",)))
    audit = build_pool(study.pools["all"], items, tmp_path / "records")
    assert audit["kept"] == 9
    [source] = audit["by_source"]
    assert (source["source"], source["license"]) == ("pool.jsonl", "CC0-1.0")
    assert source["location"] == study.pools["all"].sources[0].url
    assert len(httpserver.log) == 2
    prefetch(web, copies)


def test_a_study_without_web_sources_says_so(tmp_path, capsys):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(tiny_study()), "utf-8")
    prefetch(path, None)
    assert capsys.readouterr().out == "the study takes nothing from the web\n"


def test_pinned_repositories_of_the_hub_are_listed_once():
    study = load_study(ROOT / "studies" / "bloomz-7b1-mt.yaml")
    [model] = [one for one in hub_snapshots(study) if one.kind == "model"]
    [base] = study.bases.values()
    assert model == Snapshot(base.model, base.revision, "model")


def test_a_hub_data_set_is_read_from_its_copy(tmp_path, monkeypatch):
    url = fetch.snapshot_url("owner/name", COMMIT, "dataset")
    folder = tmp_path / location(url)
    folder.mkdir(parents=True)
    rows = [{"instruction": f"Say {n}.", "output": str(n)} for n in range(3)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    monkeypatch.setenv(fetch.OFFLINE, str(tmp_path))
    source = {"type": "hub", "dataset": "owner/name", "revision": COMMIT}
    items = list(generate_items(1, 0, ("math",)))
    audit = build_pool(Pool.model_validate({"sources": [source]}), items, tmp_path / "records")
    assert audit["kept"] == 3
    assert audit["by_source"][0]["location"] == f"owner/name@{COMMIT}, split train"


def test_a_hub_that_does_not_answer_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="cannot be downloaded from the hub") as error:
        fetch.fetch_snapshot("owner/name", COMMIT, "dataset", tmp_path)
    assert error.value.where == f"owner/name at {COMMIT}"
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
