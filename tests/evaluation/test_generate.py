"""Every item gets one answer, whatever the batches and however often the run was stopped."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, BloomConfig, BloomForCausalLM, PreTrainedTokenizerFast

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import read_json, read_jsonl, write_jsonl
from instruct_scaling.common.records import EvalItem, Message, content_id
from instruct_scaling.config.evaluation import Generate
from instruct_scaling.evaluation import decoding
from instruct_scaling.evaluation import generate as stage

# The model's answer is the rest of the alphabet up to j, by the last letter of the prompt.
ITEMS = [
    EvalItem.make("math", "a"),
    EvalItem.make("math", "the second to last letter is h"),
    EvalItem.make("math", "j"),
    EvalItem.make("open_qa", "the input decides", input="g"),
    EvalItem.make("open_qa", "e"),
    EvalItem.make("open_qa", "i"),
]
ANSWERS = ["bcde", "ij", "", "hij", "fghi", "j"]


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    """A BLOOM whose blocks add nothing, so that the next token depends on the current one alone,
    with an output layer that leads from a letter to the next and from j to the end token."""
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
    shape = {"vocab_size": len(vocabulary), "hidden_size": 64, "n_layer": 1, "n_head": 2}
    model = BloomForCausalLM(BloomConfig(**shape, eos_token_id=1, tie_word_embeddings=False)).eval()
    chain = [vocabulary[piece] for piece in [*"abcdefghij", "</s>"]]
    with torch.no_grad():
        for block in model.transformer.h:
            block.self_attention.dense.weight.zero_()
            block.mlp.dense_4h_to_h.weight.zero_()
        states = model.transformer(torch.tensor([chain[:-1]])).last_hidden_state[0]
        model.lm_head.weight.zero_()
        model.lm_head.weight[chain[1:]] = states
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def items_file(tmp_path):
    path = tmp_path / "items.jsonl"
    write_jsonl(path, [item.to_row() for item in ITEMS])
    return path


def run(
    model_folder,
    items_file,
    out,
    precision="fp32",
    generation_seed=7,
    template="Q: {prompt}",
    **changes,
):
    options = {"max_new_tokens": 4, "batch_size": 2} | changes
    stage.generate(
        model=model_folder,
        items=items_file,
        arm="full",
        scale=100,
        seed_label=3,
        generate=Generate(**options).model_dump_json(),
        template=template,
        precision=precision,
        generation_seed=generation_seed,
        out=out,
    )
    return [row for _, row in read_jsonl(out)]


def texts(rows):
    return [row["text"] for row in rows]


def test_every_item_is_answered_once_in_its_order(model_folder, items_file, tmp_path):
    rows = run(model_folder, items_file, tmp_path / "responses.jsonl")
    assert texts(rows) == ANSWERS
    assert [row["finish"] for row in rows] == ["length", "stop", "stop", "stop", "length", "stop"]
    assert [row["tokens"] for row in rows] == [4, 3, 1, 4, 4, 2]
    assert [row["prompt_tokens"] for row in rows] == [
        len(f"Q: {item.full_prompt}") for item in ITEMS
    ]
    for row, item in zip(rows, ITEMS, strict=True):
        assert (row["item"], row["category"]) == (item.id, item.category)
        assert (row["arm"], row["scale"], row["seed"]) == ("full", 100, 3)
        assert row["id"] == content_id("full", "100", "3", item.id, row["text"])


def test_what_follows_the_end_token_is_neither_counted_nor_read(model_folder):
    _, tokenizer = stage.load_model(model_folder, "fp32")
    letter, turn, pad, end = tokenizer.convert_tokens_to_ids(["k", "|", "<pad>", "</s>"])

    class Stub:
        device = torch.device("cpu")

        def generate(self, input_ids, **_):
            rows = [
                [letter, end, letter, letter],
                [letter] * 4,
                [end, pad, pad, pad],
                [letter, letter, turn, end],
            ]
            return torch.cat([input_ids, torch.tensor(rows)], 1)

    prompts = [[9], [9] * 6, [9, 8], [9]]
    options = Generate(max_new_tokens=4)
    answers = decoding.generate_batch(Stub(), tokenizer, prompts, [turn, end], options, range(4))
    assert answers == [
        decoding.Answer("k", 1, 2, "stop"),
        decoding.Answer("kkkk", 6, 4, "length"),
        decoding.Answer("", 2, 1, "stop"),
        decoding.Answer("kk", 1, 3, "stop"),
    ]


def test_the_chat_template_of_the_model_is_used_for_all_turns(model_folder, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # The model goes on from h to i, which is where this template ends an answer.
    tokenizer.add_tokens(["i"])
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role[0] }}:{{ m.content }}"
        "{% if m.role == 'assistant' %}i{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}f{% endif %}"
    )
    tokenizer.save_pretrained(folder)
    talk = [Message("system", "S"), Message("user", "b"), Message("assistant", "c")]
    items = [EvalItem.make("math", "a"), EvalItem.make("math", "d", history=talk)]
    write_jsonl(tmp_path / "items.jsonl", [item.to_row() for item in items])
    out = tmp_path / "responses.jsonl"
    rows = run(folder, tmp_path / "items.jsonl", out, template="chat", max_new_tokens=9)
    assert texts(rows) == ["gh", "gh"]
    assert [(row["tokens"], row["finish"]) for row in rows] == [(3, "stop")] * 2
    assert [row["prompt_tokens"] for row in rows] == [len("u:af"), len("s:Su:ba:ciu:df")]


def test_earlier_turns_stand_before_the_prompt(model_folder, tmp_path):
    talk = [Message("user", "b"), Message("assistant", "c")]
    item = EvalItem.make("math", "e", history=talk)
    write_jsonl(tmp_path / "items.jsonl", [item.to_row()])
    (row,) = run(model_folder, tmp_path / "items.jsonl", tmp_path / "responses.jsonl")
    assert row["text"] == "fghi"
    assert row["prompt_tokens"] == len("Q: b") + len("c") + 1 + len("Q: e")


@pytest.mark.parametrize(
    ("options", "processors"),
    [
        ({}, []),
        ({"temperature": 0.5}, ["TemperatureLogitsWarper", "Draws"]),
        (
            {"temperature": 0.5, "top_p": 0.9},
            ["TemperatureLogitsWarper", "TopPLogitsWarper", "Draws"],
        ),
    ],
)
def test_decoding_is_as_the_study_says_and_no_further_limit_applies(
    model_folder, options, processors
):
    _, tokenizer = stage.load_model(model_folder, "fp32")
    given = {}

    class Stub:
        device = torch.device("cpu")

        def generate(self, input_ids, attention_mask, logits_processor, **rest):
            given.update(rest, names=[type(one).__name__ for one in logits_processor])
            return torch.cat([input_ids, input_ids], 1)

    asked = Generate(max_new_tokens=4, **options)
    decoding.generate_batch(Stub(), tokenizer, [[9]], [7, 8], asked, [0])
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": [7, 8]}
    assert given == ends | {"max_new_tokens": 4, "do_sample": False, "names": processors}


def test_what_a_base_says_of_decoding_is_dropped_but_its_end_tokens(model_folder, tmp_path):
    """A penalty that one base brings would make its curve another measurement."""
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    brought = {"eos_token_id": [1, 70], "repetition_penalty": 5.0, "do_sample": True, "top_k": 3}
    (folder / "generation_config.json").write_text(json.dumps(brought), "utf-8")
    model, _ = stage.load_model(folder, "fp32")
    kept = model.generation_config.to_diff_dict()
    assert kept.pop("eos_token_id") == [1, 70]
    assert not kept.keys() & brought.keys()
    assert decoding.end_ids(model, [5, 1]) == [5, 1, 70]


def test_an_answer_stops_at_the_end_tokens_of_the_models_generation_config(
    model_folder, items_file, tmp_path
):
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    settings = {"eos_token_id": tokenizer.convert_tokens_to_ids("d")}
    (folder / "generation_config.json").write_text(json.dumps(settings), "utf-8")
    rows = run(folder, items_file, tmp_path / "responses.jsonl")
    assert texts(rows) == ["bc", *ANSWERS[1:]]
    assert (rows[0]["finish"], rows[0]["tokens"]) == ("stop", 3)


def test_a_tokenizer_without_a_padding_token_answers_the_same(model_folder, items_file, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    assert AutoTokenizer.from_pretrained(folder).pad_token_id is None
    assert texts(run(folder, items_file, tmp_path / "responses.jsonl")) == ANSWERS


def test_a_greedy_answer_does_not_depend_on_the_batch(model_folder, items_file, tmp_path):
    one = run(model_folder, items_file, tmp_path / "one.jsonl", batch_size=1)
    all_ = run(model_folder, items_file, tmp_path / "all.jsonl", batch_size=6)
    assert one == all_


def test_sampling_repeats_with_its_seed_and_narrows_to_greedy(model_folder, items_file, tmp_path):
    first = run(model_folder, items_file, tmp_path / "a.jsonl", temperature=20.0)
    again = run(model_folder, items_file, tmp_path / "b.jsonl", temperature=20.0)
    assert first == again
    assert texts(first) != ANSWERS
    other = run(
        model_folder, items_file, tmp_path / "d.jsonl", generation_seed=70, temperature=20.0
    )
    assert texts(other) != texts(first)
    nucleus = run(model_folder, items_file, tmp_path / "c.jsonl", temperature=20.0, top_p=1e-6)
    assert texts(nucleus) == ANSWERS


@pytest.mark.parametrize("temperature", [0.0, 20.0])
def test_neither_batches_nor_their_order_change_an_answer(
    model_folder, items_file, tmp_path, monkeypatch, temperature
):
    options = {"temperature": temperature, "max_new_tokens": 8}
    wanted = run(model_folder, items_file, tmp_path / "a.jsonl", **options)
    for name, more in (("b", {"batch_size": 6}), ("c", {"batch_tokens": 1}), ("d", {})):
        if name == "d":
            monkeypatch.setattr(
                decoding, "batches_by_length", lambda lengths, _: [[3, 0], [5, 1, 2], [4]]
            )
        assert (
            run(model_folder, items_file, tmp_path / f"{name}.jsonl", **options, **more) == wanted
        )


def test_tokens_are_drawn_with_their_probabilities():
    scores = torch.tensor([0.5, 0.2, 0.0, 0.3]).log().expand(4000, 4)
    (chosen,) = [decoding.Draws(range(4000))(torch.empty(0), scores)]
    assert (chosen.isfinite().sum(1) == 1).all()
    shares = chosen.isfinite().float().mean(0)
    torch.testing.assert_close(shares, scores[0].exp(), atol=0.03, rtol=0)
    assert shares[2] == 0


def stop_after(batches, monkeypatch):
    """Interrupt the next run after so many batches; returns the function before the change."""
    generate, calls = decoding.generate_batch, []

    def stops(*arguments):
        if len(calls) == batches:
            raise KeyboardInterrupt
        calls.append(1)
        return generate(*arguments)

    monkeypatch.setattr(decoding, "generate_batch", stops)
    return generate


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_a_stopped_run_continues_and_ends_the_same(
    model_folder, items_file, tmp_path, monkeypatch, kept
):
    """Stopped after a batch, within the next one, or within a line."""
    whole = run(model_folder, items_file, tmp_path / "whole.jsonl", temperature=20.0)
    out = tmp_path / "stopped.jsonl"
    generate = stop_after(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(model_folder, items_file, out, temperature=20.0)
    (partial,) = tmp_path.glob(".stopped.jsonl.*.partial")
    lines = [line for line in partial.read_bytes().split(b"\n") if line]
    assert len(lines) == 4
    partial.write_bytes(b"\n".join(lines[:kept]) + b"\n" + lines[kept][:30])

    counted = []
    monkeypatch.setattr(
        decoding, "generate_batch", lambda *rest: counted.append(len(rest[2])) or generate(*rest)
    )
    assert run(model_folder, items_file, out, temperature=20.0) == whole
    assert counted == [2] * (3 - kept // 2)
    assert not partial.exists()


def test_an_incomplete_line_does_not_spoil_the_next(
    model_folder, items_file, tmp_path, monkeypatch
):
    for attempt in (1, 2):
        stop_after(attempt, monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            run(model_folder, items_file, tmp_path / "stopped.jsonl")
        monkeypatch.undo()
        (partial,) = tmp_path.glob(".stopped.jsonl.*.partial")
        if attempt == 1:
            partial.write_bytes(partial.read_bytes()[:30])
    assert len(stage.read_partial(partial)) == 4


def test_a_partial_file_of_other_settings_or_items_is_not_used(
    model_folder, items_file, tmp_path, monkeypatch
):
    stop_after(1, monkeypatch)
    out, found = tmp_path / "responses.jsonl", []
    for options in ({}, {"precision": "bf16"}, {"generation_seed": 8}, {"items": ITEMS[::-1]}):
        items = options.pop("items", ITEMS)
        write_jsonl(items_file, [item.to_row() for item in items])
        stop_after(1, monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            run(model_folder, items_file, out, **options)
        monkeypatch.undo()
        found.append(len(list(tmp_path.glob(".responses.jsonl.*.partial"))))
    assert found == [1, 2, 3, 4]


@pytest.mark.parametrize("stored", ["float32", "bfloat16"])
@pytest.mark.parametrize(("precision", "used"), [("fp32", "float32"), ("bf16", "bfloat16")])
def test_a_model_answers_in_the_precision_asked_for(
    model_folder, tmp_path, stored, precision, used
):
    """The base in its stored type and a tuned model in its recipe's would be no pair."""
    folder = tmp_path / "model"
    model, tokenizer = stage.load_model(model_folder, "fp32")
    model.to(getattr(torch, stored)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    assert stage.load_model(folder, precision)[0].dtype == getattr(torch, used)


def test_fp16_needs_a_gpu(model_folder, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="fp16 needs a GPU"):
        stage.load_model(model_folder, "fp16")


def test_provenance_names_model_items_and_settings(model_folder, items_file, tmp_path):
    run(model_folder, items_file, tmp_path / "responses.jsonl", "bf16")
    made_by = read_json(tmp_path / "responses.provenance.json")
    assert made_by["identity"] == {
        "arm": "full",
        "scale": 100,
        "seed": 3,
        "generate": Generate(max_new_tokens=4, batch_size=2).model_dump(),
        "template": "Q: {prompt}",
        "precision": "bf16",
        "generation_seed": 7,
    }
    assert set(made_by["inputs"]) == {"model", "items"}


def test_an_empty_folder_is_an_input_error(items_file, tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(InputError, match="no model can be loaded"):
        run(tmp_path / "model", items_file, tmp_path / "responses.jsonl")


def test_line_separators_in_an_answer_do_not_tear_the_partial_file(tmp_path):
    row = {
        "id": "r", "item": "i", "category": "math", "arm": "a", "scale": 1, "seed": 1,
        "text": "one\u2028two", "prompt_tokens": 1, "tokens": 1, "finish": "stop",
    }  # fmt: skip
    partial = tmp_path / "partial"
    partial.write_text(json.dumps(row, ensure_ascii=False) + "\n", "utf-8")
    assert stage.read_partial(partial)["i"].text == "one\u2028two"


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 9), st.integers(1, 300))
def test_batches_hold_every_index_once_are_sorted_and_keep_both_bounds(lengths, size, tokens):
    options = Generate(max_new_tokens=10, batch_size=size, batch_tokens=tokens)
    batches = decoding.batches_by_length(lengths, options)
    flat = [index for batch in batches for index in batch]
    assert sorted(flat) == list(range(len(lengths)))
    assert [lengths[index] for index in flat] == sorted(lengths, reverse=True)
    for number, batch in enumerate(batches):
        places = len(batch) * (lengths[batch[0]] + 10)
        assert len(batch) == 1 or (len(batch) <= size and places <= tokens)
        if number < len(batches) - 1:  # no batch is smaller than it has to be
            assert len(batch) == size or places + lengths[batch[0]] + 10 > tokens


def test_ties_of_length_keep_their_order():
    options = Generate(batch_size=2)
    assert decoding.batches_by_length([1, 2, 1, 2, 1], options) == [[1, 3], [0, 2], [4]]
