"""Hashes from before the code was moved: the same pool and seed give the same subsets for good.

A failure here means that every finished study would draw other records. Do not adapt a hash; only
those of the last two tests may, with the records of the built-in generator and the version of
`pool`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from instruct_scaling.common.seeds import PURPOSES, VALIDATION_PURPOSE, derive_seed, rank_key
from instruct_scaling.config.evaluation import EvalSet
from instruct_scaling.config.pools import Pool
from instruct_scaling.data.encoding import encode_records, prompt_tokens
from instruct_scaling.data.evalset.stage import build_evalset
from instruct_scaling.data.pool.stage import build_pool
from instruct_scaling.data.pool.store import batch_records, iter_batches, read_ids, read_labels
from instruct_scaling.data.selection.ranking import draw_subset
from instruct_scaling.data.validation_set import draw_validation_set

IDS = [hashlib.blake2b(str(n).encode(), digest_size=16).hexdigest() for n in range(1000)]


def short_hash(ids):
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("seed", "record", "key"),
    [
        (0, "record", "ea7b1cda503116a5adf56b75cb3aab85"),
        (1, "record", "b0f40344ba10777ccba13a9c5fec963c"),
        (65522, "record", "4144e90095e1575811707533d03f2b6b"),
        (1, IDS[0], "c48162cb7ba3d375640a9aa39a6f851a"),
    ],
)
def test_the_key_that_ranks_a_record(seed, record, key):
    assert rank_key(seed, record).hex() == key


@pytest.mark.parametrize(
    ("study", "replicate", "seeds"),
    [
        (0, 1, [1588375064, 894540536, 1878857161, 1078422471, 1952046172, 748092323]),
        (0, 2, [1242282782, 1613963671, 752730762, 1322011695, 1785845687, 1578763843]),
        (7, 1, [1048260004, 684451870, 1628889759, 911179220, 398215587, 1780830060]),
        (0, 0, [2057454565, 728965024, 938937894, 1553078985, 1207682706, 2114120795]),
    ],
)
def test_the_seeds_of_a_replicate(study, replicate, seeds):
    purposes = [*PURPOSES, VALIDATION_PURPOSE]
    assert [derive_seed(study, replicate, purpose) for purpose in purposes] == seeds


@pytest.mark.parametrize(
    ("seed", "hashes"),
    [
        (0, ["300dc114cea0750b", "d4f7952f82b7d94f", "57d90d1f76abcaaf", "02395ac7c1e05eee"]),
        (1, ["10304f57061409da", "0f1f2a125c384778", "e45fbc1d5babf39c", "b7fa7bb8cc93cbe2"]),
        (65522, ["c5b724f2f8cc9354", "afd5cb6e72fa030b", "5b1e249bc8e38568", "b14a48bb3c2907cb"]),
        (
            2**31 - 1,
            ["3a59f43501bfac8e", "fbaac04e520ac045", "56beee20728aad22", "ec3fe2f325399bbd"],
        ),
    ],
)
def test_subsets_of_fixed_ids(seed, hashes):
    assert [short_hash(draw_subset(IDS, n, seed)) for n in (1, 10, 100, 1000)] == hashes


def test_a_validation_set_of_fixed_ids():
    records = [(one, ("math", "code", "cot", None)[n % 4]) for n, one in enumerate(IDS)]
    drawn = draw_validation_set(records, 25, 4)
    assert short_hash([record_id for record_id, _ in drawn]) == "b1c698c45f018199"


def test_pool_validation_set_and_subsets_of_a_small_study(tmp_path):
    """240 records of the built-in generator beside 24 eval items, study seed 0."""
    evalset = {"sources": [{"type": "synthetic", "items_per_category": 2}]}
    items, _ = build_evalset(EvalSet.model_validate(evalset))
    pool = {"sources": [{"type": "synthetic", "records": 240}]}
    build_pool(Pool.model_validate(pool), items, tmp_path / "records")

    labels = read_labels(tmp_path / "records")
    drawn = draw_validation_set(labels, 24, derive_seed(0, 0, VALIDATION_PURPOSE))
    reserved = {record_id for record_id, _ in drawn}
    assert short_hash([record_id for record_id, _ in drawn]) == "a7f9f31233fbe304"

    ids = [one for one in read_ids(tmp_path / "records") if one not in reserved]
    hashes = {
        (scale, replicate): short_hash(draw_subset(ids, scale, derive_seed(0, replicate, "subset")))
        for scale in (16, 32)
        for replicate in (1, 2)
    }
    assert hashes == {
        (16, 1): "3fcaa94bb4374b3e",
        (16, 2): "50a31bc4be07fa88",
        (32, 1): "cbbb9550dcf1b410",
        (32, 2): "e7afbe523a6da81a",
    }


def test_tokens_of_a_small_study_with_the_built_in_base(tmp_path):
    """The records above and the prompts of the items, as before start tokens and joint encoding."""
    evalset = {"sources": [{"type": "synthetic", "items_per_category": 2}]}
    items, _ = build_evalset(EvalSet.model_validate(evalset))
    pool = {"sources": [{"type": "synthetic", "records": 240}]}
    build_pool(Pool.model_validate(pool), items, tmp_path / "records")
    base = Path(__file__).parents[2] / "workflow/instruct_scaling/models/base/shipped"
    tokenizer = AutoTokenizer.from_pretrained(base)
    template = "Human: {prompt}\n\nAssistant: "
    records = [
        one for part in iter_batches(tmp_path / "records", 1000) for one in batch_records(part)
    ]

    trained = hashlib.sha256()
    for example in encode_records(records, tokenizer, template, 512):
        trained.update(example.tokens.tobytes() + example.spans.tobytes())
    assert trained.hexdigest()[:16] == "2172fdb78dfd32d7"
    given = hashlib.sha256()
    for item in items:
        given.update(repr(prompt_tokens(item.messages, tokenizer, template)).encode())
    assert given.hexdigest()[:16] == "9156d51c96dddd85"
