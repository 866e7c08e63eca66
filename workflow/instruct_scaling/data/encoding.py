"""Records become token sequences in which the answers are supervised."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import Record

CHUNK = 2000  # records per tokenizer call: large enough for its threads, small in memory


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example: `tokens` [length] int32, and the supervised `spans` [turns, 2] int32 of it.

    A span is (start, stop): the tokens of one answer with its end token. What lies outside of all
    spans is not trained.
    """

    tokens: np.ndarray
    spans: np.ndarray
    prompt_cut: bool
    answer_cut: bool


def encode(
    prompt: Sequence[int], answer: Sequence[int], *, end: int, start: int, max_length: int
) -> Encoded:
    """Join one prompt and its answer; cut the prompt from its left, then the answer's right.

    A prompt without tokens is replaced by the `start` token, because the first answer token has
    to be predicted from something. One prompt token always stays. An answer that is cut loses
    its end token: the model does not learn to stop in the middle.

    Args:
        prompt, answer: token ids without special tokens.
        end: id of the end token, appended to the answer.
        start: id that stands for an empty prompt.
        max_length: longest example in tokens, at least 2.
    """
    head = list(prompt) or [start]
    tail = [*answer, end]
    room = max(1, max_length - len(tail))
    kept_head = head[-room:]
    kept_tail = tail[: max_length - len(kept_head)]
    return Encoded(
        np.array(kept_head + kept_tail, dtype=np.int32),
        np.array([[len(kept_head), len(kept_head) + len(kept_tail)]], dtype=np.int32),
        len(kept_head) < len(head),
        len(kept_tail) < len(tail),
    )


def encode_records(
    records: Iterable[Record],
    tokenizer: Any,
    template: str,
    max_length: int,
    *,
    supervise: Literal["all", "last"] = "all",
) -> Iterator[Encoded]:
    """Encode records in order with a transformers tokenizer.

    Raises:
        InputError: the tokenizer has no end token, or the template has no `{prompt}`.
    """
    if "{prompt}" not in template:
        raise InputError("the template has no {prompt}", where="template", fix="add {prompt} to it")
    end = tokenizer.eos_token_id
    if end is None:
        raise InputError(
            "the base model's tokenizer has no end token, so answers could not end",
            where="bases",
            fix="choose a base whose tokenizer_config.json names an eos_token",
        )
    start = end if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    stream = iter(records)
    while chunk := list(islice(stream, CHUNK)):
        prompts = tokenizer(
            [template.replace("{prompt}", record.prompt) for record in chunk],
            add_special_tokens=False,
        )["input_ids"]
        answers = tokenizer([record.output for record in chunk], add_special_tokens=False)[
            "input_ids"
        ]
        for prompt, answer in zip(prompts, answers, strict=True):
            yield encode(prompt, answer, end=end, start=start, max_length=max_length)
