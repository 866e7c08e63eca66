"""Packed training against stock transformers, one example at a time: the gradients agree."""

from __future__ import annotations

import json

import pytest

from .conftest import run_ranks, tiny_model


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_gradients_agree_for_every_way_to_spread_a_batch(ranks, tmp_path):
    """ZeRO 1, 2, 3 x rows per rank 1, 2, 4 x recomputation x LoRA, below 1e-6 in fp32."""
    # DeepSpeed reads the model at every combination; dropout would make them differ.
    tiny_model(hidden_dropout=0.0, attention_dropout=0.0).save_pretrained(tmp_path / "base")
    run_ranks("tests.training.matrix", [tmp_path / "base", tmp_path], ranks)
    errors = json.loads((tmp_path / "errors.json").read_text("utf-8"))
    assert len(errors) == 2 * 3 * 3 * 2
    worst = max(errors, key=lambda name: errors[name]["gradient"])
    assert errors[worst]["gradient"] < 1e-6, (worst, errors[worst])
    assert max(error["loss"] for error in errors.values()) < 1e-6
