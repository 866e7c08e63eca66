"""The llm judge against a real local server: `transformers serve` with a tiny BLOOM."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from instruct_scaling.common.files import read_jsonl
from instruct_scaling.common.records import EvalItem
from tests.evaluation.judge.conftest import call_stage

pytestmark = pytest.mark.slow

START_SECONDS = 180


def build_judge_model(folder: Path) -> None:
    """A BLOOM that answers every prompt with "Score: 1".

    Its blocks add nothing to the residual stream, so that the next token depends on the current
    one alone, and its output layer holds the chain of tokens to go through.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import BloomConfig, BloomForCausalLM, PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>", "</s>", "<pad>", "<judge>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    bpe.train_from_iterator(["Score: 1"] * 9, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens=["<judge>"],
        chat_template="{% for m in messages %}{{ m['content'] }}{% endfor %}<judge>",
    )
    torch.manual_seed(0)
    config = BloomConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        n_layer=1,
        n_head=2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    model = BloomForCausalLM(config).eval()
    chain = [tokenizer.convert_tokens_to_ids("<judge>"), *tokenizer("Score: 1")["input_ids"]]
    assert len(set(chain)) == len(chain)
    with torch.no_grad():
        for block in model.transformer.h:
            block.self_attention.dense.weight.zero_()
            block.mlp.dense_4h_to_h.weight.zero_()
        states = model.transformer(torch.tensor([chain])).last_hidden_state[0]
        model.lm_head.weight.zero_()
        for state, following in zip(states, [*chain[1:], tokenizer.eos_token_id], strict=True):
            model.lm_head.weight[following] = state
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[tuple[str, str]]:
    """URL of a running server and the name of its model."""
    program = shutil.which("transformers", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("the `transformers` command is not installed")
    model = tmp_path_factory.mktemp("judge-model")
    build_judge_model(model)
    port = free_port()
    log = model / "serve.log"
    command = [program, "serve", str(model), "--device", "cpu", "--host", "127.0.0.1"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while not is_up(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"transformers serve did not start:\n{log.read_text()[-2000:]}")
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}/v1", str(model)
        finally:
            process.terminate()
            process.wait(30)


def is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def judge(server, write_study, monkeypatch):
    """Judges `PAIRS` by the server; gives the rows and all that was written."""
    url, served = server
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    monkeypatch.setenv("OPENAI_API_KEY", "none-needed")

    def run(model=served, **settings):
        options = write_study(PAIRS)
        call_stage(options, {"type": "llm", "model": model, **settings})
        written = [path.read_text() for path in options["--out"].parent.iterdir()]
        return [row for _, row in read_jsonl(options["--out"])], written

    return run


PAIRS = [
    (EvalItem.make("math", "1+1?", reference="2", language="en"), "2"),
    (EvalItem.make("generation", "写一首诗。", language="zh"), "床前明月光"),
]


def test_a_local_model_judges(judge, server):
    rows, written = judge()
    assert [(row["item"], row["repeat"]) for row in rows] == [
        (item.id, repeat) for item, _ in PAIRS for repeat in (1, 2, 3)
    ]
    assert {(row["score"], row["status"], row["reason"]) for row in rows} == {(1, "ok", "Score: 1")}
    assert all(row["tokens"] > 100 for row in rows)
    assert all("none-needed" not in text and server[0] not in text for text in written)


def test_a_reply_that_is_cut_off_is_missing(judge):
    rows, _ = judge(max_tokens=1, repeats=1)
    assert {(row["score"], row["status"]) for row in rows} == {(None, "unparsed")}
    assert all("Score" in row["reason"] for row in rows)


def test_a_model_that_is_not_served_is_named_in_the_reason(judge):
    rows, _ = judge("another/model")
    assert {row["status"] for row in rows} == {"http_error"}
    assert "another/model" in rows[0]["reason"]
