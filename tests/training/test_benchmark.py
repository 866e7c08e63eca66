"""The CPU benchmark's arithmetic, and the order in which it asks its ways."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.finetune.overhead import timed
from benchmarks.finetune.tables import tables
from benchmarks.interleaved import Measured, measure, ratio


def counting(units):
    while True:
        yield float(units)


def test_ratios_are_taken_round_by_round():
    found = ratio([10.0, 40.0, 90.0], [10.0, 20.0, 30.0])
    assert found == {"median": 2.0, "low": 1.0, "high": 3.0}


def test_every_way_is_asked_in_every_round():
    found = measure({"a": (counting, (3,)), "b": (counting, (5,))}, rounds=4)
    assert {name: len(speeds) for name, speeds in found.speeds.items()} == {"a": 4, "b": 4}
    assert min(found.speeds["a"]) > 0
    assert found.peak_bytes["b"] > 2**20


def test_time_is_counted_also_when_a_call_fails():
    clock = Counter()

    def fails():
        raise ValueError

    with pytest.raises(ValueError):
        timed(fails, clock, "passes")()
    assert clock["passes"] > 0


def test_the_tables_show_what_was_measured_and_skip_the_rest():
    measured = Measured({"packed": [30.0], "grouped": [20.0]}, {"packed": 2e9, "grouped": 3e9})
    shown = tables({"ways": {"cases": [{"name": "toy", **measured.as_json("packed")}]}})
    assert "| toy | grouped | 20 | 1.50x (1.50 to 1.50) | 1.15x | 3.00 GB |" in shown
    assert "launcher" not in shown
