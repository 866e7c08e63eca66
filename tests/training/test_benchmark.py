"""The benchmarks' harness: order and arithmetic, the command line, the result file, the tables."""

from __future__ import annotations

import json
import sys
from collections import Counter
from functools import partial

import pytest
import torch

from benchmarks.finetune.__main__ import tables
from benchmarks.finetune.cases import PAD
from benchmarks.finetune.gradients import documents_of, relative_error
from benchmarks.finetune.parts import timed
from benchmarks.finetune.variants import collate
from benchmarks.harness import (
    Measured,
    measure,
    measure_once,
    measure_pairs,
    ratio,
    run_benchmark,
    spread,
)
from benchmarks.tokens.__main__ import tables as tokens_tables
from benchmarks.tokens.parts import watched
from benchmarks.tokens.pool import draw_records


def counting(units):
    while True:
        yield float(units)


def test_ratios_are_taken_round_by_round():
    found = ratio([10.0, 40.0, 90.0], [10.0, 20.0, 30.0])
    assert found == {"median": 2.0, "low": 1.0, "high": 3.0}
    assert spread(found, "x", digits=1) == "2.0x (1.0 to 3.0)"


def test_every_variant_does_a_step_in_every_round():
    found = measure({"a": (counting, (3,)), "b": (counting, (5,))}, rounds=4)
    assert {name: len(speeds) for name, speeds in found.speeds.items()} == {"a": 4, "b": 4}
    assert min(found.speeds["a"]) > 0
    assert found.peak_bytes["b"] > 2**20


def filled(size):
    return len(b"x" * size)


def prepare(size):
    filled(size // 2)
    return partial(filled, size)


def test_what_comes_before_an_action_is_not_counted():
    found = measure_once(prepare, 2**28)
    assert found["result"] == 2**28
    assert 2**26 < found["extra_bytes"] < 2**28  # half of it had been there already
    assert found["peak_bytes"] > 2**28
    assert found["seconds"] > 0


def test_a_part_that_is_measured_alone_is_merged_into_the_file(tmp_path, capsys):
    parts = {"a": lambda quick: 1 if quick else 10, "b": lambda quick: 2 if quick else 20}
    out = tmp_path / "results" / "name.json"

    def call(*arguments, **options):
        shown = lambda results: " ".join(key for key in ("a", "b") if key in results)  # noqa: E731
        arguments = [*arguments, "--out", str(out)]
        run_benchmark("name", "What for.", parts, shown, arguments=arguments, **options)
        return json.loads(out.read_text("utf-8"))

    quick = call("--quick", quick_parts=["a"], packages=("numpy", "no-such-package"))
    assert (quick["a"], quick["quick"], "b" in quick) == (1, True, False)
    assert list(quick["versions"]) == ["numpy"]
    assert quick["machine"]["cores"] >= 1
    whole = call("--only", "b")
    assert (whole["a"], whole["b"], whole["quick"]) == (1, 20, False)
    assert capsys.readouterr().out == "a\na b\n"
    with pytest.raises(SystemExit):
        call("--only", "c")


def test_time_is_counted_also_when_a_call_fails():
    clock = Counter()

    def fails():
        raise ValueError

    with pytest.raises(ValueError):
        timed(fails, clock, "passes")()
    assert clock["passes"] > 0


def test_the_tables_show_what_was_measured_and_skip_the_rest():
    measured = Measured(
        {"packed": [30.0], "grouped": [20.0], "dynamic": [12.0]},
        {"packed": 2e9, "grouped": 3e9, "dynamic": 4e9},
    ).as_json("packed")
    errors = {"packed": 3e-7, "grouped": 2e-7, "dynamic": 0.04}
    shown = tables({"llama": {"name": "toy", **measured, "gradient_error": errors}})
    assert "| grouped | 20 | 1.50x (1.50 to 1.50) | 3.00 GB | equal, 2.0e-07 |" in shown
    assert "| dynamic | 12 | 2.50x (2.50 to 2.50), goal missed | 4.00 GB | other, 4.0e-02" in shown
    assert "first step" not in shown


def test_the_others_come_one_by_one_beside_ours():
    variants = {name: (counting, (units,)) for name, units in (("a", 3), ("b", 5), ("c", 7))}
    found = measure_pairs(variants, 3, "a")
    assert found["per_second"].keys() == {"a", "b", "c"} == found["peak_memory_bytes"].keys()
    assert found["ratio"].keys() == {"b", "c"}


def test_documents_are_read_from_padded_flat_and_masked_rows():
    documents = [([5, 6, 7], [-100, 6, 7]), ([8, 9], [-100, 9])]
    rows = [{"input_ids": ids, "labels": labels} for ids, labels in documents]
    assert documents_of(collate(rows, 4)) == documents
    flat = {
        "input_ids": torch.tensor([[5, 6, 7, 8, 9, PAD]]),
        "labels": torch.tensor([[-100, 6, 7, -100, 9, -100]]),
    }
    positions = torch.tensor([[0, 1, 2, 0, 1, 0]])
    assert documents_of(flat | {"position_ids": positions}) == documents
    inside = torch.tensor([1, 1, 1, 2, 2, 0])
    seen = (inside[:, None] == inside) & torch.ones(6, 6).tril().bool()
    mask = torch.where(seen, 0.0, -1e9)[None, None]
    assert documents_of(flat | {"attention_mask": mask}) == documents


def test_an_error_is_that_of_all_weights_together():
    wanted = {"a": torch.tensor([3.0]), "b": torch.tensor([4.0])}
    assert relative_error(wanted, wanted) == 0
    found = {"a": torch.tensor([3.0]), "b": torch.tensor([4.5])}
    assert relative_error(found, wanted) == pytest.approx(0.1)
    with pytest.raises(ValueError, match="other weights"):
        relative_error({"a": wanted["a"]}, wanted)


def test_the_pool_of_the_benchmark_has_the_lengths_it_states():
    records = list(draw_records(4000))
    assert len({record.id for record in records}) == 4000
    for mean, side in ((83, "prompt"), (210, "output")):
        lengths = [len(getattr(record, side)) for record in records]
        assert sum(lengths) / 4000 == pytest.approx(mean, rel=0.06)
        assert max(lengths) > 5 * mean
    assert draw_records(4000).__next__() == records[0]


def test_memory_of_a_command_is_that_of_all_its_processes():
    child = "import time; held = bytearray(60_000_000); time.sleep(1)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    found = watched([sys.executable, "-c", parent])
    assert found["seconds"] > 1
    assert 60e6 < found["peak_bytes"] < 200e6
    with pytest.raises(RuntimeError, match="no such thing"):
        watched([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_the_table_of_tokens_shows_what_was_measured():
    stage = {"seconds": 30.0, "peak_bytes": 9e8, "tokens": 5_000_000, "disk_bytes": 1e7}
    shown = tokens_tables({"stage": {"20000": stage}})
    assert "| 20,000 | 5,000,000 | 30 s | 0.90 GB | 0.01 GB | | |" in shown
    other = {"20000": {"seconds": 45.0, "peak_bytes": 2e9}}
    assert "| 45 s | 2.00 GB |" in tokens_tables({"stage": {"20000": stage}, "datasets": other})


def test_predicted_and_measured_memory_stand_side_by_side():
    row = {"model": "Llama", "tied": False, "tuning": "full", "recomputed": True}
    peaks = {"predicted": {"total": 1.03e9}, "measured": 1e9, "off": 0.03}
    assert "| Llama | own | full | yes | 1.03 GB | 1.00 GB | +3.0% |" in tables(
        {"memory": [row | peaks]}
    )
