"""Attention inside documents, against a float64 reference written from the definition."""

from __future__ import annotations

import inspect
import sys
import types
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.bloom.modeling_bloom import build_alibi_tensor

from instruct_scaling.common.errors import InputError
from instruct_scaling.models.packed.attention import Scores, alibi_slopes, attend
from instruct_scaling.models.packed.backends import Needs, choose_backend, installed, lacks
from instruct_scaling.models.packed.documents import Documents
from instruct_scaling.models.packed.gpu_attention import flash_arguments, varlen_arguments

CPU = torch.device("cpu")
GPU = torch.device("cuda")
ROWS = [(1,), (7,), (1, 1, 1), (16, 3, 33, 1, 16, 17, 2), (64, 64), (5, 100)]


def reference(query, key, value, scores, lengths):
    """float64, from the definition in `Scores`."""
    outputs, start = [], 0
    groups = query.shape[1] // key.shape[1]
    key, value = (t.repeat_interleave(groups, 1) for t in (key, value))
    for length in lengths:
        q, k, v = (t[start : start + length].double().transpose(0, 1) for t in (query, key, value))
        position = torch.arange(length)
        gap = position[None] - position[:, None]
        found = q @ k.transpose(1, 2) * (scores.scale or q.shape[-1] ** -0.5)
        if scores.softcap:
            found = scores.softcap * torch.tanh(found / scores.softcap)
        if scores.slopes is not None:
            found = found + scores.slopes.double()[:, None, None] * gap.double()
        hidden = (gap > 0) | (gap <= -(scores.window or length))
        weights = found.masked_fill(hidden, -torch.inf).softmax(-1)
        outputs.append((weights @ v).transpose(0, 1))
        start += length
    return torch.cat(outputs)


def inputs(lengths, heads=3, dim=8, dtype=torch.float32, key_heads=None):
    torch.manual_seed(sum(lengths))
    counts = (heads, key_heads or heads, key_heads or heads)
    return [torch.randn(sum(lengths), n, dim).to(dtype).requires_grad_() for n in counts]


def alibi(heads):
    return Scores(slopes=alibi_slopes(heads, CPU))


def assert_exact(tensors, scores, lengths, backend):
    """Output and gradients are those of the definition."""
    out = attend(*tensors, scores, Documents(lengths, CPU), backend=backend)
    wanted = reference(*tensors, scores, lengths)
    torch.testing.assert_close(out.double(), wanted, rtol=1e-5, atol=1e-6)
    if backend == "flex":  # has no backward pass on a CPU
        return
    upstream = torch.randn_like(out)
    found = torch.autograd.grad(out, tensors, upstream)
    expected = torch.autograd.grad(wanted, tensors, upstream.double())
    for left, right in zip(found, expected, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("heads", [1, 3, 4, 6, 12, 32, 71])
def test_slopes_are_those_of_transformers(heads):
    mask = torch.tensor([[1, 1]])
    alibi = build_alibi_tensor(mask, heads, torch.float32)
    torch.testing.assert_close(alibi_slopes(heads, CPU), alibi[:, 0, 1])


@pytest.mark.parametrize("lengths", ROWS)
def test_sdpa_gives_output_and_gradients_of_the_definition(lengths):
    assert_exact(inputs(lengths), alibi(3), lengths, "sdpa")


VARIANTS = {
    "plain": Scores(),
    "another scale": Scores(scale=0.7),
    "window": Scores(window=5),
    "window beyond the row": Scores(window=500),
    "cap": Scores(softcap=1.5),
    "cap, window and scale": Scores(softcap=1.5, window=5, scale=0.5),
    "ALiBi and window": Scores(slopes=alibi_slopes(4, CPU), window=5),
    "ALiBi and cap": Scores(slopes=alibi_slopes(4, CPU), softcap=1.5),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("key_heads", [4, 2, 1])
@pytest.mark.parametrize("backend", ["sdpa", "flex"])
def test_back_ends_follow_the_definition(variant, key_heads, backend):
    lengths = (16, 3, 33, 1, 16, 17, 2)
    tensors = inputs(lengths, heads=4, key_heads=key_heads)
    if backend == "flex":
        tensors = [tensor.detach() for tensor in tensors]
    assert_exact(tensors, VARIANTS[variant], lengths, backend)


def test_a_document_does_not_see_its_neighbors():
    lengths = (5, 9, 4)
    query, key, value = inputs(lengths)
    scores, documents = alibi(3), Documents(lengths, CPU)
    before = attend(query, key, value, scores, documents, backend="sdpa")
    with torch.no_grad():
        key[:5] += 10.0
        value[14:] += 10.0
    after = attend(query, key, value, scores, documents, backend="sdpa")
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


def test_dropout_keeps_the_mean():
    lengths = (200,)
    query, key, _ = inputs(lengths)
    arguments = (query, key, torch.ones_like(query), alibi(3), Documents(lengths, CPU))
    torch.manual_seed(0)
    out = attend(*arguments, backend="sdpa", dropout=0.5)
    assert out.std() > 0.1
    assert abs(out.mean() - 1) < 0.1


def test_bf16_error_stays_at_rounding_where_absolute_alibi_loses_it():
    lengths, heads = (1024,), 12
    tensors = [t.detach() for t in inputs(lengths, heads, 32, torch.bfloat16)]
    scores, slopes = alibi(heads), alibi_slopes(heads, CPU)
    wanted = reference(*tensors, scores, lengths)

    def error(out):
        return float((out.double() - wanted).norm() / wanted.norm())

    relative = error(attend(*tensors, scores, Documents(lengths, CPU), backend="sdpa"))
    query, key, value = (t.transpose(0, 1) for t in tensors)
    bias = (slopes[:, None] * torch.arange(1024)).bfloat16()[:, None]
    products = torch.baddbmm(bias, query, key.transpose(1, 2), alpha=32**-0.5)
    products = products.masked_fill(torch.ones(1024, 1024, dtype=torch.bool).triu(1), -torch.inf)
    absolute = error((products.float().softmax(-1).bfloat16() @ value).transpose(0, 1))
    assert relative < 0.005
    assert absolute > 10 * relative


def test_the_choice_of_back_end_can_be_forced_and_refuses_what_cannot_run():
    assert choose_backend(CPU) == "sdpa"
    assert choose_backend(CPU, "sdpa") == "sdpa"
    with pytest.raises(InputError, match="cannot run on cpu"):
        choose_backend(CPU, "flash")
    with pytest.raises(InputError, match="unknown"):
        choose_backend(CPU, "fast")


PLAIN, EVERY = Needs(), {"flash_attn", "torch.nn.attention.varlen", "triton"}


@pytest.mark.parametrize(
    ("packages", "needs", "backend"),
    [
        (EVERY, PLAIN, "flash"),
        (EVERY, replace(PLAIN, alibi=True), "flash"),
        (EVERY, replace(PLAIN, head_dim=512), "flex"),
        (EVERY, replace(PLAIN, dtype=torch.float32), "flex"),
        (EVERY, replace(PLAIN, dtype=torch.float32, dropout=True), "sdpa"),
        (EVERY - {"flash_attn"}, PLAIN, "flex"),
        (EVERY - {"flash_attn"}, replace(PLAIN, deterministic=False), "varlen"),
        (EVERY - {"flash_attn"}, replace(PLAIN, deterministic=False, softcap=True), "flex"),
        (EVERY - {"flash_attn"}, replace(PLAIN, deterministic=False, alibi=True), "flex"),
        (EVERY - {"flash_attn"}, replace(PLAIN, deterministic=False, dropout=True), "sdpa"),
        (set(), PLAIN, "sdpa"),
    ],
)
def test_a_gpu_takes_the_fastest_back_end_that_has_what_the_model_needs(
    monkeypatch, packages, needs, backend
):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name in packages or None)
    assert choose_backend(GPU, needs=needs) == backend


def test_a_forced_back_end_that_lacks_something_is_refused(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    assert choose_backend(GPU, "varlen", Needs()) == "varlen"
    for backend, needs, missing in (
        ("varlen", Needs(alibi=True), "ALiBi"),
        ("varlen", Needs(softcap=True), "a cap on scores"),
        ("flex", Needs(dropout=True), "dropout"),
        ("flash", Needs(dtype=torch.float32), "fp32"),
        ("flash", Needs(head_dim=288), "heads wider than 256"),
    ):
        with pytest.raises(InputError, match=missing):
            choose_backend(GPU, backend, needs)


def test_kernels_of_a_gpu_get_offsets_windows_and_caps():
    """transformers' window holds the query itself; the kernels count the keys to its left."""
    documents = Documents((5, 9, 4), CPU)
    scores = Scores(scale=0.3, slopes=alibi_slopes(4, CPU), window=6, softcap=20.0)
    flash = flash_arguments(scores, documents, 0.1)
    varlen = varlen_arguments(Scores(scale=0.3, window=6), documents)
    for offsets in (flash["cu_seqlens_q"], flash["cu_seqlens_k"], varlen["cu_seq_q"]):
        assert offsets.tolist() == [0, 5, 14, 18]
        assert offsets.dtype == torch.int32
    assert flash["max_seqlen_q"] == flash["max_seqlen_k"] == varlen["max_q"] == 9
    assert flash["window_size"] == varlen["window_size"] == (5, 0)
    assert flash["softmax_scale"] == varlen["scale"] == 0.3
    assert (flash["causal"], flash["softcap"], flash["dropout_p"]) == (True, 20.0, 0.1)
    assert torch.equal(flash["alibi_slopes"], scores.slopes)
    whole = flash_arguments(Scores(window=9), documents, 0.0)
    assert (whole["window_size"], whole["softcap"]) == ((-1, 0), 0.0)
    assert varlen_arguments(Scores(), documents)["window_size"] == (-1, 0)


def test_arguments_exist_in_torchs_kernel():
    from torch.nn.attention.varlen import varlen_attn

    known = set(inspect.signature(varlen_attn).parameters)
    assert set(varlen_arguments(Scores(), Documents((3,), CPU))) <= known


@pytest.mark.parametrize("deterministic", [True, False])
def test_flash_attention_is_asked_to_be_deterministic(monkeypatch, deterministic):
    """A stand-in for the kernel, which needs a GPU: it checks how it is called."""
    calls = []

    def kernel(query, key, value, **arguments):
        calls.append(arguments)
        return query

    package = types.SimpleNamespace(flash_attn_varlen_func=kernel)
    monkeypatch.setitem(sys.modules, "flash_attn", package)
    tensors, documents = inputs((5, 4)), Documents((5, 4), CPU)
    attend(*tensors, alibi(3), documents, backend="flash", deterministic=deterministic)
    assert calls[0]["deterministic"] is deterministic


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("backend", ["flash", "varlen", "flex", "sdpa"])
@pytest.mark.parametrize("variant", ["plain", "ALiBi", "window", "cap and window"])
def test_gpu_back_ends_agree_with_the_definition(backend, variant):
    heads = 8
    needs = Needs(alibi=variant == "ALiBi", softcap=variant == "cap and window")
    if not installed(backend, GPU) or lacks(backend, needs):
        pytest.skip(f"{backend} is not installed or lacks {variant}")
    made = {
        "plain": lambda device: Scores(),
        "ALiBi": lambda device: Scores(slopes=alibi_slopes(heads, device)),
        "window": lambda device: Scores(scale=0.2, window=20),
        "cap and window": lambda device: Scores(window=20, softcap=5.0),
    }[variant]
    lengths = (100, 28, 384)
    tensors = inputs(lengths, heads, 64, torch.bfloat16, key_heads=2)
    tensors = [tensor.detach().to(GPU).requires_grad_() for tensor in tensors]
    out = attend(*tensors, made(GPU), Documents(lengths, GPU), backend=backend)
    leaves = [tensor.detach().cpu().double().requires_grad_() for tensor in tensors]
    wanted = reference(*leaves, made(CPU), lengths)
    upstream = torch.randn(wanted.shape)
    found = torch.autograd.grad(out, tensors, upstream.to(GPU, out.dtype))
    expected = torch.autograd.grad(wanted, leaves, upstream.to(out.dtype).double())
    for left, right in zip((out, *found), (wanted, *expected), strict=True):
        assert float((left.double().cpu() - right).norm() / right.norm()) < 0.01
