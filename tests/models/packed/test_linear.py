"""A fast linear layer is a linear layer: values, gradients, and swapping back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from instruct_scaling.models.packed.linear import (
    FastLinear,
    fits_onednn,
    product,
    restore_linears,
    swap_linears,
)


def results(layer, x):
    layer.zero_grad()
    x = x.clone().requires_grad_()
    y = layer(x)
    (y * torch.arange(y.numel(), dtype=y.dtype).view_as(y).cos()).sum().backward()
    gradients = [parameter.grad for parameter in layer.parameters()]
    return [y.detach(), x.grad, *gradients]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(50, 7), (2, 19, 7), (1, 7), (0, 7)])
def test_values_and_gradients_are_those_of_a_linear_layer(dtype, bias, shape):
    torch.manual_seed(0)
    layer, x = nn.Linear(7, 3, bias=bias).to(dtype), torch.randn(shape, dtype=dtype)
    wanted = results(layer, x)
    swap_linears(layer)
    assert type(layer) is FastLinear
    for found, right in zip(results(layer, x), wanted, strict=True):
        assert found.dtype == right.dtype
        torch.testing.assert_close(found, right, rtol=1e-5, atol=1e-6)


def test_frozen_weights_get_no_gradient():
    layer = nn.Linear(4, 4).requires_grad_(False)
    swap_linears(layer)
    x = torch.randn(2, 4, requires_grad=True)
    layer(x).sum().backward()
    assert layer.weight.grad is None
    torch.testing.assert_close(x.grad, layer.weight.sum(0).expand(2, 4))


def test_a_product_takes_any_strides():
    left, right = torch.randn(6, 90).t(), torch.randn(6, 5).t()
    torch.testing.assert_close(product(left, right), left @ right.t())


def test_only_plain_linear_layers_are_swapped_and_come_back():
    class Other(nn.Linear):
        pass

    model = nn.Sequential(nn.Linear(2, 2), Other(2, 2), nn.LayerNorm(2))
    before = [type(part) for part in model]
    swap_linears(model)
    assert [type(part) for part in model] == [FastLinear, *before[1:]]
    restore_linears(model)
    assert [type(part) for part in model] == before


def test_only_single_precision_on_a_cpu_goes_through_onednn():
    assert not fits_onednn(torch.zeros(1, dtype=torch.bfloat16))
    assert not fits_onednn(torch.zeros(1, device="meta"))
