"""Plain data comes back as it was; what is none is refused; bytes that no encoder writes too."""

from __future__ import annotations

import contextlib
import math
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from instruct_scaling.evaluation.judge.programs import wire

TEXT = st.text(st.characters(codec=None))  # surrogates too
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers().map(lambda number: number**9),
    st.floats(),
    st.complex_numbers(),
    TEXT,
    st.binary(),
)
KEYS = st.recursive(
    SCALARS.filter(lambda x: x == x), lambda inner: st.tuples(inner, inner) | st.frozensets(inner)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.sets(KEYS, max_size=4),
        st.frozensets(KEYS, max_size=4),
        st.dictionaries(KEYS, inner, max_size=4),
        st.dictionaries(KEYS, inner, max_size=4).map(OrderedDict),
        st.dictionaries(KEYS, st.integers(), max_size=4).map(Counter),
        st.dictionaries(KEYS, inner, max_size=4).map(lambda d: defaultdict(list, d)),
        st.builds(deque, st.lists(inner), st.none() | st.integers(0, 5)),
        st.binary().map(bytearray),
        st.builds(range, st.integers(), st.integers(), st.integers(1)),
        st.fractions(),
        st.decimals(allow_nan=False),
    ),
    max_leaves=25,
)


def no_handle(kind, number):
    raise wire.Malformed("a handle")


def sent(*values):
    return wire.Decoder(wire.Encoder().message(values), no_handle).roots()


def same(left, right) -> bool:
    """Equal in type, sign of zero and order of keys as well; nan is the same as nan."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return math.copysign(1, left) == math.copysign(1, right) and (
            left == right or (left != left and right != right)
        )
    if isinstance(left, complex):
        return same(left.real, right.real) and same(left.imag, right.imag)
    if isinstance(left, dict):
        extra = ("default_factory",) if isinstance(left, defaultdict) else ()
        return all(getattr(left, name) == getattr(right, name) for name in extra) and same(
            list(left.items()), list(right.items())
        )
    if isinstance(left, deque):
        return left.maxlen == right.maxlen and same(list(left), list(right))
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@given(VALUES)
@example(-0.0)
@example(math.nan)
@example(complex(math.inf, -0.0))
@example("\ud83d\ude00 \ud800")
@example(10**5000)
@example({(1, None): {True}, "a": [1.0], frozenset({2}): b"x", 1.5: ()})
@settings(max_examples=200)
def test_plain_data_comes_back_as_it_was(value):
    assert same(sent(value)[0], value)


def test_the_factory_of_a_defaultdict_is_known_by_its_name():
    for factory in (list, int, set, dict, str, float, None):
        back = sent(defaultdict(factory, {1: factory and factory()}))[0]
        assert back.default_factory is factory
    assert sent(defaultdict(lambda: 1, {1: 2}))[0] == {1: 2}


def test_subclasses_travel_as_the_built_in_type():
    class Liar(list):
        def __eq__(self, other):
            return True

        def __iter__(self):
            return iter([9, 9])

    pair = namedtuple("pair", "a b")
    back = sent(Liar([1]), pair(1, 2), type("S", (str,), {})("x"))
    assert [type(value) for value in back] == [list, tuple, str]
    assert back == [[1], (1, 2), "x"]


def test_cycles_and_aliases_stay():
    inner = [1]
    loop = [inner, inner]
    loop.append((loop, {"k": loop}))
    back = sent(loop, inner)
    assert back[0][0] is back[0][1] is back[1]
    assert back[0][2][0] is back[0]
    assert back[0][2][1]["k"] is back[0]


def test_a_cycle_through_tuples_alone_is_one_object():
    held = []
    pair = (held, 1)
    held.append(pair)
    back = sent(pair)[0]
    assert back[0][0] is back


def test_views_and_iterators():
    table = {"a": 1, "b": 2}
    keys, values, items = sent(table.keys(), table.values(), table.items())
    assert keys == table.keys()
    assert list(values) == [1, 2]
    assert items == table.items()
    message = wire.Encoder(lambda value: wire.Items(list(value))).message([iter([1, 2])])
    assert list(wire.Decoder(message, no_handle).roots()[0]) == [1, 2]


def test_exceptions_come_by_name_with_their_text():
    class Own(KeyError):
        pass

    key, own, coded = sent(KeyError("k"), Own("k"), UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"))
    assert (type(key), str(key)) == (KeyError, "'k'")
    assert (type(own), str(own)) == (KeyError, "'k'")
    assert (type(coded), coded.reason) == (UnicodeDecodeError, "bad")
    assert "group" in str(sent(ExceptionGroup("group", [ValueError(1)]))[0])


def test_what_is_no_plain_data_becomes_a_handle_or_is_refused():
    class Thing:
        pass

    for value in (Thing(), len, int, math, iter([])):
        with pytest.raises(wire.Unsupported):
            wire.Encoder().message([value])
    thing = Thing()
    message = wire.Encoder(lambda value: wire.Handle(wire.OPAQUE, 7)).message([[thing, thing]])
    seen = []
    wire.Decoder(message, lambda *handle: seen.append(handle)).roots()
    assert seen == [(wire.OPAQUE, 7)] * 2


def test_depth_count_and_size_are_bounded():
    deep = []
    for _ in range(wire.MAX_DEPTH + 1):
        deep = [deep]
    with pytest.raises(wire.TooLarge, match="deeper"):
        wire.Encoder().message([deep])
    with pytest.raises(wire.TooLarge, match="bytes"):
        wire.Encoder().message(["x" * (wire.MAX_BYTES + 1)])
    with pytest.raises(wire.TooLarge, match="bytes"):
        wire.Encoder().message(["x" * (wire.MAX_BYTES // 4) for _ in range(9)])
    with pytest.raises(wire.TooLarge, match="objects"):
        wire.Encoder().message([[[] for _ in range(wire.MAX_OBJECTS)]])
    with pytest.raises(wire.TooLarge, match="integer"):
        wire.Encoder().message([1 << (8 * wire.MAX_DIGITS_BYTES)])


def called(function, *arguments):
    """The arguments after a call on the other side, and its result."""
    request = wire.Encoder()
    there = wire.Decoder(request.message(arguments), no_handle)
    result = function(*there.roots())
    reply = wire.Encoder(known=there.objects).message([result], there.nodes)
    return wire.Decoder(reply, no_handle, request.objects).roots()[0], reply


def test_arguments_that_a_call_changes_are_changed_for_the_caller():
    def change(xs, table, group, queue, data, nested):
        xs.append(xs)
        table["new"] = xs
        table.move_to_end("old")
        group.discard(1)
        queue.appendleft(5)
        data.extend(b"y")
        nested[0][1] = nested
        return xs

    xs, table, group = [1], OrderedDict(old=1), {1, 2}
    queue, data, nested = deque([1], 3), bytearray(b"x"), ([0, 0],)
    result, _ = called(change, xs, table, group, queue, data, nested)
    assert result is xs
    assert xs[1] is xs
    assert list(table) == ["new", "old"]
    assert table["new"] is xs
    assert (group, queue, data) == ({2}, deque([5, 1]), b"xy")
    assert nested[0][1] is nested


@given(st.lists(st.lists(st.integers(), max_size=3), max_size=5), st.data())
def test_any_change_of_nested_lists_arrives(lists, data):
    def scramble(outer):
        for inner in outer:
            inner.reverse()
        if outer:
            outer.append(outer[data.draw(st.integers(0, len(outer) - 1))])

    expected = [list(reversed(inner)) for inner in lists]
    own = list(lists)
    called(scramble, lists)
    assert lists[: len(expected)] == expected
    assert all(a is b for a, b in zip(own, lists, strict=False))
    if own:
        assert any(lists[-1] is inner for inner in own)


def test_what_a_call_leaves_alone_is_not_sent_back():
    _, reply = called(len, list(range(10_000)))
    assert len(reply) < 20


@given(st.binary(max_size=60))
@settings(max_examples=500)
def test_no_bytes_do_anything_but_fail_or_give_data(data):
    with contextlib.suppress(wire.Malformed):
        wire.Decoder(data, no_handle).roots()


@given(VALUES, st.data())
def test_damaged_messages_are_refused_or_read(value, data):
    message = bytearray(wire.Encoder().message([value]))
    place = data.draw(st.integers(0, len(message) - 1))
    message[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(wire.Malformed):
        wire.Decoder(bytes(message), no_handle).roots()


def test_a_reply_cannot_change_the_type_of_an_argument():
    victim = [1]
    request = wire.Encoder()
    request.message([victim])
    forged = b"\x01\x00m\x00" + b"\x00" + b"\x00"  # object 0 becomes an empty dict
    with pytest.raises(wire.Malformed, match="another type"):
        wire.Decoder(forged, no_handle, request.objects).roots()
    assert victim == [1]


def test_numbers_of_other_libraries():
    assert sent(Fraction(1, 3), Decimal("1.50")) == [Fraction(1, 3), Decimal("1.50")]
