"""A study in a network without a route: what prefetch leaves is enough, nobody asks outside."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from instruct_scaling.commands.prefetch import prefetch
from instruct_scaling.common import fetch
from instruct_scaling.common.fetch import location, snapshot_url
from tests.commands.test_cli import cli
from tests.studies import ROOT, tiny_study

pytestmark = pytest.mark.slow

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHIPPED = ROOT / "workflow" / "instruct_scaling" / "models" / "base" / "shipped"
# Every Python that starts writes down the addresses and names that it asks for.
WATCH = """
import os, sys

def note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        address = arguments[1] if event == "socket.connect" else arguments[0]
        with open(os.environ["SEEN"], "a") as file:
            file.write(f"{event} {address!r}\\n")

sys.addaudithook(note)
with open(os.environ["SEEN"], "a") as file:
    file.write("started\\n")
"""
INSIDE = ("127.", "localhost", "::1", "/", "b'/", "b'\\x00")


def outside(line: str) -> bool:
    """Whether a line of the watch names an address outside of this machine."""
    if line == "started":
        return False
    address = line.split(" ", 1)[1].lstrip("('\"")
    return not address.startswith(INSIDE) and address != "None"


@pytest.fixture(scope="module")
def walled() -> list[str]:
    """The command that runs another in a network of its own, with nothing but the loopback."""
    command = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"']
    command.append("walled")
    try:
        probe = subprocess.run([*command, "true"], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no unshare: apt install util-linux")
    if probe.returncode != 0:
        pytest.skip(f"no network namespaces here: {probe.stderr.strip() or 'ip is missing'}")
    return command


def small_model(folder: Path) -> None:
    """A random model with the tokenizer of the shipped base."""
    from transformers import AutoTokenizer, BloomConfig, BloomForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(SHIPPED)
    tokenizer.save_pretrained(folder)
    shape = {"hidden_size": 16, "n_layer": 1, "n_head": 2, "vocab_size": len(tokenizer)}
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    BloomForCausalLM(BloomConfig(**shape, **ends)).save_pretrained(folder)


@pytest.fixture
def study(tmp_path, monkeypatch, httpserver):
    """A study whose pool, eval set and base come from the web, after prefetch; without the web."""
    rows = [
        {"instruction": f"Say {n} {w}.", "output": f"{w} {n}"}
        for n in range(20)
        for w in ("apple", "pear", "plum")
    ]
    items = [{"category": "math", "prompt": f"{n} + 1?", "reference": str(n + 1)} for n in range(3)]
    sources = {}
    for name, content in {"pool.jsonl": rows, "items.jsonl": items}.items():
        data = "".join(json.dumps(row) + "\n" for row in content).encode()
        httpserver.expect_request(f"/{name}").respond_with_data(data)
        url, digest = httpserver.url_for(f"/{name}"), hashlib.sha256(data).hexdigest()
        sources[name] = {"type": "url", "url": url, "sha256": digest, "bytes": len(data)}
    config = tiny_study()
    config["pools"] = {"own": {"sources": [sources["pool.jsonl"]]}}
    config["bases"] = {"small": {"type": "pretrained", "model": "owner/name", "revision": COMMIT}}
    config["arms"] = {"full": config["arms"]["full"]}
    config["ladder"] = {"scales": [16]}
    config["validation"] = {"records": 0}
    config["evalset"] = {"sources": [sources["items.jsonl"]]}
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text(yaml.safe_dump(config), "utf-8")
    model = tmp_path / "copies" / location(snapshot_url("owner/name", COMMIT, "model"))
    small_model(model)  # as the hub would have given it
    monkeypatch.setenv(fetch.CACHE, str(tmp_path / "cache"))
    monkeypatch.delenv(fetch.OFFLINE, raising=False)
    prefetch(Path("study.yaml"), tmp_path / "copies")
    shutil.rmtree(tmp_path / "cache")
    return tmp_path


def test_a_study_runs_where_there_is_no_route_and_asks_for_nothing_outside(
    study, walled, monkeypatch
):
    (study / "watch").mkdir()
    (study / "watch" / "sitecustomize.py").write_text(WATCH, "utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{study / 'watch'}")
    monkeypatch.setenv("SEEN", str(study / "seen"))
    monkeypatch.setenv(fetch.OFFLINE, str(study / "copies"))
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):  # `run` sets them
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.syspath_prepend(str(ROOT))
    command = [*walled, sys.executable, "-c", "import runpy, sys; sys.path[:0] = sys.argv[1:3]; "]
    command[-1] += "del sys.argv[1:3]; runpy.run_module('instruct_scaling', run_name='__main__')"
    command += [str(ROOT / "workflow"), str(ROOT)]
    command += ["run", "study.yaml", "--until", "judge", "--cores", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    results = study / "results" / "tiny" / "runs" / "full"
    assert len((results / "n16" / "s1" / "judgements" / "metric.jsonl").read_text().split()) > 3
    seen = (study / "seen").read_text("utf-8").splitlines()
    assert seen.count("started") > 7  # `run`, Snakemake and each stage were watched
    assert [line for line in seen if outside(line)] == []


def test_without_the_copies_the_same_start_says_what_to_type(study, walled, monkeypatch):
    monkeypatch.setenv(fetch.OFFLINE, str(study / "copies"))
    shutil.rmtree(study / "copies" / "huggingface.co")
    done = cli("run", "study.yaml", "--until", "base", "--cores", "1")
    assert done.returncode == 1
    assert "instruct-scaling prefetch CONFIG --to FOLDER" in done.stderr
