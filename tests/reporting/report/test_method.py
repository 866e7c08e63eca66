"""What the report says of how a study was made."""

from __future__ import annotations

import pandas as pd
import pytest

from instruct_scaling.config.study import Study
from tests.reporting.report.page import rendered, texts


def method(config, *, verdicts=(), clusters=None, **recipe):
    config["arms"]["full"]["recipe"].update(recipe)
    options = pd.DataFrame({"option": ["interval"], "value": [0.9]})
    context = {"analysis_options": options, "verdicts": list(verdicts), "clusters": clusters}
    (text,) = texts(rendered("method.html.j2", study=Study(**config), **context))
    return text


def test_the_unit_of_the_batch_is_stated(default_config):
    assert "batch 32 examples" in method(default_config)
    tokens = method(default_config, batch_size=None, batch_tokens=4096)
    assert "batch at most 4,096 tokens" in tokens


def test_a_law_over_the_ladder_is_stated(default_config):
    assert "Over the ladder" not in method(default_config)
    law = {"reference": 600, "learning_rate_exponent": -0.5}
    default_config["arms"]["full"]["by_scale"] = law
    text = method(default_config)
    assert "Over the ladder the learning rate goes as n^-0.5;" in text
    assert "hold at n = 600" in text


def test_the_claims_corrected_together_are_stated(default_config):
    assert "flat and plateaued are judged for each category by itself" in method(default_config)
    default_config["analysis"] = {"corrected": "all"}
    assert "All claims of all categories" in method(default_config)


def test_what_no_run_trains_on_is_stated(default_config):
    stated = "240 records of the pool, in equal shares of its categories, are validation records"
    assert stated in method(default_config)
    default_config["validation"] = {"records": 0}
    assert "validation" not in method(default_config)


def test_intermediate_checkpoints_are_stated_to_enter_no_verdict(default_config):
    assert "ntermediate checkpoints" not in method(default_config)
    default_config["intermediate_checkpoints"] = {"fractions": [0.25, 0.5]}
    text = method(default_config)
    assert "Intermediate checkpoints of every run after 25% and 50% of its steps answered" in text
    assert "no separate runs and enter no verdict" in text


@pytest.mark.parametrize(("epochs", "words"), [(1, "1 epoch at"), (2.5, "2.5 epochs at")])
def test_one_epoch_is_singular(default_config, epochs, words):
    assert words in method(default_config, epochs=epochs)


@pytest.mark.parametrize(
    ("tuning", "words"),
    [("embedding", "only the token embedding"), ("frozen_embedding", "all weights trained but")],
)
def test_what_is_tuned_is_stated(default_config, tuning, words):
    assert words in method(default_config, tuning={"method": tuning})
