"""The turns of a conversation as files hold them: `role` and `content`, or ShareGPT's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from instruct_scaling.common.records import Message, Role

ROLES: dict[str, Role] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
}
TOOL_ROLES = (
    "tool",
    "tools",
    "tool_call",
    "tool_response",
    "function",
    "function_call",
    "observation",
    "ipython",
)
# Keys that hold a part of the turn, or say that it is not to be trained. What other keys hold
# (a name, an id, a time) is no part of the text and is left out.
PARTS = (
    "tool_calls",
    "tool_call_id",
    "function_call",
    "reasoning",
    "reasoning_content",
    "thinking",
    "images",
    "audio",
    "weight",
)


def parse_messages(value: Any, key: str = "messages") -> tuple[Message, ...]:
    """The messages of one row, their order and number unchecked.

    Args:
        value: list of objects with `role` and `content`, or `from` and `value` (ShareGPT).
        key: what an error calls the list.

    Raises:
        ValueError: it is no such list, a role is unknown or a tool's, a content is not text, or a
            message has a part that is not text, which would be lost.
    """
    if not isinstance(value, list):
        raise ValueError(f"`{key}` is not a list of messages but {type(value).__name__}")
    return tuple(_message(turn, number) for number, turn in enumerate(value, 1))


def _message(turn: Any, number: int) -> Message:
    if not isinstance(turn, Mapping):
        raise ValueError(f"message {number} is not an object but {type(turn).__name__}")
    for names in (("role", "content"), ("from", "value")):
        if all(name in turn for name in names):
            break
    else:
        keys = ", ".join(map(str, turn))
        raise ValueError(
            f"message {number} has neither `role` and `content` nor `from` and `value` "
            f"(keys: {keys})"
        )
    role = _role(turn[names[0]], number)
    for part in PARTS:
        if turn.get(part) not in (None, "", [], {}):
            raise ValueError(f"message {number} has `{part}`: only the text of a turn can be used")
    content = turn[names[1]]
    if not isinstance(content, str):
        raise ValueError(f"`{names[1]}` of message {number} is not text but {_kind(content)}")
    if not content.isascii():
        try:
            content.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError(f"message {number} is not valid Unicode (a lone surrogate)") from None
    return Message(role, content)


def _role(name: Any, number: int) -> Role:
    known = ROLES.get(name.lower()) if isinstance(name, str) else None
    if known is not None:
        return known
    if isinstance(name, str) and name.lower() in TOOL_ROLES:
        raise ValueError(
            f"message {number} is of role {name}: conversations with tool calls are not supported"
        )
    raise ValueError(f"message {number} is of unknown role {name!r}; there is: {', '.join(ROLES)}")


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__
