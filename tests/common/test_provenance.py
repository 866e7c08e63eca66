"""What an artifact says about where it comes from."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling import __version__
from instruct_scaling.common import provenance as module
from instruct_scaling.common.provenance import identity_hash, package_versions, provenance
from instruct_scaling.common.versions import STAGE_VERSIONS

VALUES = st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=6)


@given(VALUES, st.randoms())
def test_the_order_of_keys_does_not_change_an_identity(value, random):
    items = list(value.items())
    random.shuffle(items)
    permuted = dict(items)
    assert identity_hash(permuted) == identity_hash(value)
    assert identity_hash({"outer": [permuted]}) == identity_hash({"outer": [value]})


def test_permuted_keys_have_one_hash_and_other_values_another():
    one = {"learning_rate": 1e-3, "batch_size": 8}
    assert identity_hash(one) == identity_hash(dict(reversed(one.items())))
    assert identity_hash(one) != identity_hash(one | {"batch_size": 16})
    assert identity_hash({"text": "好"}) != identity_hash({"text": "坏"})


def test_an_identity_hash_is_the_same_everywhere():
    # Work folders are named after it: another one would lose every unfinished run.
    assert identity_hash({"b": 1, "a": ["好", None, 0.5]}) == "c4f82537ade9dfed"


def test_provenance_names_stage_version_identity_inputs_and_packages():
    found = provenance("pool", {"sources": []}, {"a.jsonl": "0" * 64})
    assert found["stage"] == "pool"
    assert found["stage_version"] == STAGE_VERSIONS["pool"]
    assert found["instruct_scaling"] == __version__
    assert found["identity"] == {"sources": []}
    assert found["identity_hash"] == identity_hash({"sources": []})
    assert found["inputs"] == {"a.jsonl": "0" * 64}
    assert found["packages"]["numpy"] == package_versions()["numpy"]
    with pytest.raises(KeyError):
        provenance("no-such-stage", {}, {})


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with one committed module in place of this package."""
    for cached in (module.git_commit, module.source_hash):
        cached.cache_clear()
    monkeypatch.setattr(module, "PACKAGE_ROOT", tmp_path)
    (tmp_path / "a.py").write_text("x = 1\n", "utf-8")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@t"]
    for arguments in (["init", "-q"], ["add", "a.py"], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *arguments], check=True, capture_output=True)
    yield tmp_path
    for cached in (module.git_commit, module.source_hash):
        cached.cache_clear()


def test_an_edited_source_shows_in_commit_and_hash(checkout):
    commit, before = module.git_commit(), module.source_hash()
    assert len(commit) == 12
    assert len(before) == 16
    module.git_commit.cache_clear()
    module.source_hash.cache_clear()
    (checkout / "a.py").write_text("x = 2\n", "utf-8")
    assert module.git_commit() == f"{commit}+"
    assert module.source_hash() != before


def test_a_renamed_source_has_another_hash(checkout):
    before = module.source_hash()
    module.source_hash.cache_clear()
    (checkout / "a.py").rename(checkout / "b.py")
    assert module.source_hash() != before


def test_a_source_in_a_subfolder_counts_in_the_hash(checkout):
    before = module.source_hash()
    module.source_hash.cache_clear()
    (checkout / "data").mkdir()
    (checkout / "data" / "b.py").write_text("y = 1\n", "utf-8")
    assert module.source_hash() != before


def test_outside_a_repository_there_is_no_commit(tmp_path, monkeypatch):
    module.git_commit.cache_clear()
    monkeypatch.setattr(module, "PACKAGE_ROOT", tmp_path)
    assert module.git_commit() is None
    module.git_commit.cache_clear()
