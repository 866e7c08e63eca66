"""Two ranks: their gradients are those of stock transformers, their memory is what is predicted."""

from __future__ import annotations

import json

import pytest

from .conftest import run_ranks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    from .two_ranks import make_bases  # imports DeepSpeed, which takes seconds

    folder = tmp_path_factory.mktemp("two_ranks")
    make_bases(folder)
    run_ranks("tests.training.two_ranks", [folder], 2)
    return json.loads((folder / "result.json").read_text("utf-8"))


def test_gradients_agree_however_a_batch_is_spread(found):
    """ZeRO 1, 2, 3 x rows per rank 1, 2, 4 x recomputation x LoRA, below 1e-6 in fp32."""
    errors = found["gradients"]
    assert len(errors) == 2 * 3 * 3 * 2
    worst = max(errors, key=lambda name: errors[name]["gradient"])
    assert errors[worst]["gradient"] < 1e-6, (worst, errors[worst])
    assert max(error["loss"] for error in errors.values()) < 1e-6


def test_bf16_gradients_are_summed_in_fp32_over_two_ranks(found):
    """32 rows of two ranks against the float64 sum, and one row against 32 copies of it."""
    for stage, errors in found["sums"].items():
        assert max(errors.values()) < 1e-5, (stage, errors)


@pytest.mark.parametrize("tuning", ["full", "frozen_embedding"])
def test_what_deepspeed_holds_is_what_is_predicted(found, tuning):
    """Bytes of all living tensors in the middle of a step, against weights + states + buckets."""
    for stage in (1, 2):  # what is on its way has arrived between two passes
        held = found["resident"][f"{tuning} zero{stage}"]
        assert held["measured"] == pytest.approx(held["weights"] + held["states"], rel=1e-3)
    third = found["resident"][f"{tuning} zero3"]
    # It keeps its bucket; the embedding is gathered only while it is used.
    most = third["weights"] + third["states"] + third["buckets"]
    assert most - 2 * third["embedding"] <= third["measured"] <= most * 1.001
