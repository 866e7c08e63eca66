"""Prompts become answers, a batch at a time, by transformers' own `generate`.

What a batch holds decides speed and memory alone. Rows are padded on their left under an attention
mask, from which transformers takes each row's positions, and every row draws from a random state of
its own.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from instruct_scaling.common.errors import InputError
from instruct_scaling.config.evaluation import Generate

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Answer:
    """The text generated for one prompt. `tokens` counts the end token."""

    text: str
    prompt_tokens: int
    tokens: int
    finish: str


def batches_by_length(lengths: Sequence[int], options: Generate) -> list[list[int]]:
    """Indices of prompts in batches of like length, longest first (memory runs out at once or
    never).

    A batch holds at most `batch_size` prompts, and fewer where prompts and answers would take more
    than `batch_tokens` places, but at least one. Ties keep the given order, so that the batches
    depend on the lengths alone.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    batches = []
    while order:
        width = lengths[order[0]] + options.max_new_tokens
        size = max(1, min(options.batch_size, options.batch_tokens // width))
        batches.append(order[:size])
        order = order[size:]
    return batches


def end_ids(model: PreTrainedModel, ends: Sequence[int]) -> list[int]:
    """Ids at which an answer stops: those that ended answers in training, and those of the model's
    generation config."""
    known = model.generation_config.eos_token_id
    stops = [] if known is None else known if isinstance(known, list) else [known]
    return list(dict.fromkeys([*ends, *stops]))


def forget_decoding(model: PreTrainedModel) -> None:
    """Drop what a model's generation config says of decoding but its end tokens, in place: a
    repetition penalty or a top_k of one base would make its curve another measurement."""
    ends = model.generation_config.eos_token_id
    model.generation_config = GenerationConfig(eos_token_id=ends)


def prompt_room(model: PreTrainedModel, options: Generate) -> int | None:
    """Tokens that a prompt may have so that the answer stays within the model's positions; None if
    it has no last position.

    Raises:
        InputError: the answer alone is too long.
    """
    places = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if places is None:
        return None
    if options.max_new_tokens >= places:
        raise InputError(
            f"max_new_tokens {options.max_new_tokens} leaves no place for a prompt: the model has "
            f"{places} positions",
            where="generate.max_new_tokens",
            fix=f"set it below {places}",
        )
    return int(places) - options.max_new_tokens


class Draws(LogitsProcessor):
    """Leaves one token in each row, drawn from the row's probabilities with its own random state:
    neither the other rows of a batch nor its size changes what is drawn."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self._states = [random.Random(seed) for seed in seeds]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """[rows, vocabulary] scores -> the same shape, -inf but for the token that was drawn."""
        points = torch.tensor([state.random() for state in self._states], dtype=torch.float64)
        sums = scores.double().softmax(-1).cumsum(-1)
        # Below the last sum: rounding must not lead beyond the vocabulary.
        wanted = points.to(sums.device)[:, None] * sums[:, -1:]
        drawn = torch.searchsorted(sums, wanted, right=True).clamp_max(scores.shape[-1] - 1)
        return torch.full_like(scores, float("-inf")).scatter_(1, drawn, 0.0)


def choosing(options: Generate, seeds: Sequence[int]) -> LogitsProcessorList:
    """What changes the scores before the highest is taken: nothing under greedy decoding."""
    if options.temperature == 0:
        return LogitsProcessorList()
    warpers: list[LogitsProcessor] = [TemperatureLogitsWarper(options.temperature)]
    if options.top_p < 1:
        warpers.append(TopPLogitsWarper(options.top_p))
    return LogitsProcessorList([*warpers, Draws(seeds)])


def padded(prompts: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids [rows, longest] with `pad` on the left, and their attention mask."""
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), pad)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return ids, mask


def generate_batch(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[list[int]],
    ends: list[int],
    options: Generate,
    seeds: Sequence[int],
) -> list[Answer]:
    """Answer one batch of prompts.

    Args:
        prompts: token ids of each, at least one.
        ends: ids at which an answer stops; the one that stopped it is no part of the text.
        seeds: seed of each prompt; greedy decoding does not use them.
    """
    pad = ends[0] if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    ids, mask = padded(prompts, pad)
    settings: dict[str, Any] = {"max_new_tokens": options.max_new_tokens, "do_sample": False}
    with torch.inference_mode():
        output = model.generate(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            pad_token_id=pad,
            eos_token_id=ends,
            logits_processor=choosing(options, seeds),
            **settings,
        )
    answers = []
    for prompt, row in zip(prompts, output[:, ids.shape[1] :].tolist(), strict=True):
        end = next((index for index, token in enumerate(row) if token in ends), None)
        text = tokenizer.decode(row[:end], skip_special_tokens=True).strip()
        length, finish = (len(row), "length") if end is None else (end + 1, "stop")
        answers.append(Answer(text, len(prompt), length, finish))
    return answers
