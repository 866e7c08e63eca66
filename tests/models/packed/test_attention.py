"""Attention inside documents, against a float64 reference written from the definition."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.bloom.modeling_bloom import build_alibi_tensor

from instruct_scaling.common.errors import InputError
from instruct_scaling.models.packed.attention import (
    Documents,
    alibi_slopes,
    attend,
    choose_backend,
    installed,
)

CPU = torch.device("cpu")
ROWS = [(1,), (7,), (1, 1, 1), (16, 3, 33, 1, 16, 17, 2), (64, 64), (5, 100)]


def reference(query, key, value, slopes, lengths):
    outputs, start = [], 0
    for length in lengths:
        q, k, v = (t[start : start + length].double().transpose(0, 1) for t in (query, key, value))
        position = torch.arange(length)
        gap = (position[None] - position[:, None]).double()
        scores = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5 + slopes.double()[:, None, None] * gap
        weights = scores.masked_fill(gap > 0, -torch.inf).softmax(-1)
        outputs.append((weights @ v).transpose(0, 1))
        start += length
    return torch.cat(outputs)


def inputs(lengths, heads=3, dim=8, dtype=torch.float32):
    torch.manual_seed(sum(lengths))
    return [torch.randn(sum(lengths), heads, dim).to(dtype).requires_grad_() for _ in range(3)]


@pytest.mark.parametrize("heads", [1, 3, 4, 6, 12, 32, 71])
def test_slopes_are_those_of_transformers(heads):
    mask = torch.tensor([[1, 1]])
    alibi = build_alibi_tensor(mask, heads, torch.float32)
    torch.testing.assert_close(alibi_slopes(heads, CPU), alibi[:, 0, 1])


@pytest.mark.parametrize("lengths", ROWS)
def test_sdpa_gives_output_and_gradients_of_the_definition(lengths):
    tensors, slopes = inputs(lengths), alibi_slopes(3, CPU)
    out = attend(*tensors, slopes, Documents(lengths, CPU), backend="sdpa")
    wanted = reference(*tensors, slopes, lengths)
    torch.testing.assert_close(out.double(), wanted, rtol=1e-5, atol=1e-6)
    upstream = torch.randn_like(out)
    found = torch.autograd.grad(out, tensors, upstream)
    expected = torch.autograd.grad(wanted, tensors, upstream.double())
    for left, right in zip(found, expected, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)


def test_a_document_does_not_see_its_neighbors():
    lengths = (5, 9, 4)
    query, key, value = inputs(lengths)
    slopes, documents = alibi_slopes(3, CPU), Documents(lengths, CPU)
    before = attend(query, key, value, slopes, documents, backend="sdpa")
    with torch.no_grad():
        key[:5] += 10.0
        value[14:] += 10.0
    after = attend(query, key, value, slopes, documents, backend="sdpa")
    assert torch.equal(before[5:14], after[5:14])
    assert not torch.equal(before[:5], after[:5])


@given(st.lists(st.integers(1, 300), min_size=1, max_size=20))
def test_buckets_hold_every_token_once_and_little_padding(lengths):
    documents = Documents(tuple(lengths), CPU)
    for index, valid in documents.buckets:
        assert valid.sum() > 0.7 * valid.numel()
        numbers = documents.numbers[index]
        assert (numbers == numbers[:, :1])[valid].all()
    flat = torch.cat([index[valid] for index, valid in documents.buckets])
    assert torch.equal(flat[documents.unbucket], torch.arange(sum(lengths)))


def test_dropout_keeps_the_mean_and_back_ends_without_it_refuse():
    lengths = (200,)
    query, key, _ = inputs(lengths)
    arguments = (query, key, torch.ones_like(query), alibi_slopes(3, CPU), Documents(lengths, CPU))
    torch.manual_seed(0)
    out = attend(*arguments, backend="sdpa", dropout=0.5)
    assert out.std() > 0.1
    assert abs(out.mean() - 1) < 0.1
    with pytest.raises(InputError, match="flex attention has no dropout"):
        attend(*arguments, backend="flex", dropout=0.5)


def test_bf16_error_stays_at_rounding_where_absolute_alibi_loses_it():
    lengths, heads = (1024,), 12
    tensors = [t.detach() for t in inputs(lengths, heads, 32, torch.bfloat16)]
    slopes = alibi_slopes(heads, CPU)
    wanted = reference(*tensors, slopes, lengths)

    def error(out):
        return float((out.double() - wanted).norm() / wanted.norm())

    relative = error(attend(*tensors, slopes, Documents(lengths, CPU), backend="sdpa"))
    query, key, value = (t.transpose(0, 1) for t in tensors)
    alibi = (slopes[:, None] * torch.arange(1024)).bfloat16()[:, None]
    scores = torch.baddbmm(alibi, query, key.transpose(1, 2), alpha=32**-0.5)
    scores = scores.masked_fill(torch.ones(1024, 1024, dtype=torch.bool).triu(1), -torch.inf)
    absolute = error((scores.float().softmax(-1).bfloat16() @ value).transpose(0, 1))
    assert relative < 0.005
    assert absolute > 10 * relative


def test_the_choice_of_back_end_can_be_forced_and_refuses_what_cannot_run():
    assert choose_backend(CPU) == "sdpa"
    assert choose_backend(CPU, "sdpa") == "sdpa"
    with pytest.raises(InputError, match="cannot run on cpu"):
        choose_backend(CPU, "flash")
    with pytest.raises(InputError, match="unknown"):
        choose_backend(CPU, "fast")


@pytest.mark.parametrize(
    ("packages", "backend"),
    [({"flash_attn", "triton"}, "flash"), ({"triton"}, "flex"), (set(), "sdpa")],
)
def test_a_gpu_takes_the_fastest_installed_back_end(monkeypatch, packages, backend):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name in packages or None)
    assert choose_backend(torch.device("cuda")) == backend


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("backend", ["flash", "flex", "sdpa"])
def test_gpu_back_ends_agree_with_the_definition(backend):
    device = torch.device("cuda")
    if not installed(backend, device):
        pytest.skip(f"{backend} is not installed")
    lengths, heads = (100, 28, 384), 8
    tensors = [t.detach().to(device) for t in inputs(lengths, heads, 64, torch.bfloat16)]
    documents = Documents(lengths, device)
    out = attend(*tensors, alibi_slopes(heads, device), documents, backend=backend)
    wanted = reference(*(t.cpu() for t in tensors), alibi_slopes(heads, CPU), lengths)
    assert float((out.double().cpu() - wanted).norm() / wanted.norm()) < 0.005
