"""Conversations through the chat template that a tokenizer brings, and where its answers are.

Which tokens are answers is found from the rendered text, not by the `{% generation %}` marks of a
template, which most stock templates lack: an answer starts where the text up to its generation
prompt ends, and ends with the first end token after its content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from jinja2 import TemplateError

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import Message
from instruct_scaling.config.recipe import Supervise
from instruct_scaling.data.tokenizing import Continuations, tokenize

CHAT = "chat"  # the `template` of an arm that means the tokenizer's own
Characters = tuple[int, int]

PROBE = (Message("user", "question"), Message("assistant", "probe-answer"))


@dataclass(frozen=True, slots=True)
class Conversation:
    """The messages of a record with this id; None where they are of no record."""

    id: str | None
    messages: tuple[Message, ...]

    @property
    def where(self) -> str:
        """What errors call it."""
        return "a conversation" if self.id is None else f"record {self.id}"

    @property
    def exchanges(self) -> int:
        """How many times the user asks."""
        return len(self.messages) // 2

    def without(self, exchanges: int) -> Conversation:
        """The same without its oldest exchanges; a system message stays. It ends with an answer."""
        first = len(self.messages) % 2
        rest = self.messages[first + 2 * exchanges :]
        return Conversation(self.id, self.messages[:first] + rest)


@dataclass(frozen=True, slots=True)
class Draft:
    """Token ids of a whole conversation, and (start, stop) of each supervised answer."""

    ids: list[int]
    spans: list[Characters]
    in_pieces: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """One supervised answer: the text and ids of what generation is given for it, and the
    conversation rendered up to it."""

    number: int
    content: str
    prompt: str
    prompt_ids: list[int]
    until: str


class ChatTemplate:
    """The tokenizer's own chat template.

    Raises:
        InputError: the tokenizer has no chat template, is not a fast one, or its template writes
            the date.
    """

    def __init__(self, tokenizer: Any) -> None:
        try:
            template = tokenizer.get_chat_template()
        except ValueError as error:  # none, or several without one that is the default
            raise InputError(
                "the base's tokenizer has no chat template",
                where="template",
                fix="set `template` to a text with {prompt}, or add a chat_template.jinja to the "
                "base's folder",
            ) from error
        if not tokenizer.is_fast:
            raise InputError(
                "`template: chat` needs a fast tokenizer (tokenizer.json)",
                where="template",
                fix="convert the base's tokenizer, or set `template` to a text with {prompt}",
            )
        if "strftime_now" in template:
            raise InputError(
                "the chat template writes the current date: training and answers of different days "
                "would see different prompts",
                where="template",
                fix="put a fixed date into the chat template of the base's tokenizer",
            )
        self._tokenizer = tokenizer

    @cached_property
    def ends(self) -> list[int]:
        """Ids at which an answer ends: the template's end of a turn, then the end token.

        Raises:
            InputError: the template writes no added token after an answer.
        """
        (text,) = self._render([Conversation(None, PROBE)], generation_prompt=False)
        answer = PROBE[-1].content
        after = text.rfind(answer) + len(answer)
        encoding = tokenize(self._tokenizer, [text]).encodings[0]
        added = self._tokenizer.added_tokens_decoder
        marks = {token for token, one in added.items() if one.content.strip()}
        for token, (start, _) in zip(encoding.ids, encoding.offsets, strict=True):
            if answer in text and start >= after and token in marks:
                others = {self._tokenizer.eos_token_id} - {token, None}
                return [token, *others]
        raise InputError(
            "the chat template writes no end token after an answer, so answers could not end",
            where="template",
            fix="use a base whose chat template ends each answer with a special token",
        )

    @property
    def start(self) -> list[int]:
        """The start token, which a template writes itself or not at all.

        The post-processor is not asked: `apply_chat_template` of transformers and servers leave it
        out, so that no start token stands twice.
        """
        token = self._tokenizer.bos_token_id
        return [] if token is None else [token]

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a conversation with the generation prompt after it."""
        conversation = Conversation(None, tuple(messages))
        (text,) = self._render([conversation], generation_prompt=True)
        return list(tokenize(self._tokenizer, [text])["input_ids"][0])

    def drafts(self, conversations: Sequence[Conversation], supervise: Supervise) -> list[Draft]:
        """Tokenize whole conversations.

        The ids are those of the whole rendered text. Where a token reaches over the start of an
        answer, the text is tokenized in pieces that meet there, so that the tokens before the
        answer are those that generation is given (with several answers, before the first).

        Raises:
            InputError: the template refuses a conversation, rewrites earlier turns, or leaves an
                answer without its end token.
        """
        wholes = self._render(conversations, generation_prompt=False)
        encoded = tokenize(self._tokenizer, wholes)
        return [
            self._draft(conversation, whole, turns, encoding)
            for conversation, whole, turns, encoding in zip(
                conversations,
                wholes,
                self._turns(conversations, wholes, supervise),
                encoded.encodings,
                strict=True,
            )
        ]

    def _turns(
        self, conversations: Sequence[Conversation], wholes: Sequence[str], supervise: Supervise
    ) -> Iterator[list[Turn]]:
        """The supervised answers of each conversation."""
        before, until = [], []
        for conversation in conversations:
            answers = [
                number
                for number, turn in enumerate(conversation.messages)
                if turn.role == "assistant"
            ]
            for number in answers[-1:] if supervise == "last" else answers:
                before.append(Conversation(conversation.id, conversation.messages[:number]))
                if number != answers[-1]:
                    until.append(Conversation(conversation.id, conversation.messages[: number + 1]))
        prompts = self._render(before, generation_prompt=True)
        prompt_ids = tokenize(self._tokenizer, prompts)["input_ids"]
        parts = iter(zip(before, prompts, prompt_ids, strict=True))
        untils = iter(self._render(until, generation_prompt=False))
        for conversation, whole in zip(conversations, wholes, strict=True):
            turns: list[Turn] = []
            last = len(conversation.messages) - 1
            while not turns or turns[-1].number < last:
                start, prompt, ids = next(parts)
                number = len(start.messages)
                content = conversation.messages[number].content
                text = whole if number == last else next(untils)
                turns.append(Turn(number, content, prompt, ids, text))
            yield turns

    def _draft(
        self, conversation: Conversation, whole: str, turns: Sequence[Turn], encoding: Any
    ) -> Draft:
        for turn in turns:
            if not whole.startswith(turn.prompt):
                raise _unstable(conversation, turn)
        ids: list[int] = encoding.ids
        if all(ids[: len(turn.prompt_ids)] == turn.prompt_ids for turn in turns):
            starts = [len(turn.prompt_ids) for turn in turns]
            spans = self._spans(conversation, whole, turns, starts, ids, encoding.token_to_chars)
            return Draft(ids, spans)
        ids, starts, characters = self._pieces(whole, [len(turn.prompt) for turn in turns])
        spans = self._spans(conversation, whole, turns, starts, ids, characters.__getitem__)
        return Draft(ids, spans, in_pieces=True)

    def _spans(
        self,
        conversation: Conversation,
        whole: str,
        turns: Sequence[Turn],
        starts: Sequence[int],
        ids: Sequence[int],
        characters: Callable[[int], Characters],
    ) -> list[Characters]:
        """(start, stop) of each answer in the ids, its end token included.

        Args:
            starts: where the answers start in the ids.
            characters: where in the text a token is.
        """
        spans = []
        for turn, start in zip(turns, starts, strict=True):
            stable = _shared(turn.until, whole)
            # An answer that the template changes, such as one without its thinking, is not found.
            found = whole.find(turn.content, len(turn.prompt), stable)
            least = len(turn.prompt) if found < 0 else found + len(turn.content)
            for index in range(start, len(ids)):
                if ids[index] in self.ends and characters(index)[0] >= least:
                    break
            else:
                raise self._endless(conversation, turn)
            if characters(index)[1] > stable:
                if found >= 0 or whole.startswith(turn.until):
                    raise self._endless(conversation, turn)
                raise _unstable(conversation, turn)
            spans.append((start, index + 1))
        return spans

    def _pieces(
        self, whole: str, cuts: Sequence[int]
    ) -> tuple[list[int], list[int], list[Characters]]:
        """Ids of a text cut before each answer, where the answers start in them, and where in the
        text each token is."""
        ids: list[int] = []
        characters: list[Characters] = []
        starts = []
        for start, stop in pairwise([0, *cuts, len(whole)]):
            if start:
                starts.append(len(ids))
                piece, offsets = self._continuations.with_offsets(whole[start:stop])
            else:
                encoding = tokenize(self._tokenizer, [whole[:stop]]).encodings[0]
                piece, offsets = encoding.ids, encoding.offsets
            ids += piece
            characters += [(a + start, b + start) for a, b in offsets]
        return ids, starts, characters

    @cached_property
    def _continuations(self) -> Continuations:
        return Continuations(self._tokenizer, self.ends)

    def _render(
        self, conversations: Sequence[Conversation], *, generation_prompt: bool
    ) -> list[str]:
        """The text of each conversation.

        Raises:
            InputError: the template refuses one of them.
        """
        try:
            return self._apply(conversations, generation_prompt)
        except (TemplateError, TypeError):
            for one in conversations:
                try:
                    self._apply([one], generation_prompt)
                except (TemplateError, TypeError) as error:
                    raise InputError(
                        f"the chat template refuses this conversation: {error}",
                        where=one.where,
                        fix="change or leave out such records, or set `template` to a text with "
                        "{prompt}",
                    ) from error
            raise

    def _apply(self, conversations: Sequence[Conversation], generation_prompt: bool) -> list[str]:
        if not conversations:
            return []
        texts: list[str] = self._tokenizer.apply_chat_template(
            [
                [{"role": turn.role, "content": turn.content} for turn in one.messages]
                for one in conversations
            ],
            tokenize=False,
            add_generation_prompt=generation_prompt,
        )
        return texts

    def _endless(self, conversation: Conversation, turn: Turn) -> InputError:
        names = ", ".join(self._tokenizer.convert_ids_to_tokens(self.ends))
        return InputError(
            f"the chat template writes no end token ({names}) after message {turn.number + 1}, so "
            "nothing of this answer could be trained",
            where=conversation.where,
            fix="set `recipe.supervise: last` if it is an earlier answer, or `template` to a text "
            "with {prompt}",
        )


def _shared(until: str, whole: str) -> int:
    """How many characters two renderings share from the start."""
    if whole.startswith(until):
        return len(until)
    pairs = zip(until, whole, strict=False)
    return next((n for n, (one, other) in enumerate(pairs) if one != other), len(whole))


def _unstable(conversation: Conversation, turn: Turn) -> InputError:
    """Why the text up to an answer is not how the whole conversation begins."""
    if turn.until.startswith(turn.prompt):
        return InputError(
            f"the chat template writes message {turn.number + 1} in another way once the "
            "conversation goes on, so what is trained would not be what generation is given",
            where=conversation.where,
            fix="set `recipe.supervise: last`, or `template` to a text with {prompt}",
        )
    return InputError(
        f"the chat template does not write its generation prompt, which ends in "
        f"{turn.prompt[-20:]!r}, before message {turn.number + 1}",
        where=conversation.where,
        fix="use a base whose chat template begins every answer in the same way, or set "
        "`template` to a text with {prompt}",
    )
