"""Plain data as bytes: what passes between a program's process and that of its tests.

Standard library only: the module also runs inside both sandboxes. Nothing that is decoded can run
code: a decoder builds built-in types, those of `collections`, `Fraction` and `Decimal`, and asks
its `handle` for the rest.

A message holds roots and a table of objects. An *atom* is a scalar, a reference to an object of the
table, or a handle; an object's node lists atoms. Objects that cannot change follow what they
hold, so that cycles, which lead through a list, set, dict or deque, need no order. The table may go
on from a known one: the reply to a call updates the caller's own objects, and only those whose node
differs from the one that was sent.

Subclasses of built-in types travel as the built-in type.
"""

from __future__ import annotations

import builtins
import struct
import sys
from _collections import OrderedDict, defaultdict, deque  # type: ignore[import-not-found]
from collections.abc import Callable, Iterable, Sequence
from typing import Any

MAX_BYTES = 16 * 2**20
MAX_OBJECTS = 500_000
MAX_DEPTH = 150
MAX_DIGITS_BYTES = 2**20  # of one integer

Export = Callable[[Any], "Handle | Items"]

EXCEPTIONS: dict[str, type[BaseException]] = {
    name: value
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
}
FACTORIES: dict[str, Any] = {
    factory.__name__: factory
    for factory in (bool, bytes, complex, dict, float, frozenset, int, list, set, str, tuple)
}
VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
CHANGING = b"lemOCDqA"  # tags of objects that a program can change


class Unsupported(TypeError):
    """A value that is no plain data."""


class TooLarge(ValueError):
    """More bytes, objects or depth than a message may have."""


class Malformed(ValueError):
    """Bytes that no encoder writes."""


class Handle:
    """Stands for an object that stays where it is. `kind` is one of the constants below."""

    __slots__ = ("kind", "number")

    def __init__(self, kind: int, number: int) -> None:
        self.kind = kind
        self.number = number


OPAQUE, CALLABLE, ITERATOR = range(3)


class Items:
    """What an iterator gave, to be sent instead of it."""

    __slots__ = ("items",)

    def __init__(self, items: list[Any]) -> None:
        self.items = items


class _Reference:
    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


def refuse(value: Any) -> Handle | Items:
    """The `export` of an encoder that sends plain data alone.

    Raises:
        Unsupported: always.
    """
    raise Unsupported(f"{type(value).__name__} is no plain data")


def number_bytes(value: int) -> bytes:
    """A number from 0 on, seven bits a byte, the last one without its high bit."""
    if value < 128:
        return bytes((value,))
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


class Encoder:
    """Writes one message.

    Args:
        export: what stands for a value that is no plain data.
        known: objects that the other side has under these numbers.
    """

    def __init__(self, export: Export = refuse, known: Sequence[Any] = ()) -> None:
        self.objects = list(known)
        self.nodes: list[bytes] = [b""] * len(self.objects)
        self._export = export
        self._known = len(self.objects)
        self._numbers = {id(value): number for number, value in enumerate(self.objects)}
        self._size = 0

    def message(self, roots: Iterable[Any], sent: Sequence[bytes] = ()) -> bytes:
        """The bytes of `roots`, and of the known objects that changed.

        Args:
            sent: the node of each known object when it was sent.

        Raises:
            Unsupported: from `export`.
            TooLarge: it exceeds a limit.
        """
        atoms = [self._atom(root, 0) for root in roots]
        changed = []
        for number in range(self._known):
            if sent[number][:1] in CHANGING:
                node = self._node(self.objects[number], 0)
                if node != sent[number]:
                    changed.append(number_bytes(number) + node)
        new = self.nodes[self._known :]
        parts = [number_bytes(len(changed)), *changed, number_bytes(len(new)), *new]
        message = b"".join([*parts, number_bytes(len(atoms)), *atoms])
        if len(message) > MAX_BYTES:
            raise TooLarge(f"more than {MAX_BYTES} bytes")
        return message

    def _atom(self, value: Any, depth: int) -> bytes:
        kind = type(value)
        if value is None:
            return b"N"
        if kind is bool:
            return b"T" if value else b"F"
        number = self._numbers.get(id(value))
        if number is not None:
            return b"R" + number_bytes(number)
        if issubclass(kind, int):
            return _integer(value)
        if issubclass(kind, str):
            return self._counted(b"s" + _sized(str.encode(value, "utf-8", "surrogatepass")))
        if issubclass(kind, float):
            return b"d" + struct.pack(">d", value)
        if issubclass(kind, complex):
            return b"c" + struct.pack(">dd", value.real, value.imag)
        if issubclass(kind, bytes):
            return self._counted(b"b" + _sized(bytes.__getitem__(value, slice(None))))
        return self._object(value, depth)

    def _object(self, value: Any, depth: int) -> bytes:
        if depth >= MAX_DEPTH:
            raise TooLarge(f"nested deeper than {MAX_DEPTH}")
        if len(self.objects) >= MAX_OBJECTS:
            raise TooLarge(f"more than {MAX_OBJECTS} objects")
        if not _is_container(value):
            exported = self._export(value)
            if isinstance(exported, Handle):
                return b"H" + bytes((exported.kind,)) + number_bytes(exported.number)
            return self._finished(value, self._counted(b"I" + self._atoms(exported.items, depth)))
        if isinstance(value, (list, set, dict, deque, bytearray)):
            number = self._append(value, b"")
            self.nodes[number] = self._node(value, depth)
            return b"R" + number_bytes(number)
        node = self._node(value, depth)
        known = self._numbers.get(id(value))  # met again below itself: a cycle
        return b"R" + number_bytes(known) if known is not None else self._finished(value, node)

    def _finished(self, value: Any, node: bytes) -> bytes:
        return b"R" + number_bytes(self._append(value, node))

    def _append(self, value: Any, node: bytes) -> int:
        number = len(self.objects)
        self.objects.append(value)
        self.nodes.append(node)
        self._numbers[id(value)] = number
        return number

    def _node(self, value: Any, depth: int) -> bytes:
        return self._counted(self._content(value, depth + 1))

    def _content(self, value: Any, depth: int) -> bytes:
        if isinstance(value, list):
            return b"l" + self._atoms(list.__iter__(value), depth)
        if isinstance(value, tuple):
            return b"t" + self._atoms(tuple.__iter__(value), depth)
        if isinstance(value, dict):
            return self._dict(value, depth)
        if isinstance(value, set):
            return b"e" + self._atoms(set.__iter__(value), depth)
        if isinstance(value, frozenset):
            return b"z" + self._atoms(frozenset.__iter__(value), depth)
        if isinstance(value, deque):
            items = self._atoms(deque.__iter__(value), depth)
            return b"q" + self._atom(value.maxlen, depth) + items
        if isinstance(value, bytearray):
            return b"A" + _sized(bytes(value))
        if isinstance(value, range):
            return b"r" + self._atoms((value.start, value.stop, value.step), depth)
        if isinstance(value, BaseException):
            return self._exception(value, depth)
        if type(value) in VIEWS:
            return b"v" + bytes((VIEWS.index(type(value)),)) + self._atoms(value, depth)
        if _module_of(value) == "fractions":
            return b"f" + self._atoms((value.numerator, value.denominator), depth)
        return b"k" + _sized(str(value).encode("ascii", "replace"))  # Decimal

    def _dict(self, value: dict[Any, Any], depth: int) -> bytes:
        head = b"m"
        items: Iterable[tuple[Any, Any]] = dict.items(value)
        if isinstance(value, OrderedDict):
            head, items = b"O", OrderedDict.items(value)
        elif isinstance(value, defaultdict):
            name = getattr(value.default_factory, "__name__", "")
            known = FACTORIES.get(name) is value.default_factory
            head = b"D" + _sized(name.encode() if known else b"")
        elif _is_counter(value):
            head = b"C"
        flat = [part for pair in list(items) for part in pair]
        return head + self._atoms(flat, depth)

    def _exception(self, value: BaseException, depth: int) -> bytes:
        names = [cls.__name__ for cls in type(value).__mro__ if cls in EXCEPTIONS.values()]
        try:
            arguments = [self._scalar(argument) for argument in value.args]
        except Unsupported:
            arguments = [self._atom(str(value), depth)]
        return b"x" + _sized(names[0].encode()) + number_bytes(len(arguments)) + b"".join(arguments)

    def _scalar(self, value: Any) -> bytes:
        if value is not None and not isinstance(value, (str, int, float, bytes)):
            raise Unsupported("an argument of an exception")
        return self._atom(value, 0)

    def _atoms(self, values: Iterable[Any], depth: int) -> bytes:
        atoms = [self._atom(value, depth) for value in values]
        return number_bytes(len(atoms)) + b"".join(atoms)

    def _counted(self, data: bytes) -> bytes:
        self._size += len(data)
        if self._size > 2 * MAX_BYTES:  # a text is counted alone and in its object
            raise TooLarge(f"more than {MAX_BYTES} bytes")
        return data


def _integer(value: int) -> bytes:
    size = int.bit_length(value) // 8 + 1
    if size > MAX_DIGITS_BYTES:
        raise TooLarge(f"an integer of more than {MAX_DIGITS_BYTES} bytes")
    return b"i" + number_bytes(size) + int.to_bytes(value, size, "big", signed=True)


def _sized(data: bytes) -> bytes:
    return number_bytes(len(data)) + data


def _module_of(value: Any) -> str:
    """The module of a Fraction or Decimal (its type alone, no subclass), else ''."""
    kind = type(value)
    for module, name in (("fractions", "Fraction"), ("decimal", "Decimal")):
        loaded = sys.modules.get(module)
        if loaded is not None and kind is getattr(loaded, name, None):
            return module
    return ""


def _is_counter(value: Any) -> bool:
    loaded = sys.modules.get("collections")
    counter = getattr(loaded, "Counter", None)
    return isinstance(counter, type) and isinstance(value, counter)


def _is_container(value: Any) -> bool:
    plain = (list, tuple, dict, set, frozenset, deque, bytearray, range, BaseException)
    return isinstance(value, plain) or type(value) in VIEWS or bool(_module_of(value))


class Decoder:
    """Reads one message.

    Args:
        handle: what a handle becomes here, by kind and number.
        known: this side's objects that the message may refer to and change.

    Attributes:
        objects: the known objects, then those of the message.
        nodes: the bytes of each new object's node.
    """

    def __init__(
        self, data: bytes, handle: Callable[[int, int], Any], known: Sequence[Any] = ()
    ) -> None:
        self.objects: list[Any] = list(known)
        self.nodes: list[bytes] = [b""] * len(known)
        self._data = data
        self._at = 0
        self._handle = handle

    def roots(self) -> list[Any]:
        """The message's values. Known objects have their new content afterwards.

        Raises:
            Malformed: the bytes are no message.
        """
        try:
            return self._roots()
        except Malformed:
            raise
        except Exception as error:  # of building: an unhashable key, a wrong number
            raise Malformed(f"{type(error).__name__}: {error}") from None

    def _roots(self) -> list[Any]:
        changed = []
        for _ in range(self._number()):
            number = self._number()
            if number >= len(self.objects):
                raise Malformed("a change of an unknown object")
            changed.append((number, self._node()))
        new = []
        first = len(self.objects)
        count = self._number()
        if count > MAX_OBJECTS:
            raise Malformed("too many objects")
        for _ in range(count):
            start = self._at
            node = self._node()
            self.nodes.append(self._data[start : self._at])
            new.append(node)
            self.objects.append(_shell(node))
        atoms = [self._atom() for _ in range(self._number())]
        if self._at != len(self._data):
            raise Malformed("bytes after the end")
        for number, node in enumerate(new, first):
            if node[0] not in CHANGING:
                self.objects[number] = _built(node, self._resolve(node[2], number))
        for number, node in [*enumerate(new, first), *changed]:
            if node[0] in CHANGING:
                _fill(self.objects[number], node, self._resolve(node[2], len(self.objects)))
            elif number < first:
                raise Malformed("a change of what cannot change")
        return self._resolve(atoms, len(self.objects))

    def _resolve(self, atoms: list[Any], below: int) -> list[Any]:
        """Atoms with objects for references: to shells, or to objects built before `below`."""
        values = []
        for atom in atoms:
            if type(atom) is _Reference:
                atom = self.objects[atom.index]
                if atom is _UNBUILT:
                    raise Malformed("a reference to what comes later")
            values.append(atom)
        return values

    def _node(self) -> tuple[bytes, Any, list[Any]]:
        """Tag, what precedes the atoms, and the atoms."""
        tag = self._take(1)
        before: Any = None
        if tag in (b"A", b"k"):
            return tag, self._take(self._number()), []
        if tag in (b"D", b"x"):
            before = self._take(self._number()).decode()
        elif tag == b"q":
            before = self._atom()
        elif tag == b"v":
            before = self._take(1)[0]
        elif tag not in b"lemOCtzrfI":
            raise Malformed(f"unknown tag {tag!r}")
        return tag, before, [self._atom() for _ in range(self._number())]

    def _atom(self) -> Any:
        tag = self._take(1)
        if tag == b"N":
            return None
        if tag == b"T":
            return True
        if tag == b"F":
            return False
        if tag == b"i":
            return int.from_bytes(self._take(self._number()), "big", signed=True)
        if tag == b"s":
            return self._take(self._number()).decode("utf-8", "surrogatepass")
        if tag == b"R":
            return _Reference(self._number())
        if tag == b"d":
            return struct.unpack(">d", self._take(8))[0]
        if tag == b"c":
            return complex(*struct.unpack(">dd", self._take(16)))
        if tag == b"b":
            return self._take(self._number())
        if tag == b"H":
            kind = self._take(1)[0]
            return self._handle(kind, self._number())
        raise Malformed(f"unknown tag {tag!r}")

    def _number(self) -> int:
        value = shift = 0
        while True:
            if self._at >= len(self._data) or shift > 63:
                raise Malformed("a number without end")
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise Malformed("it ends too early")
        part = self._data[self._at : end]
        self._at = end
        return part


_UNBUILT = object()


def _shell(node: tuple[bytes, Any, list[Any]]) -> Any:
    """An empty object that is filled later; `_UNBUILT` for those that cannot change."""
    tag, before, _ = node
    if tag == b"l":
        return []
    if tag == b"e":
        return set()
    if tag == b"m":
        return {}
    if tag == b"O":
        return OrderedDict()
    if tag == b"C":
        from collections import Counter

        return Counter()
    if tag == b"D":
        return defaultdict(FACTORIES[before] if before else None)
    if tag == b"q":
        return deque((), before)
    if tag == b"A":
        return bytearray()
    return _UNBUILT


def _fill(target: Any, node: tuple[bytes, Any, list[Any]], atoms: list[Any]) -> None:
    """Give an object its content, whatever it has now."""
    tag, before, _ = node
    kind = type(_shell(node))
    if type(target) is not kind and not (tag in b"lemqA" and isinstance(target, kind)):
        raise Malformed("a change into another type")
    if tag == b"l":
        list.__setitem__(target, slice(None), atoms)
    elif tag == b"A":
        target[:] = before
    elif tag in b"eq":
        target.clear()
        (target.update if tag == b"e" else target.extend)(atoms)
    else:
        target.clear()
        for position in range(0, len(atoms), 2):
            target[atoms[position]] = atoms[position + 1]


def _built(node: tuple[bytes, Any, list[Any]], atoms: list[Any]) -> Any:
    """An object that cannot change, of what it holds."""
    tag, before, _ = node
    if tag == b"t":
        return tuple(atoms)
    if tag == b"z":
        return frozenset(atoms)
    if tag == b"r":
        return range(*atoms)
    if tag == b"I":
        return iter(atoms)
    if tag == b"x":
        return _exception(before, atoms)
    if tag == b"v":
        return _view(before, atoms)
    if tag == b"f":
        from fractions import Fraction

        return Fraction(*atoms)
    from decimal import Decimal

    return Decimal(before.decode("ascii"))


def _exception(name: str, arguments: list[Any]) -> BaseException:
    kind = EXCEPTIONS[name]
    try:
        return kind(*arguments)
    except Exception:  # a type that wants other arguments than it got
        return Exception(*arguments)


def _view(kind: int, atoms: list[Any]) -> Any:
    if kind == 0:
        return dict.fromkeys(atoms).keys()
    if kind == 1:
        return dict(enumerate(atoms)).values()
    return dict(atoms).items()
