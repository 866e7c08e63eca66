"""What a Python interpreter reads to run programs that use the standard library alone."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SYSTEM_FOLDERS = ("/lib", "/lib64", "/usr/lib64", "/usr/lib")
SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo")
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
PACKAGES = ("site-packages", "dist-packages")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An interpreter, and the paths that it reads.

    `readable` are existing files and folders with all below them, but for `hidden`: installed
    packages, which must not decide whether an answer is right.
    """

    executable: str
    readable: tuple[str, ...]
    hidden: tuple[str, ...]

    def readable_by_others(self) -> bool:
        """Whether any user may open it: a home folder above it is often closed."""
        folders = [Path(self.executable), *Path(self.executable).parents]
        standard = [Path(os.__file__), *Path(os.__file__).parents]
        return all(path.stat().st_mode & 0o005 == 0o005 for path in [*folders, *standard[1:]])


def this_interpreter() -> Interpreter:
    """The one that runs this code, without its virtual environment."""
    executable = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    base = sys.base_prefix
    library = sysconfig.get_path("stdlib", vars={"installed_base": base, "base": base})
    extensions = sysconfig.get_path(
        "platstdlib", vars={"installed_platbase": base, "platbase": base}
    )
    folders = [*_system_folders(), library, extensions]
    if base != "/usr":
        folders.append(f"{base}/lib")  # libpython and what conda brings
    existing = [path for path in [*folders, *SYSTEM_FILES, executable] if Path(path).exists()]
    readable = tuple(
        path
        for path in dict.fromkeys(existing)
        if not any(_within(path, other) for other in existing)
    )
    return Interpreter(executable, readable, _packages(readable))


def without_hidden(paths: Iterable[str], hidden: Iterable[str]) -> list[str]:
    """`paths`, where each folder with a hidden one below it is replaced by its other entries."""
    hidden = [*hidden]
    kept: list[str] = []
    for path in paths:
        if path in hidden:
            continue
        if any(_within(concealed, path) for concealed in hidden):
            kept += without_hidden([str(entry) for entry in sorted(Path(path).iterdir())], hidden)
        else:
            kept.append(path)
    return kept


def _system_folders() -> list[str]:
    """Folders of shared libraries: of Debian's many, only the one of this architecture."""
    architecture = sysconfig.get_config_var("MULTIARCH")
    own = [f"{folder}/{architecture}" for folder in ("/lib", "/usr/lib")]
    if architecture and all(Path(folder).is_dir() for folder in own):
        return [*own, "/lib64"]
    return [*SYSTEM_FOLDERS]


def _packages(readable: Iterable[str]) -> tuple[str, ...]:
    """Folders of installed packages below readable ones."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = []
    for path in readable:
        for name in PACKAGES:
            for folder in (Path(path) / name, Path(path) / version / name):
                if folder.is_dir() and str(folder) not in found:
                    found.append(str(folder))
    return tuple(found)


def _within(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")
