"""Small pools in memory for the tests of selections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st
from pydantic import TypeAdapter

from instruct_scaling.config.selection import Selection
from instruct_scaling.data.selection.candidates import Candidates
from instruct_scaling.data.selection.select import select

SEEDS = st.integers(0, 2**31 - 1)
IDS = st.lists(st.uuids().map(lambda value: value.hex), min_size=12, max_size=60, unique=True)


def section(type: str, **keys) -> Selection:
    """A selection as the config reads it."""
    return TypeAdapter(Selection).validate_python({"type": type, **keys})


@dataclass(frozen=True)
class Kind:
    """A selection to test, and the label of a record in the pools that it is tested on, as a
    function of its id."""

    selection: Selection
    label: object = None

    def pool(self, ids) -> Candidates:
        """A pool of these ids."""
        return Candidates(
            pa.array(ids, pa.string()),
            None if self.label is None else pa.array([self.label(one) for one in ids]),
        )

    def draw(self, ids, scale, seed) -> list[tuple[str, int, int]]:
        """(id, repeats, phase) of the chosen records, in their order."""
        chosen = select(self.selection, self.pool(ids), scale, seed)
        assert chosen.rows.dtype == np.int64
        return [
            (ids[row], repeats, phase)
            for row, repeats, phase in zip(
                chosen.rows.tolist(), chosen.repeats.tolist(), chosen.phases.tolist(), strict=True
            )
        ]


def third(record_id: str) -> str:
    """One of three values, by the id."""
    return "abc"[int(record_id[:8], 16) % 3]


def number(record_id: str) -> float:
    """A number from 0 to 20 with many equal ones, by the id."""
    return float(int(record_id[8:16], 16) % 21)


KINDS = {
    "uniform": Kind(section("uniform")),
    "stratified, proportional": Kind(section("stratified", by="language"), third),
    "stratified, equal": Kind(section("stratified", by="category", shares="equal"), third),
    "stratified, stated": Kind(
        section("stratified", by="source", shares={"a": 0.5, "b": 0.3, "c": 0.2}), third
    ),
    "stratified, edges": Kind(
        section("stratified", by="annotation:x", edges=[7, 14], shares="equal"), number
    ),
    "stratified, quantiles": Kind(section("stratified", by="annotation:x", bands=2), number),
    "weighted": Kind(section("weighted", by="annotation:x"), lambda one: number(one) + 1),
    "weighted by value": Kind(
        section("weighted", by="tag:t", weights={"a": 5, "b": 1, "c": 0.1}), third
    ),
    "ranked": Kind(section("ranked", by="annotation:x"), number),
    "ranked upwards": Kind(section("ranked", by="annotation:x", order="ascending"), number),
    "mixture": Kind(section("mixture", by="source", shares={"a": 0.25, "c": 0.75}), third),
    "staged": Kind(
        section("staged", by="annotation:x", edges=[10], order="descending", shares="equal"),
        number,
    ),
    "mixed": Kind(section("staged", by="tag:t", order="mixed", shares="equal"), third),
    "dose": Kind(section("dose", by="tag:t", values=["b"], times=3), third),
    "late dose": Kind(section("dose", by="annotation:x", at_least=18, from_scale=40), number),
}
MOVES_WITH_THE_POOL = {"stratified, proportional", "stratified, quantiles"}
"""Kinds whose shares or bands depend on the pool as a whole."""
