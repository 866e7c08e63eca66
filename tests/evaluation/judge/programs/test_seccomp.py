"""The filter of system calls: an interpreter of BPF runs its bytes, for both architectures."""

from __future__ import annotations

import errno
import os
import platform
import re
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruct_scaling.common.errors import InputError
from instruct_scaling.evaluation.judge.programs import seccomp

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
REFUSED, UNKNOWN = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS
MACHINES = list(seccomp.ARCHITECTURES)


def run(filter_: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What the kernel would answer: the instructions of linux/filter.h that the filter uses."""
    data = struct.pack("<iIQ6Q", number, architecture, 0, *(*arguments, *[0] * 6)[:6])
    instructions = list(struct.iter_unpack("<HBBI", filter_))
    value, place = 0, 0
    while True:
        code, if_true, if_false, constant = instructions[place]
        place += 1
        match code:
            case 0x20:
                value = struct.unpack_from("<I", data, constant)[0]
            case 0x54:
                value &= constant
            case 0x06:
                return constant
            case 0x15 | 0x25 | 0x35 | 0x45:
                holds = {
                    0x15: value == constant,
                    0x25: value > constant,
                    0x35: value >= constant,
                    0x45: bool(value & constant),
                }[code]
                place += if_true if holds else if_false
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


def answer(machine: str, name: str, *arguments: int, metadata: bool = True) -> int:
    tables = ("FILES", "WAITING", "MEMORY", "SIGNALS", "THREADS", "FACTS", "METADATA", "REFUSED")
    numbers = {}
    for table in (*tables, "BY_ARGUMENT"):
        numbers |= seccomp.numbers(getattr(seccomp, table), machine)
    filter_ = seccomp.system_call_filter(machine, metadata=metadata)
    return run(filter_, seccomp.ARCHITECTURES[machine], numbers[name], *arguments)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("call", "arguments", "expected"),
    [
        ("read", (), ALLOW),
        ("openat", (), ALLOW),
        ("futex", (), ALLOW),
        ("getrandom", (), ALLOW),
        ("execve", (), REFUSED),
        ("execveat", (), REFUSED),
        ("socket", (1, 1), REFUSED),
        ("mknodat", (), REFUSED),
        ("ptrace", (), REFUSED),
        ("clone", (0x3D0F00,), ALLOW),  # what glibc asks for a thread
        ("clone", (17,), REFUSED),  # what it asks for fork
        ("clone", (0x10000000 | 17,), REFUSED),
        ("clone3", (), UNKNOWN),
        ("socketpair", (1, 1), ALLOW),
        ("socketpair", (1, 1 | 0o2000000), ALLOW),  # with SOCK_CLOEXEC
        ("socketpair", (1, 2), REFUSED),  # datagrams go anywhere
        ("socketpair", (30, 1), REFUSED),
        ("kill", (seccomp.OWN_PID,), ALLOW),
        ("kill", (0,), REFUSED),
        ("kill", (2**32 - 1,), REFUSED),
        ("tgkill", (seccomp.OWN_PID, 5), ALLOW),
        ("tgkill", (5, 5), REFUSED),
        ("prlimit64", (0,), ALLOW),
        ("prlimit64", (5,), REFUSED),
        ("prctl", (15,), ALLOW),
        ("prctl", (1,), REFUSED),
        ("fcntl", (0, 3), ALLOW),
        ("fcntl", (0, 8), REFUSED),
        ("fcntl", (0, 15), REFUSED),
        ("ioctl", (0, 0x5421), ALLOW),
        ("ioctl", (0, 0x5412), ERRNO | errno.ENOTTY),
    ],
)
def test_each_call_has_its_answer(machine, call, arguments, expected):
    assert answer(machine, call, *arguments) == expected
    assert answer(machine, call, *arguments, metadata=False) == expected


@pytest.mark.parametrize("machine", MACHINES)
def test_modes_and_times_change_only_where_nothing_outside_is_reached(machine):
    for call in ("fchmod", "fchmodat", "utimensat", "truncate"):
        assert answer(machine, call) == ALLOW
        assert answer(machine, call, metadata=False) == REFUSED


@pytest.mark.parametrize("machine", MACHINES)
@given(number=st.integers(0, 2**32 - 1), arguments=st.tuples(*[st.integers(0, 2**64 - 1)] * 6))
def test_only_what_is_named_is_allowed(machine, number, arguments):
    named = set()
    for table in ("FILES", "WAITING", "MEMORY", "SIGNALS", "THREADS", "FACTS", "METADATA"):
        named |= set(seccomp.numbers(getattr(seccomp, table), machine).values())
    decided = set(seccomp.numbers(seccomp.BY_ARGUMENT, machine).values())
    filter_ = seccomp.system_call_filter(machine, metadata=True)
    signed = number - 2**32 if number >= 2**31 else number
    result = run(filter_, seccomp.ARCHITECTURES[machine], signed, *arguments)
    if number not in decided:
        assert (result == ALLOW) == (number in named)
    foreign = run(filter_, 0x40000003, signed, *arguments)  # 32-bit calls of an x86 kernel
    assert foreign == KILL


def test_calls_by_the_x32_interface_are_unknown():
    filter_ = seccomp.system_call_filter("x86_64", metadata=True)
    architecture = seccomp.ARCHITECTURES["x86_64"]
    assert run(filter_, architecture, 1) == ALLOW
    assert run(filter_, architecture, 0x40000001) == UNKNOWN


@pytest.mark.parametrize("machine", MACHINES)
def test_it_is_short_and_ends_in_an_answer(machine):
    """The kernel takes 4096 instructions; every branch stays inside, or `run` would fail."""
    filter_ = seccomp.system_call_filter(machine, metadata=False)
    assert len(filter_) % 8 == 0
    assert len(filter_) // 8 < 400


def test_a_machine_without_numbers_is_told_so():
    with pytest.raises(InputError, match="riscv64"):
        seccomp.system_call_filter("riscv64", metadata=True)


def test_numbers_are_those_of_this_systems_headers():
    header = Path(f"/usr/include/{platform.machine()}-linux-gnu/asm/unistd_64.h")
    if not header.is_file() or os.uname().machine != "x86_64":
        pytest.skip("no kernel headers of an x86_64 system here")
    known = dict(re.findall(r"#define __NR_(\w+) (\d+)", header.read_text("ascii")))
    for table in ("FILES", "WAITING", "MEMORY", "SIGNALS", "THREADS", "FACTS", "METADATA"):
        for name, number in seccomp.numbers(getattr(seccomp, table), "x86_64").items():
            assert known.get(name, str(number)) == str(number), name
