"""A text with `{prompt}` as the template of conversations.

The ids are those that the tokenizer itself gives for the text `template answer end template answer
end ...`, with the start tokens that its post-processor sets before a text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import Message
from instruct_scaling.config.recipe import Supervise
from instruct_scaling.data.chat_template import Conversation, Draft
from instruct_scaling.data.tokenizing import Continuations, start_tokens, token_ids


@dataclass(frozen=True, slots=True)
class Exchange:
    """The template around one prompt, and its answer; None where generation is to give it.

    `first` of its conversation: no end token stands before it.
    """

    prompt: str
    answer: str | None
    first: bool


@dataclass(frozen=True, slots=True)
class Pieces:
    """Ids of an exchange: of its prompt, and of its answer without an end token."""

    prompt: list[int]
    answer: list[int]
    divided: bool


class TextTemplate:
    """A text with `{prompt}` before each answer, the end token after it.

    A system message stands on the line before the first prompt. Prompt and answer are tokenized
    together, and the answer begins where the ids of the prompt alone end: generation is given
    those. Where a token would hold the end of the prompt and the start of the answer, the text is
    tokenized in two pieces that meet there; so it always is for a tokenizer that cannot write an
    answer within a line (`Continuations`). A conversation that starts with no token gets a start
    token, because the first token of an answer has to be predicted from something.

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
        self._instead = end if tokenizer.bos_token_id is None else tokenizer.bos_token_id
        self._tokenizer = tokenizer
        self._template = template
        self._continuations = Continuations(tokenizer, self.ends)

    @cached_property
    def start(self) -> list[int]:
        """Ids that stand before the text of every conversation."""
        return start_tokens(self._tokenizer)

    @cached_property
    def _before(self) -> str:
        """The end token of the exchange before, if the tokenizer reads its text as one."""
        text: str = self._tokenizer.eos_token
        return text if token_ids(self._tokenizer, [text]) == [self.ends] else ""

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Ids of all messages, the last being the user's, with the template around it."""
        exchanges = list(self._exchanges(messages))
        return self._joined(exchanges, self._tokenize(exchanges)).ids

    def drafts(self, conversations: Sequence[Conversation], supervise: Supervise) -> list[Draft]:
        """Ids and answers of whole conversations, of any length."""
        each = [list(self._exchanges(one.messages)) for one in conversations]
        pieces = iter(self._tokenize([exchange for one in each for exchange in one]))
        drafts = []
        for exchanges in each:
            draft = self._joined(exchanges, [next(pieces) for _ in exchanges])
            if supervise == "last":
                draft = Draft(draft.ids, draft.spans[-1:], draft.in_pieces)
            drafts.append(draft)
        return drafts

    def _exchanges(self, messages: Sequence[Message]) -> Iterable[Exchange]:
        """The exchanges of a conversation; the last may have no answer."""
        system, prompt, first = "", "", True
        for turn in messages:
            if turn.role == "system":
                system = turn.content + "\n"
            elif turn.role == "user":
                prompt = self._template.replace("{prompt}", system + turn.content)
                system = ""
            else:
                yield Exchange(prompt, turn.content, first)
                first = False
        if messages[-1].role == "user":
            yield Exchange(prompt, None, first)

    def _tokenize(self, exchanges: Sequence[Exchange]) -> list[Pieces]:
        """Ids of exchanges."""
        befores = ["" if one.first else self._before for one in exchanges]
        texts = [before + one.prompt for before, one in zip(befores, exchanges, strict=True)]
        prompts = token_ids(self._tokenizer, texts)
        answers = self._answers(texts, prompts, [one.answer for one in exchanges])
        return [
            Pieces(prompt[1:] if before else prompt, *answer)
            for before, prompt, answer in zip(befores, prompts, answers, strict=True)
        ]

    def _answers(
        self, texts: Sequence[str], prompts: Sequence[list[int]], answers: Sequence[str | None]
    ) -> list[tuple[list[int], bool]]:
        """Ids of the answers to prompts with these ids, and whether they were tokenized apart."""
        found: list[tuple[list[int], bool]] = [([], False)] * len(texts)
        given = {number: one for number, one in enumerate(answers) if one is not None}
        together = dict(given) if self._continuations.anchor else {}
        wholes = token_ids(self._tokenizer, [texts[n] + one for n, one in together.items()])
        for number, whole in zip(together, wholes, strict=True):
            length = len(prompts[number])
            if whole[:length] == prompts[number]:
                found[number] = (whole[length:], False)
                del given[number]
        apart = self._continuations.ids(list(given.values()))
        for number, ids in zip(given, apart, strict=True):
            found[number] = (ids, True)
        return found

    def _joined(self, exchanges: Sequence[Exchange], pieces: Sequence[Pieces]) -> Draft:
        """One conversation, the end token after each answer."""
        ids: list[int] = []
        spans = []
        for exchange, piece in zip(exchanges, pieces, strict=True):
            if exchange.first and piece.prompt[: len(self.start)] != self.start:
                ids += self.start
            ids += piece.prompt
            if not ids:
                ids.append(self._instead)
            if exchange.answer is not None:
                start = len(ids)
                ids += piece.answer
                ids += self.ends
                spans.append((start, len(ids)))
        return Draft(ids, spans, any(piece.divided for piece in pieces))
