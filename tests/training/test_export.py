"""The exported model: what stock transformers loads, what the card says, and what is refused."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from instruct_scaling.common.files import write_json
from instruct_scaling.training import export
from tests.data.chat_families import make_tokenizer

LORA = {
    "method": "lora",
    "rank": 4,
    "alpha": 12,
    "dropout": 0.1,
    "targets": ["query_key_value", "dense"],
}


def test_lora_exports_the_merged_model_and_its_adapter(group, run):
    lora = run(tuning=LORA, learning_rate=1e-2, epochs=1)
    train = lora.tune(group)
    assert train["parameters"]["trainable"] < train["parameters"]["total"] / 5
    config = json.loads((lora.model / "adapter" / "adapter_config.json").read_text("utf-8"))
    assert (config["r"], config["lora_alpha"], config["lora_dropout"]) == (4, 12, 0.1)
    merged = AutoModelForCausalLM.from_pretrained(lora.model)
    base = AutoModelForCausalLM.from_pretrained(lora.inputs / "base")
    changed = {
        name
        for (name, left), right in zip(merged.named_parameters(), base.parameters(), strict=True)
        if not torch.equal(left, right)
    }
    assert changed == {
        f"transformer.h.{layer}.self_attention.{target}.weight"
        for layer in (0, 1)
        for target in ("query_key_value", "dense")
    }


@pytest.mark.parametrize("method", ["embedding", "frozen_embedding"])
def test_frozen_weights_stay_as_they_were(group, run, method):
    one = run(tuning={"method": method}, epochs=1)
    one.tune(group)
    tuned = AutoModelForCausalLM.from_pretrained(one.model)
    base = AutoModelForCausalLM.from_pretrained(one.inputs / "base")
    changed = {
        name
        for (name, left), right in zip(tuned.named_parameters(), base.parameters(), strict=True)
        if not torch.equal(left, right)
    }
    embedding = {"transformer.word_embeddings.weight"}
    every = {name for name, _ in base.named_parameters()}
    assert changed == (embedding if method == "embedding" else every - embedding)


@pytest.mark.parametrize("tuning", [{"method": "full"}, LORA])
def test_bf16_is_exported_in_bf16_and_answers(group, run, tuning):
    one = run(precision="bf16", epochs=1, tuning=tuning)
    train = one.tune(group)
    assert train["export"]["reloaded_probe_loss"] == pytest.approx(
        train["export"]["probe_loss"], rel=0.03
    )
    model = AutoModelForCausalLM.from_pretrained(one.model)
    assert (type(model).__name__, model.dtype) == ("BloomForCausalLM", torch.bfloat16)
    tokenizer = AutoTokenizer.from_pretrained(one.model)
    prompt = tokenizer("Human: Repeat: 1\n\nAssistant: ", return_tensors="pt")
    assert model.generate(**prompt, max_new_tokens=2).shape[1] > prompt["input_ids"].shape[1]


def test_an_export_that_is_not_the_trained_model_is_refused(group, run, monkeypatch):
    written = export.write_model

    def damage(folder, tuned, weights, *rest):
        name = "transformer.ln_f.weight"
        written(folder, tuned, weights | {name: weights[name] * 1.05}, *rest)

    monkeypatch.setattr(export, "write_model", damage)
    one = run(epochs=1)
    message = one.refused(group, save_steps=6)
    assert "the exported model's loss is" in message
    assert not one.model.exists()
    assert not (one.folder / "train.json").exists()
    assert one.checkpoints() == [6]


def test_the_card_states_where_a_model_comes_from(run):
    recipe = run(max_grad_norm=0.3, zero_stage=3).pipeline_inputs().recipe
    summary = {
        "base": {"name": "tiny", "weights_sha256": "ab12"},
        "data": {"examples": 48, "subset_sha256": "cd34"},
        "steps": 12,
        "epochs": 2.0,
        "tokens": {"total": 4000, "supervised": 1300},
        "loss": {"last": 1.23456, "unit": "nats per supervised token"},
    }
    made = {"identity": {"arm": "full"}, "identity_hash": "ef56", "instruct_scaling": "1"}
    card = export.model_card(summary, made | {"commit": "gh78"}, recipe, "Q: {prompt}", "A note.")
    for stated in ("ab12", "cd34", "ef56", "gh78", "1.2346", "Q: {prompt}", "A note."):
        assert stated in card
    assert "12 of 8 examples (2 epochs)" in card
    assert '"max_grad_norm": 0.3' in card
    assert '"arm": "full"' in card
    assert "zero_stage" not in card  # decides no weight

    chat = export.model_card(summary, made | {"commit": "gh78"}, recipe, "chat")
    assert "put into the tokenizer's chat template" in chat


@pytest.mark.parametrize(
    ("settings", "template", "wanted"),
    [
        (None, "{prompt}", "<|end_of_text|>"),
        (None, "chat", ["<|eot_id|>", "<|end_of_text|>"]),
        ("<|end_of_text|>", "{prompt}", "<|end_of_text|>"),
        ("<|end_of_text|>", "chat", ["<|end_of_text|>", "<|eot_id|>"]),
        (["<|begin_of_text|>", "<|eot_id|>"], "{prompt}",
         ["<|begin_of_text|>", "<|eot_id|>", "<|end_of_text|>"]),
    ],
)  # fmt: skip
def test_a_server_stops_where_answers_end(tmp_path, settings, template, wanted):
    tokenizer = make_tokenizer("llama3")
    tokenizer.save_pretrained(tmp_path)
    if settings is not None:
        write_json(
            tmp_path / "generation_config.json",
            {"top_k": 5, "eos_token_id": tokenizer.convert_tokens_to_ids(settings)},
        )
    export.write_end_tokens(tmp_path, template)
    written = GenerationConfig.from_pretrained(tmp_path)
    assert written.eos_token_id == tokenizer.convert_tokens_to_ids(wanted)
    assert settings is None or written.top_k == 5


def test_a_server_is_given_the_text_of_training_as_chat_template(tmp_path):
    """The base's own chat template would be another prompt."""
    make_tokenizer("llama3").save_pretrained(tmp_path)
    before = AutoTokenizer.from_pretrained(tmp_path).chat_template
    export.write_chat_template(tmp_path, "chat")
    assert AutoTokenizer.from_pretrained(tmp_path).chat_template == before
    export.write_chat_template(tmp_path, "Q: {prompt}\nA:\n")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    turns = [{"role": "user", "content": "Hi"}]
    served = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert served == "Q: Hi\nA:\n"


def test_sharded_weights_of_a_base_have_one_hash():
    hashes = {"base/model-1.safetensors": "a", "base/model-2.safetensors": "b", "subset": "c"}

    def weights(found):
        return export.weights_hash(found)

    assert weights({"base/model.safetensors": "a", "subset": "c"}) == "a"
    assert len({weights(hashes), weights(hashes | {"base/model-2.safetensors": "x"})}) == 2
