"""Records become token sequences in which the answers are supervised.

Two kinds of template: a text with `{prompt}` (`text_template`), and the tokenizer's own chat
template (`chat_template`). Generation is given the same tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from instruct_scaling.common.records import Message, Record
from instruct_scaling.config.recipe import Supervise
from instruct_scaling.data.chat_template import (
    CHAT,
    ChatTemplate,
    Conversation,
    Draft,
)
from instruct_scaling.data.text_template import TextTemplate

CHUNK = 4000  # messages per tokenizer call: large enough for its threads, small in memory


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example: `tokens` [length] int32, and the supervised `spans` [turns, 2] int32 of it.

    A span is (start, stop): the tokens of one answer with its end token. What lies outside of all
    spans is not trained. `prompt_cut` also where whole exchanges were dropped; `in_pieces` where a
    token would have reached over the start of an answer and the text was tokenized in pieces.
    """

    tokens: np.ndarray
    spans: np.ndarray
    prompt_cut: bool
    answer_cut: bool
    in_pieces: bool = False


class Template(Protocol):
    """How a conversation becomes tokens."""

    @property
    def ends(self) -> list[int]:
        """Ids at which an answer ends."""
        ...

    @property
    def start(self) -> list[int]:
        """Ids before the text of a conversation that has them; they stay when a prompt is cut."""
        ...

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Ids up to the answer of a conversation whose last message is the user's."""
        ...

    def drafts(self, conversations: Sequence[Conversation], supervise: Supervise) -> list[Draft]:
        """Ids and answers of whole conversations, of any length."""
        ...


def open_template(tokenizer: Any, template: str) -> Template:
    """The template of an arm: a text with `{prompt}`, or `chat`.

    Raises:
        InputError: the template has no `{prompt}`, or the tokenizer no end token; for `chat` as
            `ChatTemplate` says.
    """
    return ChatTemplate(tokenizer) if template == CHAT else TextTemplate(tokenizer, template)


def prompt_tokens(messages: Sequence[Message], tokenizer: Any, template: str) -> list[int]:
    """What generation is given: the tokens that stand before the answer in training.

    Args:
        messages: a conversation whose last message is the user's.
        tokenizer: of transformers.
        template: a text with `{prompt}`, or `chat`.

    Raises:
        InputError: as `open_template`, or the chat template refuses the conversation.
    """
    return open_template(tokenizer, template).prompt(messages)


def end_token_ids(tokenizer: Any, template: str) -> list[int]:
    """Ids at which generation stops: the tokens that end answers in training, and the tokenizer's
    end token.

    Raises:
        InputError: as `open_template`, or the chat template ends answers with no token.
    """
    return open_template(tokenizer, template).ends


def encode_records(
    records: Iterable[Record],
    tokenizer: Any,
    template: str,
    max_length: int,
    *,
    supervise: Supervise = "all",
) -> Iterator[Encoded]:
    """Encode records in order with a transformers tokenizer.

    A conversation that is too long loses its oldest exchanges until it fits (a system message
    stays). If its last exchange alone is too long, the prompt is cut from its left, then the
    answer from its right.

    Args:
        records: conversations that end with an answer.
        tokenizer: of transformers; for `chat` a fast one.
        template: a text with `{prompt}`, or `chat`.
        max_length: longest example in tokens, at least 2.
        supervise: every answer of a conversation, or the last.

    Raises:
        InputError: as `open_template`; for `chat` also if the template refuses a record, rewrites
            earlier turns or leaves an answer without its end token.
    """
    opened = open_template(tokenizer, template)
    for chunk in _chunks(records):
        drafts = opened.drafts(chunk, supervise)
        shorter = _shortened(opened, chunk, drafts, max_length, supervise)
        for number, draft in enumerate(drafts):
            dropped = number in shorter
            yield cut(
                shorter.get(number, draft), max_length, start=opened.start, prompt_cut=dropped
            )


def _chunks(records: Iterable[Record]) -> Iterator[list[Conversation]]:
    """Records in lists of about `CHUNK` messages."""
    chunk: list[Conversation] = []
    messages = 0
    for record in records:
        chunk.append(Conversation(record.id, record.messages))
        messages += len(record.messages)
        if messages >= CHUNK:
            yield chunk
            chunk, messages = [], 0
    if chunk:
        yield chunk


def _shortened(
    template: Template,
    conversations: Sequence[Conversation],
    drafts: Sequence[Draft],
    max_length: int,
    supervise: Supervise,
) -> dict[int, Draft]:
    """Drafts of the conversations that are too long, by position, without as few of their oldest
    exchanges as possible; found by bisection, all of them in one tokenizer call a round."""
    low = {
        number: 1
        for number, draft in enumerate(drafts)
        if draft.spans[-1][1] > max_length and conversations[number].exchanges > 1
    }
    high = {number: conversations[number].exchanges - 1 for number in low}
    found: dict[int, Draft] = {}
    while low:
        middle = {number: (low[number] + high[number]) // 2 for number in low}
        shorter = template.drafts(
            [conversations[number].without(count) for number, count in middle.items()], supervise
        )
        for (number, count), draft in zip(middle.items(), shorter, strict=True):
            fits = draft.spans[-1][1] <= max_length
            if fits or count == conversations[number].exchanges - 1:
                found[number] = draft
            if fits:
                high[number] = count - 1
            else:
                low[number] = count + 1
            if low[number] > high[number]:
                del low[number], high[number]
    return found


def cut(
    draft: Draft, max_length: int, *, start: Sequence[int] = (), prompt_cut: bool = False
) -> Encoded:
    """Cut what lies before the last answer from its left, then the answer from its right.

    One token always stays before the answer. An answer that is cut loses its end token: the model
    does not learn to stop in the middle. What a template writes after the last answer is left out
    first.

    Args:
        draft: if its last answer ends beyond `max_length`, it has no other.
        max_length: longest example in tokens, at least 2.
        start: start tokens, which stay where the example has them.
        prompt_cut: whether exchanges were dropped before.
    """
    first, stop = draft.spans[-1]
    if stop <= max_length:
        return Encoded(
            np.array(draft.ids, dtype=np.int32)[:max_length],
            np.array(draft.spans, dtype=np.int32),
            prompt_cut,
            answer_cut=False,
            in_pieces=draft.in_pieces,
        )
    head = cut_prompt(draft.ids[:first], max(1, max_length - (stop - first)), start)
    tail = draft.ids[first:stop][: max_length - len(head)]
    return Encoded(
        np.array(head + tail, dtype=np.int32),
        np.array([[len(head), len(head) + len(tail)]], dtype=np.int32),
        prompt_cut or len(head) < first,
        answer_cut=len(tail) < stop - first,
        in_pieces=draft.in_pieces,
    )


def cut_prompt(ids: list[int], length: int, start: Sequence[int] = ()) -> list[int]:
    """The ids before an answer, cut from their left to `length` (at least 1).

    Start tokens stay: without them models that were trained with one fail.
    """
    if len(ids) <= length:
        return ids
    kept = ids[: len(start)][:length] if ids[: len(start)] == list(start) else []
    return kept + ids[len(ids) - (length - len(kept)) :]
