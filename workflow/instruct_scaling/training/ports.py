"""Ports for ranks to meet at."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from instruct_scaling.common.errors import InputError

PORTS = range(20_000, 32_000)
OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """A port that nobody listens on, from those that systems do not give to outgoing connections:
    the first rank needs seconds until it listens, and another job may connect meanwhile.

    Raises:
        InputError: none is free.
    """
    ports = meeting_ports()
    return _first_free(random.SystemRandom().sample(ports, len(ports)))


def job_port(job: int) -> int:
    """As `free_port`, but two jobs on one node begin to look at different ports.

    Raises:
        InputError: none is free.
    """
    ports = meeting_ports()
    start = job % len(ports)
    return _first_free([*ports[start:], *ports[:start]])


def meeting_ports() -> list[int]:
    """`PORTS` without those that this system gives to outgoing connections; all of them if its
    administrator gave it all."""
    low, high = 32_768, 60_999  # Linux's default
    with suppress(OSError, ValueError):
        low, high = map(int, OUTGOING.read_text("utf-8").split())
    return [port for port in PORTS if not low <= port <= high] or list(PORTS)


def _first_free(ports: Iterable[int]) -> int:
    for port in ports:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            return port
    raise InputError(
        "no port is free for the ranks to meet",
        fix=f"end the programs that listen on {PORTS[0]} to {PORTS[-1]}",
    )
