"""Records become token sequences in which the answers are supervised.

Two kinds of template: a text with `{prompt}`, of which prompts and answers are tokenized apart, and
the tokenizer's own chat template (`chat_template`). Generation is given the same tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import Message, Record
from instruct_scaling.config.recipe import Supervise
from instruct_scaling.data.chat_template import (
    CHAT,
    ChatTemplate,
    Conversation,
    Draft,
    tokenize,
)

CHUNK = 4000  # messages per tokenizer call: large enough for its threads, small in memory


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example: `tokens` [length] int32, and the supervised `spans` [turns, 2] int32 of it.

    A span is (start, stop): the tokens of one answer with its end token. What lies outside of all
    spans is not trained. `prompt_cut` also where whole exchanges were dropped; `in_pieces` where a
    token of the chat template's text reached over the start of an answer and was split.
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

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Ids up to the answer of a conversation whose last message is the user's."""
        ...

    def drafts(self, conversations: Sequence[Conversation], supervise: Supervise) -> list[Draft]:
        """Ids and answers of whole conversations, of any length."""
        ...


class TextTemplate:
    """A text with `{prompt}` before each answer, the end token after it.

    A system message stands on the line before the first prompt. Prompts and answers are tokenized
    apart. A conversation that starts with no token gets a start token, because the first token of
    an answer has to be predicted from something.

    Raises:
        InputError: the tokenizer has no end token, or the template has no `{prompt}`.
    """

    def __init__(self, tokenizer: Any, template: str) -> None:
        if "{prompt}" not in template:
            raise InputError(
                "the template has no {prompt}", where="template", fix="add {prompt} to it"
            )
        end = tokenizer.eos_token_id
        if end is None:
            raise InputError(
                "the base model's tokenizer has no end token, so answers could not end",
                where="bases",
                fix="choose a base whose tokenizer_config.json names an eos_token",
            )
        self.ends: list[int] = [end]
        self._start = end if tokenizer.bos_token_id is None else tokenizer.bos_token_id
        self._tokenizer = tokenizer
        self._template = template

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Ids of all messages, the last being the user's, with the template around it."""
        prompts, answers = self._ids([messages])
        return self._joined(prompts, answers).ids

    def drafts(self, conversations: Sequence[Conversation], supervise: Supervise) -> list[Draft]:
        """Ids and answers of whole conversations, of any length."""
        prompts, answers = self._ids([one.messages for one in conversations])
        drafts = []
        start = 0
        for one in conversations:
            stop = start + one.exchanges
            draft = self._joined(prompts[start:stop], answers[start:stop])
            drafts.append(
                draft
                if supervise == "all" or one.exchanges == 1
                else Draft(draft.ids, draft.spans[-1:])
            )
            start = stop
        return drafts

    def _ids(
        self, conversations: Iterable[Sequence[Message]]
    ) -> tuple[list[list[int]], list[list[int]]]:
        """Ids of the prompts of all conversations, one after the other, and of the answers."""
        prompts: list[str] = []
        answers: list[str] = []
        for messages in conversations:
            system = ""
            for turn in messages:
                if turn.role == "assistant":
                    answers.append(turn.content)
                elif turn.role == "system":
                    system = turn.content + "\n"
                else:
                    prompts.append(self._template.replace("{prompt}", system + turn.content))
                    system = ""
        return self._tokenize(prompts), self._tokenize(answers)

    def _tokenize(self, texts: list[str]) -> list[list[int]]:
        ids: list[list[int]] = []
        if texts:
            ids = tokenize(self._tokenizer, texts)["input_ids"]
        return ids

    def _joined(self, prompts: Sequence[list[int]], answers: Sequence[list[int]]) -> Draft:
        """Prompts and answers in turn; the last prompt may have no answer."""
        ids: list[int] = []
        spans = []
        for number, prompt in enumerate(prompts):
            ids += prompt
            if not ids:
                ids.append(self._start)
            if number < len(answers):
                start = len(ids)
                ids += answers[number]
                ids += self.ends
                spans.append((start, len(ids)))
        return Draft(ids, spans)


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
            yield cut(shorter.get(number, draft), max_length, prompt_cut=dropped)


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


def cut(draft: Draft, max_length: int, *, prompt_cut: bool = False) -> Encoded:
    """Cut what lies before the last answer from its left, then the answer from its right.

    One token always stays before the answer. An answer that is cut loses its end token: the model
    does not learn to stop in the middle. What a template writes after the last answer is left out
    first.

    Args:
        draft: if its last answer ends beyond `max_length`, it has no other.
        max_length: longest example in tokens, at least 2.
        prompt_cut: whether exchanges were dropped before.
    """
    start, stop = draft.spans[-1]
    if stop <= max_length:
        return Encoded(
            np.array(draft.ids, dtype=np.int32)[:max_length],
            np.array(draft.spans, dtype=np.int32),
            prompt_cut,
            answer_cut=False,
            in_pieces=draft.in_pieces,
        )
    head = draft.ids[max(0, start - max(1, max_length - (stop - start))) : start]
    tail = draft.ids[start:stop][: max_length - len(head)]
    return Encoded(
        np.array(head + tail, dtype=np.int32),
        np.array([[len(head), len(head) + len(tail)]], dtype=np.int32),
        prompt_cut or len(head) < start,
        answer_cut=len(tail) < stop - start,
        in_pieces=draft.in_pieces,
    )
