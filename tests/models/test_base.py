"""The base stage: a tiny model built or shipped, a local folder linked, a hub id pinned."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from transformers import AutoModelForCausalLM, AutoTokenizer

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import sha256_file
from instruct_scaling.common.versions import STAGE_VERSIONS
from instruct_scaling.config.bases import PretrainedBase, TinyBase
from instruct_scaling.data.synthetic import generate_records, generate_text
from instruct_scaling.models.base import training
from instruct_scaling.models.base.pretrained import bring_pretrained, check_model, count_parameters
from instruct_scaling.models.base.stage import SHIPPED, is_shipped
from instruct_scaling.models.base.stage import base as base_stage
from instruct_scaling.models.base.tiny import (
    TOKENIZER_DOCUMENTS,
    VALIDATION_DOCUMENTS,
    build_model,
    train_tokenizer,
)
from instruct_scaling.models.base.training import (
    batches,
    encode,
    learning_rate_share,
    unigram_loss,
)

SMALL = {
    "type": "tiny",
    "vocab_size": 600,
    "hidden_size": 48,
    "layers": 1,
    "heads": 2,
    "text_documents": 400,
    "steps": 80,
    "batch_tokens": 1024,
    "learning_rate": 1e-2,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("bases") / "small"
    base_stage(json.dumps(SMALL), out)
    return out


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(generate_text(400, 0), 600)


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_any_text_round_trips(tokenizer, text):
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_records_in_both_languages_round_trip(tokenizer):
    for record in generate_records(240, 0):
        ids = tokenizer(record.prompt)["input_ids"]
        assert tokenizer.decode(ids) == record.prompt
        assert tokenizer.unk_token_id not in ids


def test_a_word_has_the_same_pieces_wherever_it_stands(tokenizer):
    def pieces(text):
        return tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"])

    def occurs(part, whole):
        return any(whole[i : i + len(part)] == part for i in range(len(whole)))

    assert occurs(pieces("Anna"), pieces("Who? Anna is"))
    assert occurs(pieces("Anna"), pieces("Who?\nAnna is"))
    assert occurs(pieces("小红")[1:], pieces("陈杰和小红在公园"))
    assert occurs(pieces("048")[1:], pieces("2048"))


def test_a_document_ends_with_the_end_token(tokenizer):
    texts = list(generate_text(40, 0))
    documents = encode(texts, tokenizer)
    assert len(documents) == len(texts)
    for text, tokens in zip(texts, documents, strict=True):
        assert tokens.tolist() == [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]


def test_a_pass_draws_no_document_twice_and_the_next_pass_another_order():
    documents = [np.full(4, number, dtype=np.int32) for number in range(50)]
    drawn = batches(documents, 30, 0)  # 10 documents of 3 predicted tokens each
    first, second = ([next(drawn) for _ in range(5)] for _ in range(2))
    assert all(len(batch) == 10 for batch in first)

    def order(batches):
        return [int(tokens[0]) for batch in batches for tokens in batch]

    assert sorted(order(first)) == sorted(order(second)) == list(range(50))
    assert order(first) != order(second)


def test_a_batch_holds_whole_documents_until_it_predicts_enough_tokens():
    documents = [np.zeros(length, dtype=np.int32) for length in (2, 9, 17, 5, 12) * 9]
    drawn = batches(documents, 20, 3)
    for batch in (next(drawn) for _ in range(40)):
        predicted = [len(tokens) - 1 for tokens in batch]
        assert sum(predicted) >= 20 > sum(predicted[:-1])


def test_text_for_less_than_one_batch_is_one_batch():
    documents = [np.zeros(5, dtype=np.int32)] * 3
    drawn = batches(documents, 4096, 0)
    assert [len(next(drawn)) for _ in range(4)] == [3, 3, 3, 3]


def test_the_learning_rate_rises_to_its_peak_and_falls_to_a_twentieth():
    shares = [learning_rate_share(step, 1500) for step in range(1500)]
    assert shares[0] == pytest.approx(1 / 30)
    assert shares[29] == shares[30] == 1
    assert shares[:30] == sorted(shares[:30])
    assert shares[30:] == sorted(shares[30:], reverse=True)
    assert shares[765] == pytest.approx(0.525)  # half way down
    assert shares[-1] == pytest.approx(0.05, abs=1e-5)


def test_every_step_takes_its_own_learning_rate(tokenizer, monkeypatch):
    documents = encode(list(generate_text(60, 0)), tokenizer)
    monkeypatch.setattr(training, "learning_rate_share", lambda step, steps: float(step == 0))
    weights = []
    for steps in (0, 1, 4):
        config = TinyBase(**SMALL | {"steps": steps})
        model = build_model(config, tokenizer)
        training.train(model, documents, config)
        weights.append(model.transformer.h[0].mlp.dense_h_to_4h.weight)
    assert not torch.equal(weights[0], weights[1])
    assert torch.equal(weights[1], weights[2])


def test_matrices_decay_and_biases_and_layer_norms_do_not(tokenizer, monkeypatch):
    documents = encode(list(generate_text(60, 0)), tokenizer)
    config = TinyBase(**SMALL | {"steps": 1})
    after = []
    for decay in (0.0, 9.0):
        monkeypatch.setattr(training, "WEIGHT_DECAY", decay)
        model = build_model(config, tokenizer)
        for parameter in model.parameters():
            torch.nn.init.ones_(parameter)
        training.train(model, documents, config)
        after.append(list(model.parameters()))
    for without, decayed in zip(*after, strict=True):
        assert torch.equal(without, decayed) is (without.dim() == 1)


def test_the_seconds_are_those_of_the_training_alone(tokenizer):
    documents = encode(list(generate_text(20, 0)), tokenizer)
    config = TinyBase(**SMALL | {"steps": 0})
    model = build_model(config, tokenizer)
    before = time.perf_counter()
    trained = training.train(model, documents, config)
    assert 0 < trained.seconds <= time.perf_counter() - before


def test_unigram_loss_is_the_cross_entropy_of_smoothed_frequencies():
    # Counts 3, 1 and 0, plus one each: probabilities 4/7, 2/7 and 1/7.
    documents = [np.array([0, 0]), np.array([0, 1])]
    validation = [np.array([2, 0, 1]), np.array([1, 2])]  # a first token is not predicted
    expected = -np.log([4 / 7, 2 / 7, 1 / 7]).mean()
    assert unigram_loss(documents, validation, 3) == pytest.approx(expected)


def test_tiny_base_beats_token_frequencies_and_loads_with_transformers(folder):
    facts = json.loads((folder / "base.json").read_text())
    assert facts["loss"]["validation"] < 0.8 * facts["loss"]["validation_unigram"]
    assert facts["loss"]["training"] < 0.8 * facts["loss"]["validation_unigram"]  # at its end
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert type(model).__name__ == "BloomForCausalLM"
    assert facts["parameters"] == sum(p.numel() for p in model.parameters())
    assert model.config.eos_token_id == tokenizer.eos_token_id
    prompt = tokenizer(["Anna is", "小红在"], return_tensors="pt", padding=True)
    out = model.generate(**prompt, max_new_tokens=4, do_sample=False)
    assert out.shape[0] == 2


def mean_loss(folder, texts):
    """Mean loss of each token after a document's first, by transformers alone."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.float32
    total, count = 0.0, 0
    with torch.no_grad():
        for tokens in encode(texts, AutoTokenizer.from_pretrained(folder)):
            row = torch.from_numpy(tokens.astype(np.int64))[None]
            total += model(input_ids=row, labels=row).loss.item() * (len(tokens) - 1)
            count += len(tokens) - 1
    return total / count


def test_the_validation_loss_is_that_of_the_saved_weights(folder):
    facts = json.loads((folder / "base.json").read_text())
    texts = list(generate_text(SMALL["text_documents"], 0))[: SMALL["text_documents"] // 2]
    assert mean_loss(folder, texts) == pytest.approx(facts["loss"]["validation"], rel=1e-4)


def test_base_folder_says_where_it_comes_from(folder):
    facts = json.loads((folder / "base.json").read_text())
    identity = facts["provenance"]["identity"]
    assert TinyBase(**identity) == TinyBase(**SMALL)
    assert 1 <= facts["tokens"]["seen"] / (SMALL["steps"] * SMALL["batch_tokens"]) < 1.1
    assert facts["provenance"]["packages"]["tokenizers"]
    assert "tiny BLOOM" in (folder / "README.md").read_text("utf-8")
    assert not list(folder.glob("*.bin"))


def test_the_same_config_gives_the_same_weights_and_another_seed_others(folder, tmp_path):
    base_stage(json.dumps(SMALL), tmp_path / "again")
    base_stage(json.dumps(SMALL | {"seed": 1}), tmp_path / "other")
    weights = (folder / "model.safetensors").read_bytes()
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == weights
    assert (tmp_path / "other" / "model.safetensors").read_bytes() != weights


def test_no_steps_give_an_untrained_model(tmp_path):
    base_stage(json.dumps(SMALL | {"steps": 0, "text_documents": 100}), tmp_path / "raw")
    facts = json.loads((tmp_path / "raw" / "base.json").read_text())
    assert facts["loss"]["training"] is None
    assert facts["tokens"]["seen"] == 0


def test_too_little_text_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="none to validate on"):
        base_stage(json.dumps(SMALL | {"text_documents": 1}), tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def shipped():
    """What `base.json` says of the base in the package."""
    return json.loads((SHIPPED / "base.json").read_text())


def test_the_shipped_base_is_that_of_the_default_recipe(shipped):
    recipe = TinyBase(type="tiny")
    assert shipped["provenance"]["identity"] == recipe.model_dump(mode="json")
    assert shipped["provenance"]["stage_version"] == STAGE_VERSIONS["base"]
    assert is_shipped(recipe)
    assert not is_shipped(recipe.model_copy(update={"seed": 1}))


def test_the_shipped_files_are_those_that_were_written(shipped):
    found = {path.name: sha256_file(path) for path in SHIPPED.iterdir()}
    del found["base.json"], found["README.md"]
    assert found == shipped["sha256"]
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 4e6
    assert not any(b"/work" in path.read_bytes() for path in SHIPPED.glob("*.json"))


def test_the_shipped_tokenizer_comes_from_the_present_text(tmp_path):
    recipe = TinyBase(type="tiny")
    texts = generate_text(TOKENIZER_DOCUMENTS, recipe.seed)
    train_tokenizer(texts, recipe.vocab_size).save_pretrained(tmp_path)
    trained = (tmp_path / "tokenizer.json").read_bytes()
    assert trained == (SHIPPED / "tokenizer.json").read_bytes()


def test_the_shipped_weights_have_the_recorded_loss_on_the_present_text(shipped):
    texts = list(generate_text(VALIDATION_DOCUMENTS, TinyBase(type="tiny").seed))
    assert mean_loss(SHIPPED, texts) == pytest.approx(shipped["loss"]["validation"], rel=1e-4)
    assert shipped["loss"]["validation"] < 0.1 * shipped["loss"]["validation_unigram"]


def test_the_default_recipe_is_copied_and_trained_only_on_request(tmp_path, monkeypatch):
    base_stage('{"type": "tiny"}', tmp_path / "base")
    assert sha256_file(tmp_path / "base") == sha256_file(SHIPPED)

    def build(config, folder):
        raise InputError("this would be trained", where=str(config.seed))

    monkeypatch.setattr("instruct_scaling.models.base.tiny.build_tiny", build)
    for section, train in (({"type": "tiny"}, True), ({"type": "tiny", "seed": 7}, False)):
        with pytest.raises(InputError, match="would be trained"):
            base_stage(json.dumps(section), tmp_path / "trained", train)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_damaged_shipped_file_is_refused(tmp_path, monkeypatch, name):
    damaged = tmp_path / "shipped"
    shutil.copytree(SHIPPED, damaged)
    monkeypatch.setattr("instruct_scaling.models.base.stage.SHIPPED", damaged)
    content = bytearray((damaged / name).read_bytes())
    content[-1] ^= 1
    (damaged / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: missing, or not the file"):
        base_stage('{"type": "tiny"}', tmp_path / "base")
    (damaged / name).unlink()
    with pytest.raises(InputError, match=rf"{name}: missing, or not the file"):
        base_stage('{"type": "tiny"}', tmp_path / "base")
    assert not (tmp_path / "base").exists()


def test_a_local_model_is_linked(folder, tmp_path):
    out = tmp_path / "linked"
    base_stage(json.dumps({"type": "pretrained", "model": str(folder)}), out)
    assert (out / "model.safetensors").is_symlink()
    AutoModelForCausalLM.from_pretrained(out)
    AutoTokenizer.from_pretrained(out)
    facts = json.loads((out / "base.json").read_text())
    assert facts["type"] == "pretrained"
    assert facts["sha256"]["model.safetensors"]
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert facts["parameters"] == sum(p.numel() for p in model.parameters())
    assert json.loads((folder / "base.json").read_text())["type"] == "tiny"


def test_sharded_weights_are_counted_and_a_missing_shard_is_named(folder, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.save_pretrained(tmp_path, max_shard_size="40KB")
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path)
    check_model(tmp_path)
    assert count_parameters(tmp_path) == count_parameters(folder)
    gone = sorted(tmp_path.glob("model-*.safetensors"))[0]
    gone.unlink()
    with pytest.raises(InputError, match=gone.name):
        check_model(tmp_path)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", "no model here"),
        ("model.safetensors", "no safetensors weights"),
        ("tokenizer.json", "no tokenizer"),
    ],
)
def test_an_incomplete_local_folder_is_refused(folder, tmp_path, missing, message):
    part = tmp_path / "part"
    part.mkdir()
    for path in folder.iterdir():
        if path.name != missing:
            (part / path.name).symlink_to(path)
    with pytest.raises(InputError, match=message):
        bring_pretrained(PretrainedBase(type="pretrained", model=str(part)), tmp_path / "out")


def test_pickled_weights_are_refused_with_the_way_out(folder, tmp_path):
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(InputError, match="save_pretrained"):
        check_model(tmp_path)


def test_a_missing_folder_is_refused(tmp_path):
    section = PretrainedBase(type="pretrained", model=str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="no such folder"):
        bring_pretrained(section, tmp_path / "out")


def test_a_hub_id_needs_a_revision():
    with pytest.raises(ValidationError, match="revision"):
        PretrainedBase(type="pretrained", model="bigscience/bloomz-7b1-mt")


def test_width_must_split_into_heads():
    with pytest.raises(ValidationError, match="multiple of heads"):
        TinyBase(type="tiny", hidden_size=100, heads=6)


def test_an_unreachable_hub_is_one_clear_error(tmp_path, monkeypatch):
    import huggingface_hub

    def unreachable(*args, **kwargs):
        raise RuntimeError("name resolution failed")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    section = PretrainedBase(type="pretrained", model="some/model", revision="0" * 40)
    with pytest.raises(InputError, match=r"some/model at 0+: cannot be downloaded.*resolution"):
        bring_pretrained(section, tmp_path / "out")


def run_cli(section: str, out: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "instruct_scaling", "base", "--base", section, "--out", out],
        capture_output=True,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        timeout=120,
    )


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{", "--base"),
        ('{"type": "tiny", "width": 3}', "--base tiny.width"),
        ('{"type": "pretrained", "model": "some/model"}', "revision"),
        ('{"type": "pretrained", "model": "/no/such/folder"}', "no such folder"),
        (
            json.dumps({"type": "pretrained", "model": "a/b", "revision": "0" * 40}),
            "cannot be downloaded",
        ),
    ],
)
def test_command_line_reports_bad_input_without_traceback(tmp_path, section, message):
    run = run_cli(section, str(tmp_path / "out"))
    assert run.returncode == 2
    assert "error:" in run.stderr
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "out").exists()
