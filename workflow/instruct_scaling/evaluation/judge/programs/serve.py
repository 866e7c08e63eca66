"""Runs in the program's sandbox: loads the program and answers the calls of its tests.

Standard library only. The process holds nothing that a program could win by: neither the tests nor
what they expect, and nothing that it writes is a verdict.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

from instruct_scaling.evaluation.judge.programs import frames, wire

ITERATORS: tuple[type, ...] = (
    types.GeneratorType,
    map,
    filter,
    zip,
    enumerate,
    reversed,
    type(iter([])),
)


class Objects:
    """Objects of the program that have handles, by number."""

    def __init__(self) -> None:
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}

    def export(self, value: Any) -> wire.Handle:
        """The handle of an object, the same one each time."""
        number = self._numbers.get(id(value))
        if number is None:
            if len(self._objects) >= wire.MAX_OBJECTS:
                raise wire.TooLarge("more handles than a program may have")
            number = len(self._objects)
            self._objects.append(value)
            self._numbers[id(value)] = number
        return wire.Handle(_kind(value), number)

    def find(self, kind: int, number: int) -> Any:
        """The object of a handle."""
        return self._objects[number]


def _kind(value: Any) -> int:
    if isinstance(value, ITERATORS) or hasattr(type(value), "__next__"):
        return wire.ITERATOR
    return wire.CALLABLE if callable(value) else wire.OPAQUE


def load(connection: frames.Connection, job: dict[str, str]) -> dict[str, Any]:
    """Run the item's helpers, then the program, as the module `program`; its names."""
    module = types.ModuleType("program")
    sys.modules["program"] = module
    try:
        for name in ("helpers", "program"):
            # Not with the future statements of this file.
            code = compile(job[name], f"<{name}>", "exec", dont_inherit=True)
            exec(code, module.__dict__)
    except BaseException as error:
        connection.send(b"X", frames.text_bytes(frames.text(error)))
        raise SystemExit from None
    return module.__dict__


def answer(objects: Objects, letter: bytes, content: bytes) -> tuple[bytes, bytes]:
    """The reply to one request: letter and content of a frame."""
    request = wire.Decoder(content, objects.find)
    target, *arguments = request.roots()
    try:
        if letter == b"I":
            value = next(target)
        else:
            positional, named = arguments
            value = target(*positional, **named)
        return b"V", _reply(objects, value, request)
    except BaseException as error:
        if letter == b"I" and type(error) is StopIteration:
            return b"S", b""
        try:
            return b"E", _reply(objects, error, request)
        except BaseException:
            return b"E", _reply(objects, RuntimeError(frames.text(error)), request)


def _reply(objects: Objects, value: Any, request: wire.Decoder) -> bytes:
    encoder = wire.Encoder(objects.export, request.objects)
    return encoder.message([value], request.nodes)


def defined(objects: Objects, namespace: dict[str, Any], names: list[str]) -> bytes:
    """Those of the names that the program defines, with their values, as a message."""
    found = {}
    for name in names:
        if name in namespace:
            try:
                wire.Encoder(objects.export).message([namespace[name]])
            except Exception:  # too large, or it changes while it is read
                continue
            found[name] = namespace[name]
    return wire.Encoder(objects.export).message([found])


def main() -> None:
    """Serve one program."""
    connection = frames.Connection()
    _, content = connection.receive()
    [job, names] = wire.Decoder(content, _no_handle).roots()
    connection.send(b"R")
    namespace = load(connection, job)
    objects = Objects()
    connection.send(b"L", defined(objects, namespace, names))
    serve: Callable[[Objects, bytes, bytes], tuple[bytes, bytes]] = answer
    while True:
        connection.send(*serve(objects, *connection.receive()))


def _no_handle(kind: int, number: int) -> Any:
    raise wire.Malformed("a handle in a job")
