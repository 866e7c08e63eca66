"""The stage as the workflow starts it: two DeepSpeed ranks, real processes, real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from instruct_scaling.common.files import sha256_file
from instruct_scaling.training.launch import rank_environments

from .conftest import write_subset

pytestmark = pytest.mark.slow


def weights(stage, name):
    return sha256_file(stage.folder / name / "model" / "model.safetensors")


def wait_for(condition, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def has_checkpoint(stage, name, step):
    work = stage.folder / name / "work"
    return lambda: list(work.glob(f"*/checkpoints/step-{step}/manifest.json"))


def test_two_ranks_train_and_export(stage):
    code, stderr = stage.run("a", learning_rate=5e-3)
    assert code == 0, stderr
    assert "loss=" in stderr
    assert "tok_s=" in stderr
    train = stage.train("a")
    assert train["execution"]["ranks"] == 2
    assert train["steps"] == 12
    assert train["examples_seen"] == 96
    assert train["tokens"]["total"] == 2 * train["data"]["tokens"]
    assert train["tokens"]["supervised"] == 2 * train["data"]["supervised_tokens"]
    assert train["loss"]["last"] < train["loss"]["first"] - 0.5
    assert train["mfu"] is None
    assert "no bf16 peak" in train["mfu_note"]
    assert train["parameters"]["trainable"] == train["parameters"]["total"]
    subset = sha256_file(stage.folder / "subset.parquet")
    assert train["data"]["subset_sha256"] == subset
    assert train["provenance"]["identity"] == {"arm": "full", "base": "tiny"}
    folder = stage.folder / "a" / "model"
    card = (folder / "README.md").read_text("utf-8")
    for stated in (subset, "tiny", '"learning_rate": 0.005', '"arm": "full"'):
        assert stated in card
    assert not (stage.folder / "a" / "work").exists()
    assert not list(folder.glob("*.bin"))
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert type(model).__name__ == "BloomForCausalLM"
    prompt = tokenizer("Human: Repeat: 1\n\nAssistant: ", return_tensors="pt")
    assert model.generate(**prompt, max_new_tokens=2).shape[1] > prompt["input_ids"].shape[1]


def test_ranks_and_row_budget_do_not_change_the_run(stage):
    base = AutoModelForCausalLM.from_pretrained(stage.folder / "base")
    base.config.hidden_dropout = base.config.attention_dropout = 0.0
    base.save_pretrained(stage.folder / "base")
    assert stage.run("two")[0] == 0
    stage.ranks = 1
    assert stage.run("one", "--row-tokens", "70")[0] == 0
    two, one = (
        AutoModelForCausalLM.from_pretrained(stage.folder / name / "model")
        for name in ("two", "one")
    )
    assert stage.train("one")["tokens"] == stage.train("two")["tokens"]
    assert stage.train("one")["execution"]["rows"] > stage.train("two")["execution"]["rows"]
    for (name, left), right in zip(two.named_parameters(), one.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=2e-4, msg=name)


def test_sigterm_saves_exits_75_and_goes_on_bit_equal(stage):
    assert stage.run("calm")[0] == 0
    process = stage.start("hurried", "--save-steps", "2")
    wait_for(has_checkpoint(stage, "hurried", 2), process)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 75, stderr
    assert stderr.count("run the same command again") == 1
    code, stderr = stage.run("hurried")
    assert code == 0, stderr
    assert "going on from step" in stderr
    assert weights(stage, "hurried") == weights(stage, "calm")
    assert stage.train("hurried")["execution"]["starts"] == 2
    assert stage.train("hurried")["loss"] == stage.train("calm")["loss"]


def test_killed_and_damaged_goes_on_bit_equal(stage):
    assert stage.run("calm", epochs=4)[0] == 0
    process = stage.start("killed", "--save-steps", "2", epochs=4)
    wait_for(has_checkpoint(stage, "killed", 6), process)
    stage.kill(process)
    (checkpoints,) = (stage.folder / "killed" / "work").glob("*/checkpoints")
    steps = sorted(
        (int(p.parent.name.removeprefix("step-")) for p in checkpoints.glob("*/manifest.json")),
    )
    assert len(steps) in (2, 3)  # older ones were pruned, unless the kill came just before
    damaged = next((checkpoints / f"step-{steps[-1]}").glob("*optim_states.pt"))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged.write_bytes(content)
    code, stderr = stage.run("killed", epochs=4)
    assert code == 0, stderr
    assert f"step {steps[-1]} is damaged" in stderr
    assert f"going on from step {steps[-2]}" in stderr
    assert weights(stage, "killed") == weights(stage, "calm")


def test_another_number_of_ranks_is_refused_with_advice(stage):
    process = stage.start("run", "--save-steps", "1")
    wait_for(has_checkpoint(stage, "run", 1), process)
    stage.kill(process)
    stage.ranks = 1
    code, stderr = stage.run("run")
    assert code == 2, stderr
    assert "--ranks 2" in stderr
    assert "Traceback" not in stderr


def test_lora_exports_merged_model_and_adapter(stage):
    lora = {"method": "lora", "rank": 4, "targets": ["query_key_value", "dense"]}
    code, stderr = stage.run("lora", tuning=lora, learning_rate=1e-2, epochs=1)
    assert code == 0, stderr
    train = stage.train("lora")
    assert train["parameters"]["trainable"] < train["parameters"]["total"] / 5
    folder = stage.folder / "lora" / "model"
    config = json.loads((folder / "adapter" / "adapter_config.json").read_text("utf-8"))
    assert config["r"] == 4
    merged = AutoModelForCausalLM.from_pretrained(folder)
    base = AutoModelForCausalLM.from_pretrained(stage.folder / "base")
    changed = {
        name
        for (name, left), right in zip(merged.named_parameters(), base.parameters(), strict=True)
        if not torch.equal(left, right)
    }
    assert changed == {
        f"transformer.h.{layer}.self_attention.{target}.weight"
        for layer in (0, 1)
        for target in ("query_key_value", "dense")
    }


def test_nan_stops_with_step_examples_and_advice(stage):
    code, stderr = stage.run("nan", learning_rate=1e30, max_grad_norm=0)
    assert code == 2
    assert "step 2" in stderr
    assert "lower recipe.learning_rate" in stderr
    assert "Traceback" not in stderr
    assert not (stage.folder / "nan" / "model").exists()


def test_a_finite_explosion_stops_too(stage):
    code, stderr = stage.run("exploded", learning_rate=3.0, max_grad_norm=0)
    assert code == 2
    assert "the loss has exploded" in stderr
    assert "lower recipe.learning_rate" in stderr


def test_a_batch_of_tokens_is_the_same_run_on_one_rank_and_two(stage):
    recipe = {"batch_size": None, "batch_tokens": 150, "epochs": 1}
    found = {}
    for ranks in (1, 2):
        stage.ranks = ranks
        code, stderr = stage.run(f"ranks{ranks}", **recipe)
        assert code == 0, stderr
        found[ranks] = stage.train(f"ranks{ranks}")
    assert found[1]["steps"] == found[2]["steps"] >= found[1]["tokens"]["total"] / 150
    assert found[1]["tokens"] == found[2]["tokens"]
    assert found[1]["loss"]["first"] == pytest.approx(found[2]["loss"]["first"], rel=0.05)


def test_unknown_id_is_refused_once(stage):
    write_subset(stage.folder / "subset.parquet", ["no such id"])
    code, stderr = stage.run("bad")
    assert code == 2
    assert stderr.count("error:") == 1
    assert "not in the pool" in stderr
    assert "Traceback" not in stderr


def test_two_nodes_meet_by_their_environment(stage):
    """One rank on each of two nodes, started by hand as a cluster's own tools would."""
    code, stderr = stage.run("one", epochs=1)
    assert code == 0, stderr
    first_of_its_node = {"OMP_NUM_THREADS": "1", "LOCAL_RANK": "0"}
    nodes = [
        subprocess.Popen(
            stage.command("two", "--launcher", "none", epochs=1),
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment, **first_of_its_node},
        )
        for environment in rank_environments(2)
    ]
    for node in nodes:
        _, stderr = node.communicate(timeout=120)
        assert node.returncode == 0, stderr
    assert weights(stage, "two") == weights(stage, "one")


@pytest.mark.parametrize("launcher", ["torchrun", "deepspeed"])
def test_other_launchers_start_the_same_run(stage, launcher, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    own = {"zero_optimization": {"stage": 1}, "zero_allow_untested_optimizer": True}
    code, stderr = stage.run("run", "--launcher", launcher, epochs=1, deepspeed=own)
    assert code == 0, stderr
    train = stage.train("run")
    assert train["execution"]["ranks"] == 2
    assert train["execution"]["setup"].startswith("ZeRO-1")
    assert list((stage.folder / "run" / "tensorboard").glob("events.*"))
