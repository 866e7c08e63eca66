"""What the report says of how a study was made."""

from __future__ import annotations

import pandas as pd
import pytest

from instruct_scaling.config.study import Study
from tests.reporting.report.page import rendered, texts


def method(config, *, verdicts=(), clusters=None, overlap=(), looks=(), families=None, **recipe):
    config["arms"]["full"]["recipe"].update(recipe)
    options = pd.DataFrame({"option": ["interval"], "value": [0.9]})
    context = {"analysis_options": options, "verdicts": list(verdicts), "clusters": clusters}
    context |= {"overlap": overlap, "looks": list(looks)}
    context["families"] = families or {"primary": [], "exploratory": []}
    (text,) = texts(rendered("method.html.j2", study=Study(**config), **context))
    return text


def test_subsets_of_one_seed_are_nested_or_the_same_for_every_seed(default_config):
    default_config["seeds"] = {"replicates": [1, 2]}
    assert "those of one seed are nested" in method(default_config)
    default_config["seeds"]["vary"] = ["order"]
    text = method(default_config)
    assert "the same subsets for every seed" in text
    assert "what varies between seeds: order." in text
    default_config["seeds"] = {"replicates": [1], "vary": []}
    text = method(default_config)
    assert "those of one seed are nested. There is 1 seed per scale" in text
    assert "what varies between seeds: nothing." in text


def test_a_base_of_gguf_is_named_with_its_package_and_hash(default_config):
    name = default_config["arms"]["full"]["base"]
    file = {"type": "gguf", "file": "m.Q4_1.gguf", "sha256": "0123456789abcdef" * 4}
    default_config["bases"][name] = file
    assert "m.Q4_1.gguf, a quantized model, converted (SHA-256 0123456789ab…)" in method(
        default_config
    )
    default_config["bases"][name] = file | {"package": "some_wheel"}
    assert "m.Q4_1.gguf of the package some_wheel, a quantized" in method(default_config)


def test_crossed_seeds_are_stated(default_config):
    default_config["seeds"] = {"crossed": {"subset": [1, 2, 3], "training": [4, 5]}}
    text = method(default_config)
    assert "There are 6 runs per scale: each of 3 subset seeds (labels 1, 2, 3) with each" in text
    assert "those of one seed are nested" in text


def test_what_two_subsets_have_in_common_is_stated(default_config):
    part = {"pool": "p", "arms": ["full"], "records": 400, "scales": [100, 400]}
    part |= {"shares": [0.25, 1.0], "in_common": [0.26, 1.0], "same": [400], "much": []}
    text = method(default_config, overlap=[part])
    assert "Arm “full”: the scales are 25.0% and 100.0% of the 400 records of pool “p”" in text
    assert "The subsets of two seeds have 26.0% and 100.0% of their records in common" in text
    assert "At 400 records all seeds train on the same ones" in text
    assert "differences between seeds measure training alone" in text
    alone = part | {"in_common": [], "same": []}
    assert "in common" not in method(default_config, overlap=[alone])


def test_a_selection_is_stated_with_its_keys(default_config):
    assert "selection" not in method(default_config)
    default_config["arms"]["full"]["selection"] = {
        "type": "stratified",
        "by": "language",
        "shares": {"en": 0.5, "zh": 0.5},
    }
    text = method(default_config)
    assert (
        "its records by selection “stratified” (by language, shares en 0.5, zh 0.5), with" in text
    )


def test_what_grows_with_the_scale_is_stated(default_config):
    assert "(so compute grows with the data)" in method(default_config)
    text = method(default_config, epochs=None, steps=10)
    assert "10 steps at every scale (so compute is held fixed)" in text


def test_who_answers_how_and_who_judges_is_stated(default_config):
    text = method(default_config)
    assert (
        "Every run and the untuned base (scale 0) answered every eval item once, greedily" in text
    )
    default_config["ladder"] = {"scales": [100], "base": False}
    default_config["generate"] = {"temperature": 0.7}
    llm = {"type": "llm", "model": "gpt", "repeats": 2}
    default_config["judges"] = {"a": llm, "b": {"type": "metric"}}
    text = method(default_config)
    assert "Every run answered every eval item once, at temperature 0.7" in text
    judges = "“a”, the model gpt with a rubric per category, 2 repeats and “b”, a reference scorer"
    assert judges in text


def test_margins_and_noise_of_the_verdicts_are_stated_once(default_config):
    table = {"margins": [0.02], "range_margins": [0.04], "noise": ["items and runs"]}
    text = method(default_config, verdicts=[table, table])
    assert text.count("tail slope ±0.02 per doubling, range of the means 0.04. Claims") == 1
    assert text.count("Noise in the intervals: items and runs.") == 1
    other = table | {"margins": [0.03], "range_margins": []}
    assert "0.04; tail slope ±0.03 per doubling. " in method(
        default_config, verdicts=[table, other]
    )


def test_the_unit_of_the_batch_is_stated(default_config):
    assert "batch 32 examples" in method(default_config, batch_size=32)
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


LOOK = {"judge": "metric", "arm": "full", "seeds": [3, 5], "spending": "none", "planned": None}
LOOK |= {"level": 0.05, "false_claims": 0.0712}


def test_of_what_intervals_speak_is_stated(default_config):
    default_config["seeds"] = {"replicates": [1]}
    assert "Intervals speak of new items like these and of the very runs" in method(default_config)
    default_config["seeds"] = {"replicates": [1, 2]}
    text = method(default_config)
    assert "of new runs of this recipe on this pool" in text
    assert "Two seeds' subsets of n of N records share about n/N of them" in text


def test_looks_are_counted_with_what_they_do_to_the_error(default_config):
    text = method(default_config, looks=[LOOK | {"seeds": [3], "false_claims": 0.05}])
    assert "The results were looked at once, at 3 seeds." in text
    assert ".09 of studies by five seeds and in .13 by eight" in text
    text = method(default_config, looks=[LOOK])
    assert "were looked at 2 times, at 3 and 5 seeds, each time at the full level" in text
    assert "is about 0.07 instead of 0.05" in text
    spent = LOOK | {"spending": "obrien_fleming", "planned": 8, "level": 0.0123}
    text = method(default_config, looks=[spent])
    assert "8 are planned, and obrien fleming spending makes this look's claims at level" in text
    assert "0.0123; intervals hold over all looks at once." in text
    assert ".13 by eight" not in text


def test_primary_and_exploratory_claims_are_named(default_config):
    assert "Primary" not in method(default_config)
    found = {"primary": ["metric / full"], "exploratory": ["gpt / full"]}
    text = method(default_config, families=found)
    assert "Primary are the verdicts of metric / full; those of gpt / full are exploratory" in text
    default_config["analysis"] = {"primary": {"categories": ["math"]}}
    assert "Primary categories are Math; all others are exploratory." in method(default_config)
