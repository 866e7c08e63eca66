"""From a study to its runs, their seeds, their input files and the table of runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.seeds import PURPOSES, derive_seed
from instruct_scaling.config.recipe import ByScale, Recipe, RecipePhase
from instruct_scaling.config.runs import (
    COLUMNS,
    Run,
    all_runs,
    answering_run,
    answering_runs,
    base_files,
    base_runs,
    evalset_files,
    pool_files,
    read_runs,
    run_identity,
    seed_for,
    selection_key,
    selections,
    subset_file,
    subset_label,
    subset_labels,
    subset_seed,
    token_store,
    tuned_runs,
    write_runs,
)
from instruct_scaling.config.study import Study


@pytest.fixture
def study(default_config):
    default_config["arms"] = {"full": {"base": "tiny", "pool": "synthetic"}}
    default_config["ladder"] = {"scales": [10, 20]}
    default_config["seeds"] = {"replicates": [1, 2]}
    return default_config


def test_the_base_answers_once_when_greedy(study):
    assert base_runs(Study(**study)) == [Run("full", 0, 1)]


def test_the_base_answers_for_every_replicate_when_sampling(study):
    study["generate"] = {"temperature": 0.7}
    assert base_runs(Study(**study)) == [Run("full", 0, 1), Run("full", 0, 2)]


@pytest.mark.parametrize(
    ("change", "folder"),
    [
        ({"recipe": {"learning_rate": 1.0}}, "runs/full/n0/s1"),
        ({"pool": "other"}, "runs/full/n0/s1"),
        ({"recipe": {"precision": "fp32"}}, "runs/twin/n0/s1"),
        ({"template": "{prompt}"}, "runs/twin/n0/s1"),
        ({"base": "other"}, "runs/twin/n0/s1"),
    ],
)
def test_arms_share_the_base_that_answers_alike(study, tmp_path, change, folder):
    study["bases"]["other"] = study["bases"]["tiny"]
    (study["pools"]["other"],) = study["pools"].values()
    study["arms"]["twin"] = study["arms"]["full"] | change
    parsed = Study(**study)
    write_runs(tmp_path / "runs.csv", parsed)
    rows = read_runs(tmp_path / "runs.csv")
    assert [(row.arm, row.scale, row.seed) for row in rows] == sorted(
        (run.arm, run.scale, run.seed) for run in all_runs(parsed)
    )
    (twin,) = (row for row in rows if row.arm == "twin" and row.scale == 0)
    assert twin.folder == tmp_path / folder
    assert len({row.folder for row in rows}) == len(answering_runs(parsed))
    tuned = [row for row in rows if row.scale > 0]
    assert len({row.folder for row in tuned}) == len(tuned) == 8


def test_the_order_of_the_arms_changes_no_row(study, tmp_path):
    """A stage is given the study with its keys sorted, and must find the same folders."""
    study["arms"]["a"] = study["arms"]["full"]
    forward, backward = dict(study["arms"]), dict(reversed(study["arms"].items()))
    write_runs(tmp_path / "forward.csv", Study(**study | {"arms": forward}))
    write_runs(tmp_path / "backward.csv", Study(**study | {"arms": backward}))
    text = (tmp_path / "forward.csv").read_bytes()
    assert text == (tmp_path / "backward.csv").read_bytes()
    assert text.splitlines()[1] == b"a,0,1,runs/a/n0/s1,,,,0"


def test_sampled_bases_answer_for_themselves(study):
    study["arms"]["twin"] = study["arms"]["full"]
    study["generate"] = {"temperature": 0.7}
    for run in base_runs(Study(**study)):
        assert answering_run(Study(**study), run) == run


def test_a_table_that_names_a_run_twice_is_refused(tmp_path):
    path = tmp_path / "runs.csv"
    rows = [f"a,1,{seed},x,y,{seed},{seed}" for seed in (1, 2, 1)]
    path.write_text("\n".join([",".join(COLUMNS), *rows]), "utf-8")
    with pytest.raises(InputError, match="arm a, scale 1, seed 1 is in the table 2 times"):
        read_runs(path)


def test_the_base_can_be_left_out(study):
    study["ladder"]["base"] = False
    assert all_runs(Study(**study)) == tuned_runs(Study(**study))
    assert len(tuned_runs(Study(**study))) == 4


def test_learning_rate_and_batch_follow_their_law():
    law = ByScale(reference=1000, learning_rate_exponent=-0.5, batch_exponent=1)
    recipe = Recipe(learning_rate=1e-3, batch_size=8)
    assert law.apply(recipe, 1000) == recipe
    larger = law.apply(recipe, 4000)
    assert (larger.learning_rate, larger.batch_size) == (5e-4, 32)
    smaller = law.apply(recipe, 10)
    assert (smaller.learning_rate, smaller.batch_size) == (1e-2, 1)
    of_tokens = law.apply(Recipe(batch_size=None, batch_tokens=100), 2000)
    assert (of_tokens.batch_size, of_tokens.batch_tokens) == (None, 200)


def test_a_rate_has_six_digits_and_a_batch_is_rounded():
    law = ByScale(reference=100, learning_rate_exponent=0.5, batch_exponent=1)
    scaled = law.apply(Recipe(learning_rate=1e-3, batch_size=10), 126)
    assert scaled.learning_rate == 0.0011225  # 0.00112249721603218
    assert scaled.batch_size == 13  # 12.6


def test_the_law_holds_for_the_rates_of_phases_too():
    law = ByScale(reference=100, learning_rate_exponent=-0.5)
    recipe = Recipe(phases=[{"learning_rate": 1e-3}, {"epochs": 3}])
    scaled = law.apply(recipe, 400)
    assert scaled.phases == [RecipePhase(learning_rate=5e-4), RecipePhase(epochs=3)]
    assert scaled.learning_rate_in(1) == scaled.learning_rate == recipe.learning_rate / 2


def test_a_phase_has_the_recipes_values_where_it_has_none():
    recipe = Recipe(epochs=2, learning_rate=1e-4, phases=[{}, {"epochs": 5, "learning_rate": 1e-5}])
    assert [recipe.epochs_in(phase) for phase in (0, 1)] == [2, 5]
    assert [recipe.learning_rate_in(phase) for phase in (0, 1)] == [1e-4, 1e-5]
    assert Recipe(epochs=2).epochs_in(7) == 2  # without entries all phases are alike
    with pytest.raises(ValidationError, match="needs `epochs` of the recipe, not `steps`"):
        Recipe(epochs=None, steps=5, phases=[{"epochs": 5}])


def test_arms_share_a_token_store_if_all_that_decides_the_tokens_is_equal(study):
    same = {"learning_rate": 0.5, "epochs": 9, "phases": [{"epochs": 1}]}
    edits = [{"recipe": same}, {"recipe": {"max_length": 77}}, {"recipe": {"supervise": "last"}}]
    edits.append({"template": "Q: {prompt}"})
    for number, edit in enumerate(edits):
        study["arms"][f"arm{number}"] = study["arms"]["full"] | edit
    stores = [token_store(Study(**study), arm) for arm in study["arms"]]
    assert len(set(stores)) == 4
    assert stores[list(study["arms"]).index("arm0")] == token_store(Study(**study), "full")
    assert all(re.fullmatch("tiny-[0-9a-f]{8}", store) for store in stores)


def test_the_identity_of_a_run_names_what_it_was_made_from(study):
    found = json.loads(run_identity(Study(**study), Run("full", 10, 2)))
    assert found == {
        "study": "laptop",
        "arm": "full",
        "scale": 10,
        "seed": 2,
        "base": "tiny",
        "pool": "synthetic",
        "template": Study(**study).arms["full"].template,
        "recipe": {},
    }


def test_a_law_leaves_the_identity_of_its_reference_alone(study):
    plain = Study(**study)
    study["arms"]["full"]["by_scale"] = {"reference": 10, "learning_rate_exponent": -0.5}
    lawful = Study(**study)
    at = {scale: Run("full", scale, 1) for scale in (10, 20)}
    assert run_identity(lawful, at[10]) == run_identity(plain, at[10])
    assert run_identity(lawful, at[20]) != run_identity(plain, at[20])


def test_fractions_become_percents(study):
    # 0.29 * 100 is 28.999999999999996
    study["intermediate_checkpoints"] = {"fractions": [0.07, 0.29, 0.57]}
    assert Study(**study).intermediate_checkpoints.percents() == [7, 29, 57]


def test_only_the_seeds_that_vary_differ_between_replicates(study):
    study["seeds"] = {"replicates": [1, 2], "vary": ["order"]}
    held = Study(**study)
    differ = {p for p in PURPOSES if seed_for(held, 1, p) != seed_for(held, 2, p)}
    assert differ == {"order"}
    study["seeds"] = {"replicates": [1, 2]}
    free = Study(**study)
    assert {p for p in PURPOSES if seed_for(free, 1, p) != seed_for(free, 2, p)} == set(PURPOSES)


def test_seeds_that_do_not_vary_are_those_of_the_first_replicate(study):
    study["seeds"] = {"study": 3, "replicates": [4, 2], "vary": ["order"]}
    held = Study(**study)
    assert seed_for(held, 2, "subset") == derive_seed(3, 4, "subset")
    assert seed_for(held, 2, "order") == derive_seed(3, 2, "order")


@pytest.fixture
def arms(study):
    """Arms on one base, one with another template, one on another base."""
    study["bases"]["other"] = {"type": "tiny", "seed": 1}
    own = study["arms"]["full"]
    study["arms"] = {
        "full": own,
        "lora": own | {"recipe": {"tuning": {"method": "lora"}}},
        "chat": own | {"template": "Q: {prompt} A: "},
        "other": own | {"base": "other"},
    }
    return study


def test_untuned_bases_of_equal_base_and_template_answer_once(arms):
    study = Study(**arms)
    answers = {run.arm: answering_run(study, run).arm for run in base_runs(study)}
    assert answers == {"full": "full", "lora": "full", "chat": "chat", "other": "other"}
    assert all(answering_run(study, run) == run for run in tuned_runs(study))
    assert len(answering_runs(study)) == len(all_runs(study)) - 1


def test_sampled_answers_are_not_shared(arms):
    arms["generate"] = {"temperature": 0.5}
    study = Study(**arms)
    assert answering_runs(study) == all_runs(study)


def test_the_few_shot_base_stands_beside_scale_0_and_is_shared_on_one_pool(arms, tmp_path):
    arms["ladder"] |= {"few_shot": 3}
    arms["pools"]["second"] = {"sources": [{"type": "synthetic", "records": 500, "seed": 9}]}
    arms["arms"]["second"] = arms["arms"]["full"] | {"pool": "second"}
    study = Study(**arms)
    write_runs(tmp_path / "runs.csv", study)
    rows = [row for row in read_runs(tmp_path / "runs.csv") if row.scale == 0]
    assert {(row.shots, row.arm) for row in rows} == {
        (k, arm) for k in (0, 3) for arm in study.arms
    }
    folder = {(row.arm, row.shots): row.folder.relative_to(tmp_path).as_posix() for row in rows}
    assert folder["lora", 3] == folder["full", 3] == "runs/full/n0/s1/few_shot"
    # Without examples the pool has no part in the answers.
    assert folder["second", 0] == folder["full", 0] == "runs/full/n0/s1"
    assert folder["second", 3] == "runs/second/n0/s1/few_shot"


def test_the_table_of_runs_comes_back_with_its_folders(arms, tmp_path, monkeypatch):
    study = Study(**arms)
    monkeypatch.chdir(tmp_path)
    path = Path("results/s/runs.csv")
    write_runs(path, study)
    rows = read_runs(path)
    assert len(rows) == len(all_runs(study))
    assert {Run(row.arm, row.scale, row.seed) for row in rows} == set(all_runs(study))
    folders = {(row.arm, row.scale, row.seed): row.folder for row in rows}
    assert folders["full", 10, 2] == Path("results/s/runs/full/n10/s2")
    assert folders["lora", 0, 1] == folders["full", 0, 1] == Path("results/s/runs/full/n0/s1")
    assert folders["other", 0, 1] != folders["full", 0, 1]


@pytest.mark.parametrize(
    "text", ["", "arm,scale\nfull,1\n", "arm,scale,seed,folder\nfull,many,1,x\n", "a\nb\n"]
)
def test_another_table_is_refused(tmp_path, text):
    path = tmp_path / "runs.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match="not a table of runs with the columns arm, scale"):
        read_runs(path)
    with pytest.raises(InputError, match="no such file"):
        read_runs(tmp_path / "none.csv")


def test_the_files_of_a_local_base_are_those_that_identify_it(study, tmp_path):
    wanted = [
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    for name in [*wanted, "README.md", "pytorch_model.bin", "training_log.txt"]:
        (tmp_path / name).write_text("x", "utf-8")
    (tmp_path / "tokenizer_cache").mkdir()
    study["bases"] = {
        "local": {"type": "pretrained", "model": str(tmp_path)},
        "hub": {"type": "pretrained", "model": "owner/name", "revision": "0" * 40},
        "tiny": {"type": "tiny"},
    }
    found = base_files(Study(**study), "local")
    assert found == [str(tmp_path / name) for name in wanted]
    assert base_files(Study(**study), "hub") == base_files(Study(**study), "tiny") == []


def test_the_files_of_a_pool_are_those_on_this_machine(study, tmp_path):
    (tmp_path / "set" / "data").mkdir(parents=True)
    (tmp_path / "set" / "data" / "train.jsonl").write_text("{}", "utf-8")
    study["pools"]["synthetic"]["sources"] = [
        {"type": "synthetic"},
        {"type": "file", "path": "a.jsonl"},
        {"type": "hub", "dataset": str(tmp_path / "set")},
        {"type": "hub", "dataset": "owner/name", "revision": "0" * 40},
    ]
    files = pool_files(Study(**study), "synthetic")
    assert files == ["a.jsonl", str(tmp_path / "set" / "data" / "train.jsonl")]
    study["evalset"]["sources"] = [{"type": "synthetic"}, {"type": "file", "path": "b.jsonl"}]
    assert evalset_files(Study(**study)) == ["b.jsonl"]


CROSSED = {"crossed": {"subset": [1, 2, 5], "training": [1, 3]}}


def test_crossed_seeds_give_a_run_of_each_pair(study):
    study["seeds"] = CROSSED
    crossed = Study(**study)
    assert crossed.seeds.labels == [1, 2, 3, 4, 5, 6]
    pairs = [crossed.seeds.pair(label) for label in crossed.seeds.labels]
    assert pairs == [(1, 1), (1, 3), (2, 1), (2, 3), (5, 1), (5, 3)]
    assert len(tuned_runs(crossed)) == 2 * 6
    assert seed_for(crossed, 4, "subset") == derive_seed(0, 2, "subset")
    assert all(seed_for(crossed, 4, p) == derive_seed(0, 3, p) for p in PURPOSES if p != "subset")


def test_a_subset_seed_added_at_the_end_leaves_the_runs_before_it(study):
    study["seeds"] = {"crossed": {"subset": [1, 2], "training": [1, 3]}}
    before = Study(**study)
    study["seeds"] = CROSSED
    after = Study(**study)
    for run in tuned_runs(before):
        assert after.seeds.pair(run.seed) == before.seeds.pair(run.seed)
        assert subset_file(after, run) == subset_file(before, run)


def test_crossed_runs_share_the_file_of_their_subset_seed(study):
    study["seeds"] = CROSSED
    crossed = Study(**study)
    files = {subset_file(crossed, run) for run in tuned_runs(crossed)}
    folder = "subsets/synthetic/uniform"
    assert files == {f"{folder}/n{n}/s{s}.parquet" for n in (10, 20) for s in (1, 2, 5)}
    assert subset_labels(crossed) == [1, 2, 5]
    for run in tuned_runs(crossed):
        label = subset_label(crossed, run.seed)
        assert subset_seed(crossed, label) == seed_for(crossed, run.seed, "subset")


def test_the_table_of_runs_names_subset_and_both_seeds(study, tmp_path):
    study["seeds"] = CROSSED
    write_runs(tmp_path / "runs.csv", Study(**study))
    rows = {(row.scale, row.seed): row for row in read_runs(tmp_path / "runs.csv")}
    row = rows[20, 4]
    assert (row.subset_seed, row.training_seed) == (2, 3)
    assert row.subset == tmp_path / "subsets/synthetic/uniform/n20/s2.parquet"
    assert (rows[0, 1].subset, rows[0, 1].subset_seed, rows[0, 1].training_seed) == (None,) * 3


@pytest.mark.parametrize(
    ("vary", "pair"),
    [(["subset"], (4, 7)), (["order"], (7, 4)), (["init", "subset"], (4, 4)), ([], (7, 7))],
)
def test_the_seeds_of_replicates_say_what_varies(study, vary, pair):
    study["seeds"] = {"replicates": [7, 4], "vary": vary}
    assert Study(**study).seeds.pair(4) == pair


def test_sampled_bases_answer_once_for_each_training_seed(study):
    study["generate"] = {"temperature": 0.7}
    study["seeds"] = CROSSED
    assert [run.seed for run in base_runs(Study(**study))] == [1, 2]


@pytest.fixture
def chosen(study):
    """A study with a uniform arm and two of equal selection."""
    own = study["arms"]["full"]
    by = {"type": "stratified", "by": "language"}
    study["arms"] |= {"a": own | {"selection": by}}
    study["arms"] |= {"b": own | {"selection": by | {"shares": "proportional"}}}
    return study


def test_arms_of_equal_pool_and_selection_share_subsets(chosen):
    study = Study(**chosen)
    keys = {arm: selection_key(study, arm) for arm in study.arms}
    assert keys["full"] == "uniform"
    assert re.fullmatch(r"stratified-[0-9a-f]{8}", keys["a"])
    assert keys["b"] == keys["a"]  # a default that is written out
    assert len(selections(study)) == 2
    chosen["arms"]["b"]["selection"] = {"type": "stratified", "by": "source"}
    assert len(selections(Study(**chosen))) == 3


def test_a_selection_is_part_of_a_run_unless_it_is_uniform(chosen):
    study = Study(**chosen)
    found = {arm: json.loads(run_identity(study, Run(arm, 10, 1))) for arm in study.arms}
    assert "selection" not in found["full"]
    assert found["a"]["selection"] == {"type": "stratified", "by": "language"}
