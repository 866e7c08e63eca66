"""The base stage: a tiny model built here, a local folder linked, a hub id pinned."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from transformers import AutoModelForCausalLM, AutoTokenizer

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.bases import PretrainedBase, TinyBase
from instruct_scaling.data.synthetic import generate_records, generate_text
from instruct_scaling.models.base.pretrained import bring_pretrained, check_model, count_parameters
from instruct_scaling.models.base.stage import base as base_stage
from instruct_scaling.models.base.tiny import ROW_TOKENS
from instruct_scaling.models.base.tokenizer import train_tokenizer
from instruct_scaling.models.base.training import pack_rows, unigram_loss

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


def test_rows_hold_the_documents_with_end_tokens(tokenizer):
    texts = list(generate_text(40, 0))
    rows = pack_rows(texts, tokenizer, 16)
    stream = rows.flatten().tolist()
    first = tokenizer(texts[0])["input_ids"]
    assert stream[: len(first) + 1] == [*first, tokenizer.eos_token_id]
    assert rows.shape[1] == 16


def test_unigram_loss_of_a_uniform_text_is_the_log_of_its_vocabulary():
    rows = torch.arange(8).repeat(1000, 1)
    assert unigram_loss(rows, rows[:4], 8) == pytest.approx(torch.tensor(8.0).log().item())


def test_tiny_base_beats_token_frequencies_and_loads_with_transformers(folder):
    facts = json.loads((folder / "base.json").read_text())
    assert facts["loss"]["held_out"] < 0.8 * facts["loss"]["held_out_unigram"]
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert type(model).__name__ == "BloomForCausalLM"
    assert facts["parameters"] == sum(p.numel() for p in model.parameters())
    assert model.config.eos_token_id == tokenizer.eos_token_id
    prompt = tokenizer(["Anna is", "小红在"], return_tensors="pt", padding=True)
    out = model.generate(**prompt, max_new_tokens=4, do_sample=False)
    assert out.shape[0] == 2


def test_the_held_out_loss_is_that_of_the_saved_weights(folder):
    facts = json.loads((folder / "base.json").read_text())
    texts = list(generate_text(SMALL["text_documents"], 0))[:8]
    model = AutoModelForCausalLM.from_pretrained(folder)
    rows = pack_rows(texts, AutoTokenizer.from_pretrained(folder), ROW_TOKENS)
    with torch.no_grad():
        loss = model(input_ids=rows, labels=rows).loss.item()
    assert loss == pytest.approx(facts["loss"]["held_out"], rel=1e-3)


def test_base_folder_says_where_it_comes_from(folder):
    facts = json.loads((folder / "base.json").read_text())
    identity = facts["provenance"]["identity"]
    assert TinyBase(**identity) == TinyBase(**SMALL)
    assert facts["tokens"]["seen"] == SMALL["steps"] * SMALL["batch_tokens"]
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
    with pytest.raises(InputError, match="do not fill a row"):
        base_stage(json.dumps(SMALL | {"text_documents": 1}), tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


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
        ('{"type": "pretrained", "model": "a/b", "revision": "main"}', "cannot be downloaded"),
    ],
)
@pytest.mark.slow
def test_command_line_reports_bad_input_without_traceback(tmp_path, section, message):
    run = run_cli(section, str(tmp_path / "out"))
    assert run.returncode == 2
    assert "error:" in run.stderr
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "out").exists()
