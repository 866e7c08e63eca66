"""How programs are kept apart: the rungs, strongest first, and why one does not work here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Rung = Literal["bubblewrap", "landlock", "unprotected"]


@dataclass(frozen=True, slots=True)
class Isolation:
    """One way of keeping programs apart.

    Attributes:
        rung: `bubblewrap` or `landlock`, both with the filter of system calls; `unprotected` has
            limits alone, and is never tried unless a study asks for it.
        other_user: whether programs run as a user of their own, as they must if the judge is root.
        no_further_users: bubblewrap's `--disable-userns`.
        keeps_reading: whether the other user needs the right to read the interpreter.
    """

    rung: Rung
    other_user: bool = False
    no_further_users: bool = False
    keeps_reading: bool = False

    def __str__(self) -> str:
        walls = {
            "bubblewrap": "bubblewrap and a system call filter",
            "landlock": "Landlock and a system call filter",
            "unprotected": "limits only, unprotected",
        }[self.rung]
        return f"{walls}, as {'another user' if self.other_user else 'this user'}"


def candidates(root: bool, bubblewrap: bool, readable_by_others: bool) -> list[Isolation]:
    """The isolations worth trying on a machine, strongest first.

    Args:
        root: whether this process is root's.
        bubblewrap: whether it is installed.
        readable_by_others: whether another user can read the interpreter where it lies.
    """
    if root:
        walls = [Isolation("bubblewrap", other_user=True)]
    else:
        walls = [Isolation("bubblewrap", no_further_users=True), Isolation("bubblewrap")]
    landlock = Isolation("landlock", root, keeps_reading=root and not readable_by_others)
    return [*(walls if bubblewrap else []), landlock]
