"""The models and the examples that all variants of fine-tuning train on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
MAX_LENGTH = 1024
TEMPLATE = "Human: {prompt}\n\nAssistant: "
BOS, EOS, PAD = 1, 2, 3


@dataclass(frozen=True)
class Case:
    """One model and batch.

    Attributes:
        family: key of `CONFIGURATIONS`.
        batch: examples per optimizer step.
        micro_batch: examples per padded forward pass.
        key_heads, feedforward: 0 takes `heads`, and 4 times `hidden`.
        one_length: tokens that every example has; 0 leaves the data's own lengths.
    """

    name: str
    family: str
    vocabulary: int
    hidden: int
    layers: int
    heads: int
    batch: int
    micro_batch: int
    rounds: int
    key_heads: int = 0
    feedforward: int = 0
    one_length: int = 0


# By part of the benchmark. Positions: batch, micro-batch, rounds; key heads, feed-forward.
CASES = {
    "quick": Case("quick Llama", "llama", 2048, 96, 2, 3, 32, 8, 2, 1, 256),
    "bloom": Case("BLOOM, 8,192 pieces", "bloom", 8192, 128, 4, 4, 32, 8, 6),
    "bloom-vocabulary": Case("BLOOM, 250,880 pieces", "bloom", 250_880, 64, 2, 4, 8, 2, 3),
    "llama": Case("Llama, 8,192 pieces", "llama", 8192, 192, 6, 3, 32, 8, 4, 1, 512),
    "qwen": Case("Qwen3, 151,936 pieces", "qwen3", 151_936, 64, 2, 4, 8, 2, 3, 2, 192),
    "one-length": Case(
        "Llama, one length", "llama", 2048, 192, 6, 3, 32, 8, 4, 1, 512, one_length=128
    ),
    "smollm2": Case("SmolLM2-135M's shape", "llama", 49_152, 576, 30, 9, 8, 4, 1, 3, 1536),
}


def configuration(case: Case) -> Any:
    """The case's configuration of transformers: tied embeddings, no dropout."""
    return CONFIGURATIONS[case.family](case)


def _bloom(case: Case) -> Any:
    from transformers import BloomConfig

    return BloomConfig(
        vocab_size=case.vocabulary,
        hidden_size=case.hidden,
        n_layer=case.layers,
        n_head=case.heads,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=PAD,
        use_cache=False,
    )


def _llama(case: Case) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(**_decoder(case))


def _qwen3(case: Case) -> Any:
    from transformers import Qwen3Config

    return Qwen3Config(**_decoder(case), head_dim=case.hidden // case.heads)


def _decoder(case: Case) -> dict[str, Any]:
    return {
        "vocab_size": case.vocabulary,
        "hidden_size": case.hidden,
        "num_hidden_layers": case.layers,
        "num_attention_heads": case.heads,
        "num_key_value_heads": case.key_heads or case.heads,
        "intermediate_size": case.feedforward or 4 * case.hidden,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "pad_token_id": PAD,
        "use_cache": False,
    }


CONFIGURATIONS: dict[str, Callable[[Case], Any]] = {
    "bloom": _bloom,
    "llama": _llama,
    "qwen3": _qwen3,
}


def make_model(case: Case) -> Any:
    """A model with random weights, the same for every variant."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(configuration(case)).float().train()


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
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
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


def examples_writer(case: Case, count: int | None = None) -> tuple[Callable[[Path], None], str]:
    """What tokenizes `count` examples into a token store as the stage does (default: every text
    once; more repeat them), and where the texts come from."""
    from instruct_scaling.common.records import Record
    from instruct_scaling.data.encoding import encode_records
    from instruct_scaling.data.tokens.store import Chunk, write_store

    pairs, source = texts()
    tokenizer = tokenizer_for(pairs, case.vocabulary)
    records = [Record.make(prompt, answer) for prompt, answer in pairs]
    count = count or len(records)
    repeated = [records[index % len(records)] for index in range(count)]

    def write(folder: Path) -> None:
        encoded = list(encode_records(repeated, tokenizer, TEMPLATE, case.one_length or MAX_LENGTH))
        if case.one_length:
            encoded = [one for one in encoded if len(one.tokens) == case.one_length]
        ids = np.zeros((len(encoded), 2), np.uint64)
        ids[:, 1] = np.arange(len(encoded))
        write_store(folder, [Chunk.of(ids, encoded)], np.dtype(np.uint16), {})

    return write, source


def every_example(folder: Path) -> Any:
    """All examples of a store that `examples_writer` made, in its order."""
    from instruct_scaling.data.tokens.store import open_store
    from instruct_scaling.training.examples import Examples

    store = open_store(folder)
    rows = np.arange(len(store))
    return Examples(store, store.ids.T, rows, repeats=rows * 0 + 1, phases=rows * 0)


def rows(folder: Path) -> list[dict[str, list[int]]]:
    """Examples as the libraries want them."""
    examples = every_example(folder)
    made = []
    for index in range(len(examples)):
        tokens, ((prompt, _),) = examples.sequence(index)
        ids = tokens.tolist()
        made.append({"input_ids": ids, "labels": [-100] * prompt + ids[prompt:]})
    return made
