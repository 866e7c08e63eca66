"""Validation loss: as by stock transformers, at the right steps, and no weight is moved by it."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.files import sha256_file
from instruct_scaling.training.examples import Encoded, load_examples, write_examples
from instruct_scaling.training.metrics import Progress
from instruct_scaling.training.validation import (
    ValidationLoss,
    ValidationSet,
    category_rows,
    evaluation_steps,
    validation_summary,
)

from .conftest import make_records
from .test_stage import has_checkpoint, wait_for, weights


@given(st.integers(1, 5000), st.integers(1, 50))
def test_evaluations_start_with_the_base_end_with_the_run_and_are_even(steps, evaluations):
    due = evaluation_steps(steps, evaluations)
    assert (due[0], due[-1]) == (0, steps)
    assert len(due) == min(steps, evaluations) + 1
    gaps = np.diff(due)
    assert gaps.max() - gaps.min() <= 1


@pytest.fixture
def held(tmp_path):
    """Twelve examples of three categories, one of them of a single token to predict."""
    rng = np.random.default_rng(1)
    lengths = [5, 9, 2, 30, 12, 7, 3, 21, 6, 8, 17, 4]
    encoded = [
        Encoded(rng.integers(4, 300, n).astype(np.int32), max(1, n // 3), False, False)
        for n in lengths
    ]
    write_examples(tmp_path / "examples", [str(n) for n in range(12)], iter(encoded))
    categories = ["math"] * 6 + ["code"] * 1 + ["unlabeled"] * 5
    return ValidationSet(load_examples(tmp_path / "examples"), categories, "hash")


@pytest.mark.parametrize("row_tokens", [10, 40, 1000])
def test_every_record_is_in_one_row_of_its_category(held, row_tokens):
    rows = category_rows(held, row_tokens)
    assert sorted(place for _, row in rows for place in row) == list(range(12))
    assert all(held.categories[place] == name for name, row in rows for place in row)
    lengths = held.examples.lengths - 1
    assert all(len(row) == 1 or lengths[row].sum() <= row_tokens for _, row in rows)


def test_the_summary_counts_by_category(held):
    found = validation_summary(held, Progress())
    assert found["records"] == {"code": 1, "math": 6, "unlabeled": 5}
    assert sum(found["supervised_tokens"].values()) == held.examples.counts.supervised_tokens
    assert found["unit"] == "nats per supervised token"
    assert validation_summary(None, Progress()) is None


class Peers:
    """One rank of one, or of several that hold nothing."""

    def __init__(self, monkeypatch, rank=0, world=1):
        from instruct_scaling.training import validation as validation

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


class MetricsLogger:
    def __init__(self):
        self.shown = []

    def show_validation(self, losses, step):
        self.shown.append((step, losses))


def stock(model, held):
    """Mean loss by category by stock transformers, one example after the other."""
    sums, counts = {}, {}
    for place, name in enumerate(held.categories):
        tokens, prompt = held.examples.sequence(place)
        ids = torch.from_numpy(tokens.astype(np.int64))
        logits = model(input_ids=ids[None]).logits[0, prompt - 1 : -1]
        loss = torch.nn.functional.cross_entropy(logits, ids[prompt:], reduction="sum").item()
        sums[name] = sums.get(name, 0) + loss
        counts[name] = counts.get(name, 0) + len(ids) - prompt
    return {name: sums[name] / counts[name] for name in sums}


@pytest.fixture
def engine():
    from instruct_scaling.models.packed.bloom import pack_model

    from .conftest import tiny_model

    model = tiny_model(hidden_dropout=0.3, attention_dropout=0.3)
    pack_model(model, "sdpa")
    return Engine(model).train()


def loss_of(engine, held, board, *, row_tokens=40, steps=8, evaluations=2):
    from instruct_scaling.training.loop import RowShape

    return ValidationLoss(engine, held, steps, evaluations, RowShape(row_tokens), board)


@pytest.mark.parametrize("row_tokens", [10, 1000])
def test_losses_are_those_of_stock_transformers_without_dropout(
    held, engine, monkeypatch, row_tokens
):
    from instruct_scaling.models.packed.bloom import restore

    Peers(monkeypatch)
    before = torch.get_rng_state()
    found = loss_of(engine, held, MetricsLogger(), row_tokens=row_tokens).measure()
    assert engine.training
    assert torch.equal(torch.get_rng_state(), before)  # no random number was drawn
    restore(engine.module)
    wanted = stock(engine.module.eval(), held)
    assert found == {name: pytest.approx(wanted[name], rel=1e-5) for name in sorted(wanted)}


def test_ranks_share_the_rows_in_equal_numbers(held, engine, monkeypatch):
    total, calls = 0, []
    for rank in range(3):
        peers = Peers(monkeypatch, rank, 3)
        loss = loss_of(engine, held, MetricsLogger())
        calls.append(len(loss._share()))
        loss.measure()
        total = total + peers.sums[0]
    assert len(set(calls)) == 1
    peers = Peers(monkeypatch)
    loss_of(engine, held, MetricsLogger()).measure()
    torch.testing.assert_close(total, peers.sums[0], rtol=1e-6, atol=0)


def test_it_is_measured_when_due_once_and_again_on_other_records(held, engine, monkeypatch):
    Peers(monkeypatch)
    board, progress = MetricsLogger(), Progress()
    loss = loss_of(engine, held, board, steps=8, evaluations=2)
    for step in (0, 0, 1, 4, 4, 8):
        progress.step = step
        loss(progress)
    assert [point["step"] for point in progress.validation] == [0, 4, 8]
    assert [point["fraction"] for point in progress.validation] == [0, 0.5, 1]
    assert [step for step, _ in board.shown] == [0, 4, 8]
    other = ValidationSet(held.examples, held.categories, "another hash")
    loss_of(engine, other, board)(progress)
    assert [point["step"] for point in progress.validation] == [8]


def hold_out(stage):
    """The 12 records of the stage's pool that its subset leaves."""
    ids = [record.id for record in make_records(60)[48:]]
    table = pa.table({"id": ids, "category": ["cot", "unlabeled"] * 6})
    path = stage.folder / "validation_set.parquet"
    pq.write_table(table, path)
    return ["--validation", str(path)]


@pytest.mark.slow
def test_weights_are_those_of_a_run_that_is_not_watched(stage):
    """Dropout, two ranks, ZeRO-3; the loss falls, and its last value is the exported model's."""
    recipe = {"zero_stage": 3, "learning_rate": 5e-3}
    options = hold_out(stage)
    for name, more in {"bare": [], "watched": [*options, "--validation-evaluations", "3"]}.items():
        code, stderr = stage.run(name, *more, **recipe)
        assert code == 0, stderr
    assert weights(stage, "watched") == weights(stage, "bare")
    assert stage.train("bare")["validation"] is None
    found = stage.train("watched")["validation"]
    assert [point["step"] for point in found["evaluations"]] == [0, 4, 8, 12]
    assert found["records"] == {"cot": 6, "unlabeled": 6}
    first, last = found["evaluations"][0]["loss"], found["evaluations"][-1]["loss"]
    assert all(last[name] < first[name] - 0.3 for name in first)
    assert stage.train("watched")["seconds"]["validation"] > 0
    mean = mean_loss(stage, stage.folder / "watched" / "model")
    tokens = found["supervised_tokens"]
    whole = sum(last[name] * tokens[name] for name in last) / sum(tokens.values())
    assert whole == pytest.approx(mean, rel=1e-4)


def mean_loss(stage, model):
    """Loss of an exported model on the validation records, by stock transformers."""
    from instruct_scaling.config.recipe import Recipe
    from instruct_scaling.training.examples import encode_records, read_subset
    from instruct_scaling.training.model import load_weights, read_tokenizer

    records = read_subset(stage.folder / "records", stage.folder / "validation_set.parquet")
    template = "Human: {prompt}\n\nAssistant: "
    length = Recipe(**stage.recipe).max_length
    module = load_weights(model, torch.float32).eval()
    total = count = 0
    for example in encode_records(records, read_tokenizer(model), template, length):
        ids = torch.from_numpy(example.tokens.astype(np.int64))
        with torch.no_grad():
            logits = module(input_ids=ids[None]).logits[0, example.prompt_length - 1 : -1]
        wanted = ids[example.prompt_length :]
        total += torch.nn.functional.cross_entropy(logits, wanted, reduction="sum").item()
        count += len(wanted)
    return total / count


@pytest.mark.slow
def test_a_killed_run_neither_loses_nor_doubles_an_evaluation(stage):
    options = [*hold_out(stage), "--validation-evaluations", "4"]
    assert stage.run("calm", *options)[0] == 0
    process = stage.start("killed", *options, "--save-steps", "2")
    wait_for(has_checkpoint(stage, "killed", 6), process)
    stage.kill(process)
    # Another number of evaluations is the same run: it goes on, and keeps what was measured.
    code, stderr = stage.run("killed", *options[:2], "--validation-evaluations", "2")
    assert code == 0, stderr
    assert "going on from step" in stderr
    assert weights(stage, "killed") == weights(stage, "calm")
    calm, killed = (stage.train(name)["validation"]["evaluations"] for name in ("calm", "killed"))
    assert [point["step"] for point in killed] in ([0, 3, 6, 12], [0, 3, 6, 9, 12])
    assert killed == [p for p in calm if p["step"] in {q["step"] for q in killed}]
    events = list((stage.folder / "killed" / "tensorboard").glob("events.*"))
    assert len(events) == 2
    assert math.isfinite(killed[-1]["loss"]["cot"])
    assert (
        sha256_file(stage.folder / "validation_set.parquet")
        == stage.train("calm")["validation"]["sha256"]
    )
