"""The set-up that is chosen, and what is said when nothing fits."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.errors import InputError
from instruct_scaling.training.memory import (
    Machine,
    Setup,
    Sizes,
    candidates,
    choose,
    fits,
    predict,
)

from .conftest import run_ranks, tiny_model

BLOOM = Sizes(7_069_016_064, 7_069_016_064, 30, 4096, 250_880)
LORA = replace(BLOOM, trainable=15_728_640, head_trained=False)
H200, A100, A100_40 = 141e9, 80e9, 40e9


def chosen(sizes, gpus, gpu_bytes, stage=None):
    return choose(sizes, Machine(gpus, gpu_bytes), stage=stage, longest=1024)


def test_published_memory_of_mixed_precision_adam():
    """16 bytes a weight without activations (Rajbhandari et al. 2020, arXiv 1910.02054, 3.1)."""
    parts = predict(BLOOM, Machine(1, H200), Setup(0, 2048))
    assert parts["weights"] + parts["states"] == 16 * BLOOM.parameters
    sixteen = predict(BLOOM, Machine(16, H200), Setup(2, 2048))
    assert sixteen["states"] == pytest.approx(14 * BLOOM.parameters / 16)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_what_deepspeed_holds_is_what_is_predicted(ranks, tmp_path):
    """Bytes of all living tensors in the middle of a step, against weights + states + buckets."""
    tiny_model(hidden_size=256, n_layer=4, n_head=4, vocab_size=4096).save_pretrained(
        tmp_path / "base"
    )
    run_ranks("tests.training.residents", [tmp_path / "base", tmp_path], ranks)
    found = json.loads((tmp_path / "residents.json").read_text("utf-8"))
    for stage in ("1", "2"):  # what is on its way has arrived between two passes
        held = found[stage]
        assert held["measured"] == pytest.approx(held["weights"] + held["states"], rel=1e-3)
    third = found["3"]  # keeps its bucket; gathers the embedding only while it is used
    most = third["weights"] + third["states"] + third["buckets"]
    gathered = 2 * third["embedding"] * (ranks > 1)
    assert most - gathered <= third["measured"] <= most * 1.001


def test_a_7b_model_on_the_machines_people_have():
    one = chosen(BLOOM, 1, H200)
    assert (one.stage, one.sub_groups, one.offload) == (3, True, False)
    assert chosen(BLOOM, 1, A100).offload
    assert (chosen(BLOOM, 2, A100).stage, chosen(BLOOM, 2, A100).offload) == (3, False)
    for gpus, memory in ((2, H200), (4, A100), (8, A100)):
        assert chosen(BLOOM, gpus, memory).stage == 2
    assert not chosen(BLOOM, 8, A100).checkpointing
    assert chosen(BLOOM, 8, A100_40).stage == 3
    assert chosen(LORA, 1, A100) == Setup(2, 8192)


def test_what_cannot_fit_is_refused_with_what_would():
    with pytest.raises(InputError) as refusal:
        chosen(BLOOM, 1, 24e9)
    text = str(refusal.value)
    assert "7.07 of 7.07 billion" in text
    assert "24 GB" in text
    assert "such GPUs" in text
    assert "lora" in text


def test_a_fixed_stage_that_does_not_fit_names_auto():
    with pytest.raises(InputError, match="zero_stage to auto"):
        chosen(BLOOM, 1, H200, stage=1)


def test_a_cpu_takes_zero_2_and_rows_that_hold_the_longest_example():
    assert chosen(BLOOM, 2, None) == Setup(2, 4096)
    assert choose(BLOOM, Machine(2, None), stage=3, longest=9000) == Setup(3, 9000)


@given(
    st.sampled_from([1, 2, 4, 8, 64]),
    st.floats(5e9, 200e9),
    st.sampled_from([BLOOM, LORA]),
    st.sampled_from([None, 0, 1, 2, 3]),
    st.integers(2, 20_000),
)
def test_the_choice_fits_and_nothing_faster_does(gpus, memory, sizes, stage, longest):
    machine = Machine(gpus, memory)
    try:
        setup = choose(sizes, machine, stage=stage, longest=longest)
    except InputError:
        assert not any(fits(sizes, machine, s) for s in candidates(stage, longest))
        return
    assert fits(sizes, machine, setup)
    assert setup.row_tokens >= longest
    assert stage is None or setup.stage == stage
    faster = candidates(stage, longest)[: candidates(stage, longest).index(setup)]
    assert not any(fits(sizes, machine, other) for other in faster)


@given(st.integers(1, 64), st.sampled_from(candidates(None, 1024)))
def test_more_gpus_never_need_more_memory_each(gpus, setup):
    one, more = (predict(BLOOM, Machine(n, H200), setup) for n in (gpus + 1, gpus + 2))
    assert more["total"] <= one["total"]
