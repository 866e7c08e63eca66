"""The loss of records under an untuned base: transformers' own, record by record."""

from __future__ import annotations

import json

import pytest
import torch

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import Record
from instruct_scaling.config.annotations import BaseLossAnnotation
from instruct_scaling.data.annotations.store import read_annotation
from instruct_scaling.data.encoding import encode_records
from instruct_scaling.training import base_loss
from instruct_scaling.training.base_loss import base_losses
from tests.stages import run_stage
from tests.training.conftest import make_records, tiny_model, write_pool

CONFIG = {"type": "base_loss", "base": "tiny", "template": "Q: {prompt} A: ", "precision": "fp32"}


def stock_loss(model, example):
    """The mean loss as transformers computes it, with labels for the answer alone."""
    tokens = torch.from_numpy(example.tokens).long()[None]
    labels = torch.full_like(tokens, -100)
    for first, stop in example.spans:
        labels[0, first:stop] = tokens[0, first:stop]
    with torch.no_grad():
        return float(model(input_ids=tokens, labels=labels).loss)


@pytest.fixture(scope="module")
def bloom(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("bases") / "bloom"
    tiny_model().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def gpt(tmp_path_factory, tokenizer):
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    folder = tmp_path_factory.mktemp("bases") / "gpt"
    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=320,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=256,
    )
    GPTNeoXForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["bloom", "gpt"])
@pytest.mark.parametrize(("window", "row"), [(2048, 2048), (7, 64)])
def test_losses_are_those_of_each_record_alone(kind, window, row, request, tokenizer, monkeypatch):
    from transformers import AutoModelForCausalLM

    base = request.getfixturevalue(kind)
    monkeypatch.setattr(base_loss, "WINDOW", window)
    monkeypatch.setattr(base_loss, "ROW_TOKENS", {"cpu": row})
    config = BaseLossAnnotation(**CONFIG, max_length=48)
    records = make_records(24)
    found = list(base_losses(records, base, config, torch.device("cpu")))
    model = AutoModelForCausalLM.from_pretrained(base).eval()
    encoded = encode_records(records, tokenizer, config.template, config.max_length)
    expected = [stock_loss(model, example) for example in encoded]
    assert found == pytest.approx(expected, rel=1e-4)
    assert len(set(found)) == len(found)


def test_fp16_on_a_cpu_is_refused(bloom):
    config = BaseLossAnnotation(**CONFIG | {"precision": "fp16"})
    with pytest.raises(InputError, match="fp16 needs a GPU"):
        next(base_losses(make_records(1), bloom, config, torch.device("cpu")))


def test_the_stage_gives_every_record_its_loss(tmp_path, bloom):
    records = [*make_records(5), Record.make("Repeat: 1", "1")]
    pool = write_pool(tmp_path / "pool", records)
    options = ["--records", pool, "--annotation", json.dumps(CONFIG)]
    run_stage("annotation", *options, "--base", bloom, "--out", tmp_path / "a.parquet")
    found = read_annotation(tmp_path / "a.parquet")
    assert list(found) == [record.id for record in records]
    assert all(loss > 0 for loss in found.values())
