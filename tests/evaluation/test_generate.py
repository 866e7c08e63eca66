"""Every item gets one answer, whatever the batches and however often the run was stopped."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import BloomConfig, BloomForCausalLM, PreTrainedTokenizerFast

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import read_json, read_jsonl, write_jsonl
from instruct_scaling.common.records import EvalItem
from instruct_scaling.config.evaluation import Generate
from instruct_scaling.evaluation import generate as stage

PROMPTS = ["one", "two or three", "四", "a rather longer prompt than the others", "x", "last one"]


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    """A BLOOM with random weights and a byte-level tokenizer."""
    folder = tmp_path_factory.mktemp("model")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: index for index, piece in enumerate(["<pad>", "</s>", *alphabet])}
    bpe = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token="<pad>", eos_token="</s>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BloomConfig(
        vocab_size=len(vocabulary), hidden_size=32, n_layer=2, n_head=4, eos_token_id=1
    )
    BloomForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def items_file(tmp_path):
    path = tmp_path / "items.jsonl"
    write_jsonl(path, [EvalItem.make("math", prompt).to_row() for prompt in PROMPTS])
    return path


def run(model_folder, items_file, out, **changes):
    options = {"max_new_tokens": 8, "batch_size": 2} | changes
    stage.generate(
        model=model_folder,
        items=items_file,
        arm="full",
        scale=100,
        seed_label=1,
        generate=Generate(**options).model_dump_json(),
        template="Q: {prompt}\nA: ",
        generation_seed=7,
        out=out,
    )
    return [row for _, row in read_jsonl(out)]


def test_every_item_is_answered_once_in_its_order(model_folder, items_file, tmp_path):
    rows = run(model_folder, items_file, tmp_path / "responses.jsonl")
    assert [row["item"] for row in rows] == [row["id"] for _, row in read_jsonl(items_file)]
    assert all(0 < row["tokens"] <= 8 for row in rows)
    assert all(row["finish"] == ("length" if row["tokens"] == 8 else "stop") for row in rows)


def test_a_greedy_answer_does_not_depend_on_the_batch(model_folder, items_file, tmp_path):
    one = run(model_folder, items_file, tmp_path / "one.jsonl", batch_size=1)
    all_ = run(model_folder, items_file, tmp_path / "all.jsonl", batch_size=6)
    assert one == all_


def test_sampling_repeats_with_its_seed_and_differs_from_greedy(model_folder, items_file, tmp_path):
    first = run(model_folder, items_file, tmp_path / "a.jsonl", temperature=1.0)
    again = run(model_folder, items_file, tmp_path / "b.jsonl", temperature=1.0)
    greedy = run(model_folder, items_file, tmp_path / "c.jsonl")
    assert first == again
    assert [row["text"] for row in first] != [row["text"] for row in greedy]


def test_a_stopped_run_goes_on_and_ends_the_same(model_folder, items_file, tmp_path, monkeypatch):
    whole = run(model_folder, items_file, tmp_path / "whole.jsonl")
    generate, calls = stage.generate_batch, []

    def stops_after_one_batch(*arguments):
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return generate(*arguments)

    out = tmp_path / "stopped.jsonl"
    monkeypatch.setattr(stage, "generate_batch", stops_after_one_batch)
    with pytest.raises(KeyboardInterrupt):
        run(model_folder, items_file, out)
    (partial,) = tmp_path.glob(".stopped.jsonl.*.partial")
    partial.write_bytes(partial.read_bytes() + b'{"id": "torn')

    counted = []
    monkeypatch.setattr(
        stage, "generate_batch", lambda *rest: counted.append(len(rest[2])) or generate(*rest)
    )
    assert run(model_folder, items_file, out) == whole
    assert sum(counted) == len(PROMPTS) - 2
    assert not partial.exists()


def test_a_partial_file_of_other_settings_is_not_used(model_folder, items_file, tmp_path):
    out = tmp_path / "responses.jsonl"
    stale = tmp_path / ".responses.jsonl.0123456789abcdef.partial"
    stale.write_text("{}", "utf-8")
    run(model_folder, items_file, out)
    assert stale.exists()


def test_provenance_names_model_items_and_settings(model_folder, items_file, tmp_path):
    run(model_folder, items_file, tmp_path / "responses.jsonl")
    made_by = read_json(tmp_path / "responses.provenance.json")
    assert made_by["identity"]["generation_seed"] == 7
    assert set(made_by["inputs"]) == {"model", "items"}


def test_an_empty_folder_is_an_input_error(items_file, tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(InputError, match="no model can be loaded"):
        run(tmp_path / "model", items_file, tmp_path / "responses.jsonl")


def test_an_eval_set_without_items_is_an_input_error(model_folder, tmp_path):
    (tmp_path / "items.jsonl").write_text("", "utf-8")
    with pytest.raises(InputError, match="no rows"):
        run(model_folder, tmp_path / "items.jsonl", tmp_path / "responses.jsonl")


def test_line_separators_in_an_answer_do_not_tear_the_partial_file(tmp_path):
    row = {
        "id": "r", "item": "i", "category": "math", "arm": "a", "scale": 1, "seed": 1,
        "text": "one\u2028two", "prompt_tokens": 1, "tokens": 1, "finish": "stop",
    }  # fmt: skip
    partial = tmp_path / "partial"
    partial.write_text(json.dumps(row, ensure_ascii=False) + "\n", "utf-8")
    assert stage.read_partial(partial)["i"].text == "one\u2028two"


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 9))
def test_batches_hold_every_index_once_and_are_sorted_by_length(lengths, batch_size):
    batches = stage.batches_by_length(lengths, batch_size)
    flat = [index for batch in batches for index in batch]
    assert sorted(flat) == list(range(len(lengths)))
    assert all(len(batch) <= batch_size for batch in batches)
    assert [lengths[index] for index in flat] == sorted(lengths, reverse=True)
