"""The count of operations, against torch's own counter."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from instruct_scaling.training.hardware import device_peak, training_flops

from .conftest import tiny_model


def test_operations_match_torchs_counter():
    """torch counts attention without the causal half, and the backward pass twice the forward."""
    length = 64
    model = tiny_model(hidden_dropout=0.0, attention_dropout=0.0)
    ids = torch.randint(4, 300, (1, length))
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids).logits.sum().backward()
    config = model.config
    head = config.vocab_size * config.hidden_size
    matrices = sum(p.numel() for p in model.parameters() if p.dim() == 2) - head
    found = training_flops(
        body=matrices,
        head=head,
        trained=1.0,
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        tokens=length,
        supervised=length,
        sum_squared_lengths=2 * length**2,
    )
    assert found == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_frozen_weights_save_their_own_gradient():
    shape = {"body": 90, "head": 10, "layers": 0, "width": 1, "squares": 0}
    full = training_flops(**shape, trained=1.0, tokens=5, supervised=5)
    frozen = training_flops(**shape, trained=0.0, tokens=5, supervised=5)
    assert (full, frozen) == (6 * 500, 4 * 500)


def test_peaks_are_stated_for_known_devices_only():
    assert device_peak("NVIDIA H200") == 989e12
    assert device_peak("NVIDIA A100-SXM4-80GB") == 312e12
    assert device_peak("NVIDIA H100 PCIe") == 756e12
    assert device_peak("Quadro K620") is None
