"""The examples that every way trains on, and the shapes they are trained with."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MAX_LENGTH = 1024
TEMPLATE = "Human: {prompt}\n\nAssistant: "


@dataclass(frozen=True)
class Case:
    """One model and batch."""

    name: str
    vocabulary: int
    hidden: int
    layers: int
    heads: int
    batch: int  # examples per optimizer step
    micro_batch: int  # examples per padded forward pass
    rounds: int


def texts() -> tuple[list[tuple[str, str]], str]:
    """(prompt, answer) pairs and where they come from."""
    data = Path(os.environ.get("INSTRUCT_SCALING_DATA", ROOT.parent / "shared" / "data"))
    path = data / "alpaca_zh_demo.json"
    if path.exists():
        rows = json.loads(path.read_text("utf-8"))
        pairs = [(f"{row['instruction']}\n{row['input']}", row["output"]) for row in rows]
        return pairs, path.name
    from instruct_scaling.data.synthetic.generate import generate_records

    records = generate_records(1000, seed=0)
    return [(record.prompt, record.output) for record in records], "synthetic generator"


def tokenizer_for(pairs: Sequence[tuple[str, str]], vocabulary: int) -> Any:
    """A byte-level BPE trained on the texts, of at most 8,192 pieces."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=min(vocabulary, 8192),
        special_tokens=["<unk>", "<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator((text for pair in pairs for text in pair), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )


def write_examples_of(folder: Path, vocabulary: int) -> str:
    """Tokenise every text once, as the stage does; returns where the texts come from."""
    write, source = examples_writer(vocabulary)
    write(folder)
    return source


def examples_writer(
    vocabulary: int, count: int | None = None
) -> tuple[Callable[[Path], None], str]:
    """What tokenizes `count` examples into a folder as the stage does (default: every text once;
    more repeat them), and where the texts come from."""
    from instruct_scaling.common.records import Record
    from instruct_scaling.training.examples import encode_records, write_examples

    pairs, source = texts()
    tokenizer = tokenizer_for(pairs, vocabulary)
    records = [Record.make(prompt, answer) for prompt, answer in pairs]
    count = count or len(records)
    repeated = [records[place % len(records)] for place in range(count)]
    ids = [str(place) for place in range(count)]

    def write(folder: Path) -> None:
        encoded = encode_records(repeated, tokenizer, TEMPLATE, MAX_LENGTH)
        write_examples(folder, ids, encoded)

    return write, source
