"""Validation loss: as by stock transformers, at the right steps, and no weight is moved by it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.data.encoding import Encoded
from instruct_scaling.models.packed.packing import one_answer
from instruct_scaling.training import validation
from instruct_scaling.training.loop import RowShape
from instruct_scaling.training.metrics import Progress, Stopwatch
from instruct_scaling.training.validation import (
    ValidationLoss,
    ValidationSet,
    category_rows,
    evaluation_steps,
    validation_summary,
)

from .conftest import load_examples, tiny_model, write_examples


@given(st.integers(1, 5000), st.integers(1, 50))
def test_evaluations_start_with_the_base_end_with_the_run_and_are_even(steps, evaluations):
    due = evaluation_steps(steps, evaluations)
    assert (due[0], due[-1]) == (0, steps)
    assert len(due) == min(steps, evaluations) + 1
    gaps = np.diff(due)
    assert gaps.max() - gaps.min() <= 1


def test_uneven_evaluations_are_rounded_up():
    assert evaluation_steps(10, 3) == [0, 4, 7, 10]


@pytest.fixture
def records(tmp_path):
    """Twelve examples of three categories, one of them of a single token to predict."""
    rng = np.random.default_rng(1)
    lengths = [5, 9, 2, 30, 12, 7, 3, 21, 6, 8, 17, 4]
    encoded = [
        Encoded(*one_answer(rng.integers(4, 300, n).astype(np.int32), max(1, n // 3)), False, False)
        for n in lengths
    ]
    write_examples(tmp_path / "examples", encoded)
    categories = ["math"] * 6 + ["code"] * 1 + ["unlabeled"] * 5
    return ValidationSet(load_examples(tmp_path / "examples"), categories, "hash")


@pytest.mark.parametrize("row_tokens", [10, 40, 1000])
def test_every_record_is_in_one_row_of_its_category(records, row_tokens):
    rows = category_rows(records, row_tokens)
    assert sorted(index for _, row in rows for index in row) == list(range(12))
    assert all(records.categories[index] == name for name, row in rows for index in row)
    lengths = records.examples.lengths - 1
    assert all(len(row) == 1 or lengths[row].sum() <= row_tokens for _, row in rows)


def test_the_summary_counts_by_category(records):
    found = validation_summary(records, Progress())
    assert found["records"] == {"code": 1, "math": 6, "unlabeled": 5}
    assert sum(found["supervised_tokens"].values()) == records.examples.counts.supervised_tokens
    assert found["unit"] == "nats per supervised token"
    assert validation_summary(None, Progress()) is None


class Ranks:
    """One rank of one, or of several that hold nothing."""

    def __init__(self, monkeypatch, rank=0, world=1):
        monkeypatch.setattr(validation.distributed, "get_rank", lambda: rank)
        monkeypatch.setattr(validation.distributed, "get_world_size", lambda: world)
        self.sums = []
        monkeypatch.setattr(validation.distributed, "all_reduce", self.sums.append)


class Engine(torch.nn.Module):
    """What of a DeepSpeed engine is used."""

    def __init__(self, module):
        super().__init__()
        self.module, self.device = module, torch.device("cpu")

    def forward(self, batch):
        assert not self.training
        return self.module(batch=batch)


class Logger:
    def __init__(self):
        self.shown = []

    def show_validation(self, losses, step):
        self.shown.append((step, losses))


def stock(model, records):
    """Mean loss by category by stock transformers, one example after the other."""
    sums, counts = {}, {}
    for index, name in enumerate(records.categories):
        tokens, ((prompt, _),) = records.examples.sequence(index)
        ids = torch.from_numpy(tokens.astype(np.int64))
        logits = model(input_ids=ids[None]).logits[0, prompt - 1 : -1]
        loss = torch.nn.functional.cross_entropy(logits, ids[prompt:], reduction="sum").item()
        sums[name] = sums.get(name, 0) + loss
        counts[name] = counts.get(name, 0) + len(ids) - prompt
    return {name: sums[name] / counts[name] for name in sums}


@pytest.fixture
def engine():
    from instruct_scaling.models.packed.engine import pack_model

    model = tiny_model(hidden_dropout=0.3, attention_dropout=0.3)
    pack_model(model)
    return Engine(model).train()


def loss_of(engine, records, logger, *, row_tokens=40, steps=8, evaluations=2):
    shape = RowShape(row_tokens)
    return ValidationLoss(engine, records, steps, evaluations, shape, logger, Stopwatch())


@pytest.mark.parametrize("row_tokens", [10, 1000])
def test_losses_are_those_of_stock_transformers_without_dropout(
    records, engine, monkeypatch, row_tokens
):
    from instruct_scaling.models.packed.engine import restore

    Ranks(monkeypatch)
    before = torch.get_rng_state()
    found = loss_of(engine, records, Logger(), row_tokens=row_tokens).measure()
    assert engine.training
    assert torch.equal(torch.get_rng_state(), before)  # no random number was drawn
    restore(engine.module)
    wanted = stock(engine.module.eval(), records)
    assert found == {name: pytest.approx(wanted[name], rel=1e-5) for name in sorted(wanted)}


def test_ranks_share_the_rows_in_equal_numbers(records, engine, monkeypatch):
    total, calls = 0, []
    for rank in range(3):
        ranks = Ranks(monkeypatch, rank, 3)
        loss = loss_of(engine, records, Logger())
        calls.append(len(loss._share()))
        loss.measure()
        total = total + ranks.sums[0]
    assert len(set(calls)) == 1
    ranks = Ranks(monkeypatch)
    loss_of(engine, records, Logger()).measure()
    torch.testing.assert_close(total, ranks.sums[0], rtol=1e-6, atol=0)


def test_it_is_measured_when_due_once_and_again_on_other_records(records, engine, monkeypatch):
    Ranks(monkeypatch)
    logger, progress = Logger(), Progress()
    loss = loss_of(engine, records, logger, steps=8, evaluations=2)
    for step in (0, 0, 1, 4, 4, 8):
        progress.step = step
        loss(progress)
    assert [point["step"] for point in progress.validation] == [0, 4, 8]
    assert [point["fraction"] for point in progress.validation] == [0, 0.5, 1]
    assert [step for step, _ in logger.shown] == [0, 4, 8]
    other = ValidationSet(records.examples, records.categories, "another hash")
    loss_of(engine, other, logger)(progress)
    assert [point["step"] for point in progress.validation] == [8]
