"""Runs in the tests' sandbox: the item's tests, with stand-ins for the program's functions.

Standard library only. What the program returns arrives as plain data, or as a handle that is equal
to no data, has no truth value and no attributes.
"""

from __future__ import annotations

import sys
import types
from typing import Any, NoReturn

from instruct_scaling.evaluation.judge.programs import frames, wire

MAX_ITEMS = 50_000  # that one iterator gives
MAX_CALLS = 1_000_000


class NotData(BaseException):
    """A test uses as data what is none. No `except Exception` of a test stops it."""


class Remote:
    """Stands for an object of the program that is no plain data."""

    def __init__(self, program: Program, handle: wire.Handle) -> None:
        object.__setattr__(self, "_program", program)
        object.__setattr__(self, "_handle", handle)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return "<object of the program>"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__") and name.endswith("__") and name not in NAMES:
            raise AttributeError(name)  # which Python itself asks for
        self._program.refuse(f"a test uses `{name}` of an object of the program")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        self._program.refuse(f"a test sets `{name}` of an object of the program")

    def _refuse(self, *others: object) -> NoReturn:
        self._program.refuse("a test uses an object of the program as data")

    __bool__ = __len__ = __iter__ = __contains__ = __getitem__ = __setitem__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __int__ = __float__ = __index__ = __str__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = _refuse
    __neg__ = __abs__ = __round__ = __enter__ = __exit__ = __await__ = _refuse
    __reduce_ex__ = _refuse


NAMES = frozenset(("__name__", "__doc__", "__dict__", "__code__", "__defaults__", "__wrapped__"))


class RemoteFunction(Remote):
    """A function of the program: a call runs there."""

    def __call__(self, *positional: Any, **named: Any) -> Any:
        return self._program.call(self, positional, named)


class RemoteIterator(Remote):
    """An iterator of the program, asked for one value at a time."""

    def __init__(self, program: Program, handle: wire.Handle) -> None:
        super().__init__(program, handle)
        object.__setattr__(self, "_given", [])

    def __iter__(self) -> RemoteIterator:
        return self

    def __len__(self) -> NoReturn:
        raise TypeError("an iterator has no len()")  # `list` asks for it

    def __contains__(self, wanted: object) -> bool:
        return any(item is wanted or item == wanted for item in self)

    def __next__(self) -> Any:
        self._given.append(None)
        if len(self._given) > MAX_ITEMS:
            self._program.refuse(f"an iterator of the program gives more than {MAX_ITEMS} values")
        return self._program.next(self)


KINDS: dict[int, type[Remote]] = {
    wire.OPAQUE: Remote,
    wire.CALLABLE: RemoteFunction,
    wire.ITERATOR: RemoteIterator,
}


class Program:
    """The program as the tests see it.

    Attributes:
        refused: letter and text of the first thing that went beyond plain data, which decides even
            if a test goes on after it.
    """

    def __init__(self, connection: frames.Connection) -> None:
        self.refused: tuple[bytes, str] | None = None
        self._connection = connection
        self._remotes: dict[int, Remote] = {}
        self._calls = 0

    def refuse(self, why: str, letter: bytes = b"H") -> NoReturn:
        """Note what went beyond plain data, and end the test."""
        if self.refused is None:
            self.refused = (letter, why)
        raise NotData(why)

    def names(self, content: bytes, asked: list[str]) -> dict[str, Any]:
        """What the program defines, of the names that the tests use.

        It may say that it defines others, such as `range`, which the tests must keep.
        """
        [found] = wire.Decoder(content, self.remote).roots()
        return {name: found[name] for name in asked if name in found}

    def remote(self, kind: int, number: int) -> Remote:
        """The stand-in of a handle, the same one each time."""
        if number not in self._remotes:
            self._remotes[number] = KINDS[kind](self, wire.Handle(kind, number))
        return self._remotes[number]

    def call(self, target: Remote, positional: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call a function of the program, and give the arguments what it made of them.

        Raises:
            Exception: what the program raised, as a built-in type.
        """
        letter, value = self._ask(b"C", [target, positional, named])
        if letter == b"E":
            raise _raised(value)
        return value

    def next(self, target: Remote) -> Any:
        """The next value of an iterator."""
        letter, value = self._ask(b"I", [target])
        if letter == b"S":
            raise StopIteration
        if letter == b"E":
            raise _raised(value)
        return value

    def _ask(self, letter: bytes, roots: list[Any]) -> tuple[bytes, Any]:
        self._calls += 1
        if self._calls > MAX_CALLS:
            self.refuse(f"more than {MAX_CALLS} calls")
        request = wire.Encoder(self._export)
        self._connection.send(letter, request.message(roots))
        reply, content = self._connection.receive()
        if reply == b"S" and letter == b"I":
            return reply, None
        if reply not in (b"V", b"E"):
            self.refuse("the program's process sent what is no reply")
        try:
            [value] = wire.Decoder(content, self.remote, request.objects).roots()
        except (wire.Malformed, ValueError) as error:
            self.refuse(f"the program's reply cannot be read: {error}")
        return reply, value

    def _export(self, value: Any) -> wire.Handle | wire.Items:
        if isinstance(value, Remote):
            return value._handle
        if not isinstance(value, type) and hasattr(type(value), "__next__"):
            items = []
            for item in value:
                items.append(item)
                if len(items) > MAX_ITEMS:
                    self.refuse(f"a test passes an iterator of over {MAX_ITEMS} values", b"N")
            return wire.Items(items)
        what = "a type" if isinstance(value, type) else f"a value of type {type(value).__name__}"
        return self.refuse(f"a test passes {what}", b"N")


def _raised(value: Any) -> BaseException:
    """The exception to raise. One that ends a loop or the process would skip tests."""
    if not isinstance(value, Exception) or isinstance(value, (StopIteration, StopAsyncIteration)):
        return RuntimeError(f"the program raised {type(value).__name__}")
    return value


def run(program: Program, job: dict[str, str], namespace: dict[str, Any]) -> tuple[bytes, str]:
    """Run prelude, helpers and tests; letter and text of the verdict."""
    module = types.ModuleType("tests")
    sys.modules["tests"] = module
    module.__dict__.update(namespace)
    failure = None
    try:
        for name in ("prelude", "helpers", "tests"):
            code = compile(job[name], f"<{name}>", "exec", dont_inherit=True)
            exec(code, module.__dict__)
    except BaseException as error:
        failure = frames.text(error)
    if program.refused is not None:
        return program.refused
    return (b"P", "") if failure is None else (b"F", failure)


def main() -> None:
    """Run one item's tests."""
    connection = frames.Connection()
    program = Program(connection)
    _, content = connection.receive()
    [job, asked] = wire.Decoder(content, program.remote).roots()
    connection.send(b"R")
    _, content = connection.receive()
    letter, why = run(program, job, program.names(content, asked))
    connection.send(letter, frames.text_bytes(why))
