"""The stage as the workflow starts it: two DeepSpeed ranks, real processes, real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from instruct_scaling.common.files import sha256_file
from instruct_scaling.data.encoding import encode_records
from instruct_scaling.data.pool.store import read_records
from instruct_scaling.training.launch import rank_environments

from .conftest import RECIPE, TEMPLATE, Run, kill, write_subset

pytestmark = pytest.mark.slow


def wait_for(condition, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture(scope="module")
def calm(inputs, tmp_path_factory):
    """A run that nothing interrupts, with validation and intermediate checkpoints; its stderr."""
    run = Run(inputs, tmp_path_factory.mktemp("calm"), {"learning_rate": 5e-3})
    snapshot = run.folder / "intermediate" / "50" / "model"
    stderr = run.finish(
        *("--validation", str(inputs / "validation_set.parquet")),
        *("--validation-evaluations", "3", "--intermediate", str(snapshot)),
    )
    return run, stderr


def test_two_ranks_train_and_export(calm):
    run, stderr = calm
    assert "loss=" in stderr
    assert "tok_s=" in stderr
    train = run.train
    assert train["execution"]["ranks"] == 2
    assert train["steps"] == 12
    assert train["examples_seen"] == 96
    assert train["epochs"] == 2.0
    total = train["tokens"]["total"]
    assert train["phases"] == [{"phase": 0, "steps": 12, "examples": 96, "tokens": total}]
    assert train["tokens"]["total"] == 2 * train["data"]["tokens"]
    assert train["tokens"]["supervised"] == 2 * train["data"]["supervised_tokens"]
    assert train["loss"]["last"] < train["loss"]["first"] - 0.5
    assert train["parameters"]["trainable"] == train["parameters"]["total"]
    assert (train["mfu"], train["mfu_note"][:18]) == (None, "no bf16 peak is kn")
    subset = sha256_file(run.inputs / "subset.parquet")
    base = sha256_file(run.inputs / "base" / "model.safetensors")
    assert train["data"]["subset_sha256"] == train["provenance"]["inputs"]["subset"] == subset
    assert train["base"] == {"name": "tiny", "weights_sha256": base}
    assert train["provenance"]["inputs"]["base/model.safetensors"] == base
    assert train["provenance"]["identity"] == {"arm": "full", "base": "tiny"}
    card = (run.model / "README.md").read_text("utf-8")
    for stated in (subset, base, '"learning_rate": 0.005', '"arm": "full"', TEMPLATE):
        assert stated in card
    assert not run.work.exists()
    assert not list(run.model.glob("*.bin"))
    model = AutoModelForCausalLM.from_pretrained(run.model)
    assert type(model).__name__ == "BloomForCausalLM"


def test_every_second_of_a_run_is_counted(calm):
    seconds = dict(calm[0].train["seconds"])
    total = seconds.pop("total")
    assert total == pytest.approx(sum(seconds.values()))
    parts = {"startup", "training", "validation", "checkpoints", "export"}
    assert set(seconds) == parts
    assert all(value > 0 for value in seconds.values())
    assert calm[0].train["cpu_core_hours"] > calm[0].train["cpu_core_hours_training"] > 0


def test_the_last_validation_loss_is_that_of_the_exported_model(calm):
    run, _ = calm
    found = run.train["validation"]
    assert [point["step"] for point in found["evaluations"]] == [0, 4, 8, 12]
    assert found["records"] == {"cot": 6, "unlabeled": 6}
    assert found["sha256"] == sha256_file(run.inputs / "validation_set.parquet")
    first, last = found["evaluations"][0]["loss"], found["evaluations"][-1]["loss"]
    assert all(last[name] < first[name] - 0.3 for name in first)
    tokens = found["supervised_tokens"]
    whole = sum(last[name] * tokens[name] for name in last) / sum(tokens.values())
    assert whole == pytest.approx(mean_loss(run), rel=1e-4)


def mean_loss(run):
    """Loss of the exported model on the validation records, by stock transformers."""
    chosen = pq.read_table(run.inputs / "validation_set.parquet")["id"].to_pylist()
    records = read_records(run.inputs / "records", chosen)
    tokenizer = AutoTokenizer.from_pretrained(run.model)
    model = AutoModelForCausalLM.from_pretrained(run.model).eval()
    total = count = 0
    for example in encode_records(records, tokenizer, TEMPLATE, RECIPE["max_length"]):
        ids = torch.from_numpy(example.tokens.astype(np.int64))
        with torch.no_grad():
            logits = model(input_ids=ids[None]).logits[0, example.spans[0, 0] - 1 : -1]
        answer = ids[example.spans[0, 0] :]
        total += torch.nn.functional.cross_entropy(logits, answer, reduction="sum").item()
        count += len(answer)
    return total / count


def test_killed_damaged_stopped_and_started_by_hand_ends_in_the_same_bits(calm, run):
    """Dropout on. The calm run is validated and keeps a model, this one is not: neither changes a
    weight. One start after the other, each from what the one before left."""
    one = run(learning_rate=5e-3)
    every_second = ("--execution", json.dumps({"save_steps": 2}))

    process = one.start(*every_second)
    wait_for(lambda: 4 in one.checkpoints(), process)
    kill(process)
    newest, before = one.checkpoints()[:2]
    file = max(one.work.glob(f"*/checkpoints/step-{newest}/*optim_states.pt"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)

    one.recipe |= {"zero_stage": 3}
    code, stderr = one.call()
    assert code == 2, stderr
    assert "was written with recipe.zero_stage 2, not 3" in stderr
    assert stderr.count("error:") == 1
    assert "Traceback" not in stderr
    del one.recipe["zero_stage"]

    process = one.start(*every_second)
    wait_for(lambda: one.checkpoints()[0] > newest, process)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert f"step {newest} is damaged" in stderr
    assert f"going on from step {before}" in stderr
    if process.returncode != 0:  # on a fast machine it may have come to its end
        assert process.returncode == 75, stderr
        assert stderr.count("run the same command again") == 1
        by_hand(one)
        assert one.train["execution"]["starts"] == 3
    assert one.weights == calm[0].weights
    assert one.train["loss"] == calm[0].train["loss"]
    assert not one.work.exists()


def by_hand(run):
    """One rank on each of two nodes, as a cluster's own tools would start them."""
    nodes = [
        subprocess.Popen(
            run.command("--launcher", "none"),
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment, "OMP_NUM_THREADS": "1", "LOCAL_RANK": "0"},
        )
        for environment in rank_environments(2)
    ]
    for node in nodes:
        _, stderr = node.communicate(timeout=120)
        assert node.returncode == 0, stderr


def test_bad_input_is_reported_once(inputs, run, tmp_path):
    """Found by rank 0 alone, after the ranks have met."""
    one = run()
    subset = write_subset(tmp_path / "bad.parquet", ["0" * 32])
    code, stderr = one.call("--subset", str(subset))
    assert code == 2
    assert stderr.count("error:") == 1
    assert "not in the token store" in stderr
    assert "Traceback" not in stderr
    assert "terminate" not in stderr
