"""A packed row gives the gradients of its documents one by one, by stock transformers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from instruct_scaling.models.packed.engine import pack_model, restore
from instruct_scaling.models.packed.execution import PackedExecution, neftune_noise
from instruct_scaling.models.packed.packing import one_answer, packed_batch
from tests.training.conftest import VOCABULARY, tiny_model

CPU = torch.device("cpu")


def documents(*shapes):
    rng = np.random.default_rng(0)
    return [
        one_answer(rng.integers(0, VOCABULARY, n).astype(np.int32), prompt) for n, prompt in shapes
    ]


def gradients(model):
    found = torch.cat([parameter.grad.flatten().double() for parameter in model.parameters()])
    model.zero_grad()
    return found


def one_by_one(model, sequences):
    for tokens, spans in sequences:
        prompt = int(spans[0, 0]) if len(spans) else len(tokens)
        ids = torch.from_numpy(tokens.astype(np.int64))
        logits = model(input_ids=ids[None]).logits[0, prompt - 1 : -1]
        F.cross_entropy(logits, ids[prompt:], reduction="sum").backward()
    return gradients(model)


def packed(model, sequences, **options):
    model(batch=packed_batch(sequences, CPU, **options)).backward()
    return gradients(model)


def error(found, wanted):
    return float((found - wanted).norm() / wanted.norm())


CASES = {
    "mixed": documents((40, 20), (33, 1), (90, 89), (12, 5)),
    "answers of one token": documents((9, 8), (2, 1), (30, 29), (2, 1)),
    "no prompt but the start token": documents((20, 1), (31, 1)),
    "nothing supervised": [*documents((10, 4)), *documents((9, 9))],
    "longer than a usual row": documents((700, 300), (3, 1)),
    "one document": documents((50, 10)),
}


@pytest.mark.parametrize("case", CASES)
def test_packed_gradients_equal_one_by_one(case):
    model = tiny_model(hidden_dropout=0.0, attention_dropout=0.0).double()
    wanted = one_by_one(model, CASES[case])
    model.float()
    pack_model(model)
    assert error(packed(model, CASES[case]), wanted) < 1e-6


def test_filling_a_row_changes_nothing():
    model = tiny_model(hidden_dropout=0.0, attention_dropout=0.0)
    pack_model(model)
    plain = packed(model, CASES["mixed"])
    batch = packed_batch(CASES["mixed"], CPU, fill_to=256)
    assert batch.input_ids.shape == (1, 256)
    assert sum(batch.documents.lengths) == 256
    assert error(packed(model, CASES["mixed"], fill_to=256), plain) < 1e-6


def test_an_empty_row_takes_part_and_adds_nothing():
    model = tiny_model()
    pack_model(model)
    loss = model(batch=packed_batch([], CPU))
    loss.backward()
    assert loss.item() == 0.0
    assert gradients(model).abs().max() == 0.0


def test_bf16_gradient_error_is_below_two_percent_at_1024_tokens():
    model = tiny_model(
        scale=2.0, hidden_size=128, n_head=4, hidden_dropout=0.0, attention_dropout=0.0
    ).bfloat16()
    sequences = documents((1025, 1))
    model.double()
    wanted = one_by_one(model, sequences)
    model.bfloat16()
    stock = error(one_by_one(model, sequences), wanted)
    pack_model(model)
    found = error(packed(model, sequences), wanted)
    assert found < 0.02
    assert stock > 2 * found


def test_swapping_back_leaves_the_stock_model():
    model = tiny_model()
    before = {name: (type(part), set(vars(part))) for name, part in model.named_modules()}
    names = [name for name, _ in model.named_parameters()]
    model.eval()
    ids = torch.arange(9)[None]
    logits = model(input_ids=ids).logits
    pack_model(model)
    assert [name for name, _ in model.named_parameters()] == names
    restore(model)
    assert {name: (type(part), set(vars(part))) for name, part in model.named_modules()} == before
    assert type(model.lm_head) is nn.Linear
    assert torch.equal(model(input_ids=ids).logits, logits)


@pytest.mark.parametrize("dropout", ["attention_dropout", "hidden_dropout"])
def test_dropout_is_there_in_training_alone(dropout):
    row = packed_batch(CASES["mixed"], CPU)
    options = {"attention_dropout": 0.0, "hidden_dropout": 0.0, dropout: 0.5}
    model = tiny_model(**options)
    # The MLP's own dropout stays transformers'; without its output only attention's is left.
    for block in model.transformer.h:
        torch.nn.init.zeros_(block.mlp.dense_4h_to_h.weight)
        torch.nn.init.zeros_(block.mlp.dense_4h_to_h.bias)
    pack_model(model)
    assert model.train()(batch=row).item() != model(batch=row).item()
    assert model.eval()(batch=row).item() == model(batch=row).item()


def test_neftune_noise_is_bounded_by_each_documents_length_and_only_in_training():
    row = packed_batch(documents((50, 1), (5, 1)), CPU)
    embedded = torch.zeros(1, sum(row.documents.lengths), 48)
    noise = neftune_noise(embedded, row.documents, 5.0)[0]
    for part, length in ((noise[:49], 49), (noise[49:], 4)):
        bound = 5.0 / (length * 48) ** 0.5
        assert 0.8 * bound < part.abs().max() <= bound
    model = tiny_model(hidden_dropout=0.0, attention_dropout=0.0)
    pack_model(model, PackedExecution(neftune_alpha=5.0))
    assert model.train()(batch=row).item() != model(batch=row).item()
    assert model.eval()(batch=row).item() == model(batch=row).item()
