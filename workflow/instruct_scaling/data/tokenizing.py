"""Calls of a tokenizer: a text alone, a text in the middle of another, and what stands before one.

A tokenizer may treat the start of a text in two ways of its own: its post-processor sets a start
token there (Llama, Gemma), and it puts a space there (SentencePiece).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

PROBE = "a"  # a letter that every vocabulary writes as itself


def tokenize(tokenizer: Any, texts: Sequence[str]) -> Any:
    """transformers' BatchEncoding of at least one text, without special tokens, with ids alone."""
    return tokenizer(
        list(texts),
        add_special_tokens=False,
        return_attention_mask=False,
        return_token_type_ids=False,
    )


def token_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Ids of texts without special tokens; of a fast tokenizer without offsets, a third faster."""
    if not texts:
        return []
    if not tokenizer.is_fast:
        return [list(ids) for ids in tokenize(tokenizer, texts)["input_ids"]]
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = tokenizer.split_special_tokens
    encodings = backend.encode_batch_fast(list(texts), add_special_tokens=False)
    return [encoding.ids for encoding in encodings]


def start_tokens(tokenizer: Any) -> list[int]:
    """Ids that the tokenizer's post-processor sets before a text: none, or often one.

    What it sets after a text is left out: a prompt and a turn go on.
    """
    (plain,) = token_ids(tokenizer, [PROBE])
    whole = tokenizer(PROBE)["input_ids"]
    for place in range(len(whole) - len(plain) + 1):
        if whole[place : place + len(plain)] == plain:
            return list(whole[:place])
    return []


class Continuations:
    """Ids of texts that go on after another, without the space that a tokenizer puts before a text.

    An anchor stands before the text, and its ids are left out again. Some tokenizers put a space
    after an added token too, so that a line break has to serve. One that begins every line with a
    space as well (that of the built-in base) has no anchor: its texts are tokenized alone.

    Args:
        tokenizer: of transformers.
        ends: ids of the tokens that end an answer; those that are added tokens are tried first.
    """

    def __init__(self, tokenizer: Any, ends: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._ends = ends

    @cached_property
    def anchor(self) -> tuple[str, list[int]] | None:
        """A text after which a piece gets no space of its own, with its ids.

        An added token that takes the white space after it would take the piece's.
        """
        known = self._tokenizer.added_tokens_decoder
        marks = [known[end] for end in self._ends if end in known]
        for anchor in [mark.content for mark in marks if not mark.rstrip] + ["\n"]:
            ids, longer = token_ids(self._tokenizer, [anchor, anchor + PROBE])
            spelled = self._tokenizer.convert_ids_to_tokens(longer[len(ids) :])
            if longer[: len(ids)] == ids and "".join(spelled) == PROBE:
                return anchor, ids
        return None

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text."""
        anchor, anchor_ids = self.anchor or ("", [])
        skipped = len(anchor_ids)
        found = token_ids(self._tokenizer, [anchor + text for text in texts])
        # A text that begins with a line break may join the anchor.
        joined = [number for number, ids in enumerate(found) if ids[:skipped] != anchor_ids]
        alone = token_ids(self._tokenizer, [texts[number] for number in joined])
        kept = [ids[skipped:] for ids in found]
        for number, ids in zip(joined, alone, strict=True):
            kept[number] = ids
        return kept

    def with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids of a text, and where in it each of them is; of a fast tokenizer."""
        anchor, anchor_ids = self.anchor or ("", [])
        skipped, shift = len(anchor_ids), len(anchor)
        encoding = tokenize(self._tokenizer, [anchor + text]).encodings[0]
        if encoding.ids[:skipped] != anchor_ids:
            encoding, skipped, shift = tokenize(self._tokenizer, [text]).encodings[0], 0, 0
        offsets = [(a - shift, b - shift) for a, b in encoding.offsets[skipped:]]
        return encoding.ids[skipped:], offsets
