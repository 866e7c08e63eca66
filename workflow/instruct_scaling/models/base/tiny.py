"""A small BLOOM with its own tokenizer, built and trained on the synthetic generator's prose."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import BloomConfig, BloomForCausalLM, PreTrainedTokenizerFast

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import read_json, sha256_file, write_json
from instruct_scaling.config.bases import TinyBase
from instruct_scaling.data.synthetic import generate_text
from instruct_scaling.models.base.training import encode, train, unigram_loss, validation_loss

log = logging.getLogger(__name__)

UNKNOWN, END, PAD = "<unk>", "</s>", "<pad>"
TOKENIZER_DOCUMENTS = 20_000  # more give the same pieces
VALIDATION_DOCUMENTS = 400  # the first ones; the model is trained on the others


def build_tiny(config: TinyBase, folder: Path) -> dict[str, Any]:
    """Build, train and save a tiny base; returns what `base.json` says about it.

    The same config gives the same weights on the same machine with the same number of threads.

    Raises:
        InputError: too few documents to train on some and validate on others.
    """
    texts = list(generate_text(config.text_documents, config.seed))
    tokenizer = train_tokenizer(texts[:TOKENIZER_DOCUMENTS], config.vocab_size)
    documents = encode(texts, tokenizer)
    validation_count = min(VALIDATION_DOCUMENTS, len(documents) // 2)
    validation, documents = documents[:validation_count], documents[validation_count:]
    if not validation:
        raise InputError(
            f"{len(texts)} document leaves none to validate on",
            where="text_documents",
            fix="raise it",
        )
    model = build_model(config, tokenizer)
    text_tokens = sum(map(len, documents))
    log.info("%d parameters, %d tokens of text", model.num_parameters(), text_tokens)
    trained = train(model, documents, config)
    model.half().float()  # the values that are stored
    loss = {
        "unit": "nats per token",
        "training": trained.loss,
        "validation": validation_loss(model, validation),
        "validation_unigram": unigram_loss(documents, validation, len(tokenizer)),
    }
    folder.mkdir()
    save_halved(model, folder)
    tokenizer.save_pretrained(folder)
    facts = {
        "type": "tiny",
        "parameters": model.num_parameters(),
        "vocabulary": len(tokenizer),
        "steps": config.steps,
        "tokens": {"text": text_tokens, "seen": trained.tokens},
        "loss": loss,
        "seconds": round(trained.seconds, 1),
        "threads": torch.get_num_threads(),
        "sha256": {path.name: sha256_file(path) for path in sorted(folder.iterdir())},
    }
    (folder / "README.md").write_text(_card(config, facts), "utf-8")
    return facts


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE: any text in any script round-trips.

    A word has the same pieces wherever it stands, so that a small model can copy it: a space is
    put before every line (and taken away when decoding), because pieces begin with the space
    before them; digits and Chinese characters are not joined to longer pieces.

    Args:
        vocab_size: upper bound of the vocabulary, the three special tokens included.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend(" "), normalizers.Replace("\n", "\n ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\p{N}|\p{Han}"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.ByteLevel(), decoders.Replace("\n ", "\n"), decoders.Strip(" ", 1, 0)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[UNKNOWN, END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=UNKNOWN,
        eos_token=END,
        pad_token=PAD,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def build_model(config: TinyBase, tokenizer: PreTrainedTokenizerFast) -> BloomForCausalLM:
    """A BLOOM with random weights; the seed decides them."""
    torch.manual_seed(config.seed)
    return BloomForCausalLM(
        BloomConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.hidden_size,
            n_layer=config.layers,
            n_head=config.heads,
            hidden_dropout=0.0,
            attention_dropout=0.0,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def save_halved(model: BloomForCausalLM, folder: Path) -> None:
    """Store the weights in fp16, which halves the files; transformers loads them in fp32."""
    model.half().save_pretrained(folder)
    settings = read_json(folder / "config.json")
    write_json(folder / "config.json", settings | {"dtype": "float32"})


def _card(config: TinyBase, facts: dict[str, Any]) -> str:
    loss = facts["loss"]
    return f"""---
library_name: transformers
pipeline_tag: text-generation
language: [en, zh]
tags:
- instruct-scaling
---

# A tiny BLOOM, {facts["parameters"] / 1e6:.2f} M parameters

Built by instruct-scaling as the untuned base of a scaling study in miniature. It was trained on
plain sentences in English and Chinese that a program wrote, and on no instructions. It serves no
other purpose.

| | |
|---|---|
| blocks, heads, width | {config.layers}, {config.heads}, {config.hidden_size} |
| vocabulary | {facts["vocabulary"]} pieces of byte-level BPE |
| training | {facts["steps"]} steps, {facts["tokens"]["seen"]} tokens |
| validation loss | {loss["validation"]:.3f} nats per token (token frequencies alone: \
{loss["validation_unigram"]:.3f}) |
| seed | {config.seed} |
"""
