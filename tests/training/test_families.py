"""Other architectures than BLOOM, from two ranks to the exported model."""

from __future__ import annotations

import json

import pytest

from .conftest import run_ranks
from .family_ranks import SUPERVISED, make_bases


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    out = tmp_path_factory.mktemp("families")
    make_bases(out)
    run_ranks("tests.training.family_ranks", [out], 2)
    return json.loads((out / "result.json").read_text("utf-8"))


@pytest.mark.slow
def test_two_ranks_have_the_gradients_of_stock_one_by_one(result):
    assert len(result["errors"]) == 13
    for name, errors in result["errors"].items():
        assert errors["gradient"] < 1e-5, name
        assert errors["loss"] < 1e-5, name


@pytest.mark.slow
def test_ranks_may_fill_different_numbers_of_the_heads_chunks(result):
    """A rank that asked for the head's weight once for each chunk would wait for the other one."""
    losses = result["uneven"]
    assert len(losses) == 2 * len(SUPERVISED)
    for (first, _), (trained, measured) in zip(2 * SUPERVISED, losses, strict=True):
        assert measured == pytest.approx(trained, rel=1e-6)
        assert (measured == 0) == (first == 0)
