"""A chat model from conversations to answers: what is trained is what it is given and stops at."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from transformers import AutoTokenizer, GenerationConfig

from instruct_scaling.common.files import read_json, read_jsonl, write_jsonl
from instruct_scaling.common.records import EvalItem, Message, Record
from instruct_scaling.config.evaluation import Generate
from instruct_scaling.config.execution import Execution
from instruct_scaling.data.tokens.stage import tokens
from instruct_scaling.evaluation.generate import generate
from instruct_scaling.training import pipeline
from instruct_scaling.training.metrics import Stopwatch

from .conftest import write_pool, write_subset

CHAT = (
    "{% for m in messages %}{{ m.role }}:{{ m.content }}"
    "{{ '<pad>' if m.role == 'assistant' else '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
WORDS = ("red", "blue", "green", "black")


def conversation(seed: int) -> Record:
    """Words that are repeated, one to three of them."""
    turns = [Message("system", "Repeat.")]
    rng = np.random.default_rng(seed)
    for index in rng.integers(0, len(WORDS), rng.integers(1, 4)):
        turns += [Message("user", WORDS[index]), Message("assistant", WORDS[index])]
    return Record.of_messages(turns)


@pytest.mark.parametrize("supervise", ["all", "last"])
def test_a_tuned_chat_model_answers_in_turn_and_stops(group, run, tmp_path, supervise):
    one = run(learning_rate=3e-3, epochs=12, max_length=200, supervise=supervise)
    base = tmp_path / "base"
    shutil.copytree(one.inputs / "base", base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(base)
    records = list({record.id: record for record in map(conversation, range(200))}.values())
    write_pool(tmp_path, records)
    write_subset(tmp_path / "subset.parquet", [record.id for record in records])
    tokens(tmp_path / "records", base, "chat", 200, tmp_path / "tokens", supervise)
    inputs = replace(
        one.pipeline_inputs(),
        base=base,
        tokens=tmp_path / "tokens",
        subset=tmp_path / "subset.parquet",
        template="chat",
    )
    outputs = pipeline.Outputs(one.model, one.folder / "train.json", one.work)
    pipeline.tune(inputs, outputs, pipeline.Observation(), Execution(), group, Stopwatch())
    train = read_json(outputs.train)
    assert train["loss"]["last"] < 0.5
    assert train["data"]["tokenized_in_pieces"] == 0
    stops = tokenizer.convert_tokens_to_ids(["</s>", "<pad>"])
    assert sorted(GenerationConfig.from_pretrained(one.model).eos_token_id) == sorted(stops)

    history = [Message("system", "Repeat."), Message("user", "red"), Message("assistant", "red")]
    items = [EvalItem.make("math", word, history=history) for word in WORDS]
    write_jsonl(tmp_path / "items.jsonl", [item.to_row() for item in items])
    generate(
        model=one.model,
        items=tmp_path / "items.jsonl",
        arm="chat",
        scale=len(records),
        seed_label=1,
        generate=Generate(max_new_tokens=12).model_dump_json(),
        template="chat",
        precision="fp32",
        generation_seed=1,
        out=tmp_path / "responses.jsonl",
    )
    rows = [row for _, row in read_jsonl(tmp_path / "responses.jsonl")]
    assert {row["finish"] for row in rows} == {"stop"}
    assert all(row["text"].isalpha() and row["tokens"] > 1 for row in rows)
