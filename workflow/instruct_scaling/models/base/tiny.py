"""A small BLOOM built here, trained briefly on the built-in generator's prose."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from transformers import BloomConfig, BloomForCausalLM, PreTrainedTokenizerFast

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.bases import TinyBase
from instruct_scaling.data.synthetic import generate_text
from instruct_scaling.models.base.tokenizer import train_tokenizer
from instruct_scaling.models.base.training import held_out_loss, pack_rows, train, unigram_loss

log = logging.getLogger(__name__)

ROW_TOKENS = 128
HELD_OUT_SHARE = 0.02


def build_tiny(config: TinyBase, folder: Path) -> dict[str, Any]:
    """Build, train and save a tiny base; returns what `base.json` says about it.

    The same config gives the same weights on the same machine with the same number of threads.

    Raises:
        InputError: too little text for the batch.
    """
    texts = list(generate_text(config.text_documents, config.seed))
    tokenizer = train_tokenizer(texts, config.vocab_size)
    kept = max(1, round(len(texts) * HELD_OUT_SHARE))
    rows = pack_rows(texts[kept:], tokenizer, ROW_TOKENS)
    held_out = pack_rows(texts[:kept], tokenizer, ROW_TOKENS)
    if not len(rows) or not len(held_out):
        raise InputError(
            f"{len(texts)} documents do not fill a row of {ROW_TOKENS} tokens to train on and "
            "one to test on",
            where="text_documents",
            fix="raise it",
        )
    model = build_model(config, tokenizer)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    log.info("%d parameters, %d tokens of text", parameters, rows.numel())
    trained = train(model, rows, config)
    loss = {
        "unit": "nats per token",
        "training": trained.loss,
        "held_out": held_out_loss(model, held_out),
        "held_out_unigram": unigram_loss(rows, held_out, len(tokenizer)),
    }
    folder.mkdir()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    facts = {
        "type": "tiny",
        "parameters": parameters,
        "vocabulary": len(tokenizer),
        "steps": config.steps,
        "tokens": {"text": rows.numel(), "seen": trained.tokens},
        "loss": loss,
        "seconds": trained.seconds,
        "threads": torch.get_num_threads(),
    }
    (folder / "README.md").write_text(_card(config, facts), "utf-8")
    return facts


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

Built by instruct-scaling as the untuned base of a scaling study in miniature. It has read plain
sentences in English and Chinese that a program wrote, and no instructions. It is of no use
beyond such a study.

| | |
|---|---|
| blocks, heads, width | {config.layers}, {config.heads}, {config.hidden_size} |
| vocabulary | {facts["vocabulary"]} pieces of byte-level BPE |
| training | {facts["steps"]} steps, {facts["tokens"]["seen"]} tokens |
| validation loss | {loss["held_out"]:.3f} nats per token (token frequencies alone: \
{loss["held_out_unigram"]:.3f}) |
| seed | {config.seed} |
"""
