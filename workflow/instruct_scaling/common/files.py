"""Files that stages hand each other: written whole or not at all, errors with file and line."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from instruct_scaling.common.errors import InputError


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; move it into place only if the body succeeds.

    The body may make a file or a folder there. On any error the temporary is removed and an
    older `target` stays as it was.

    Raises:
        InputError: the parent folder cannot be made or written.
    """
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise InputError(
            f"cannot write here ({error.strerror})",
            where=target.parent,
            fix="choose a folder that you may write to, or change its permissions",
        ) from error
    temporary = scratch / target.name
    try:
        yield temporary
        if target.is_dir():  # no folder can be renamed over a folder, or over a link to one
            target.unlink() if target.is_symlink() else shutil.rmtree(target)
        temporary.replace(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def require_writable(folder: str | Path) -> None:
    """Check, without making anything, that files can be made in `folder`.

    Raises:
        InputError: it, or the nearest parent that exists, is no folder or may not be written.
    """
    folder = Path(folder).absolute()
    while not folder.exists() and not folder.is_symlink():
        folder = folder.parent
    if not folder.is_dir():
        raise InputError(
            "not a folder",
            where=folder,
            fix="move it away, or choose another folder with --directory",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(
            "this folder cannot be written",
            where=folder,
            fix="change its permissions, or choose another folder with --directory",
        )


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as readable UTF-8 JSON, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", "utf-8")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: the file is missing or is not JSON (with the line).
    """
    path = Path(path)
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise InputError("no such file", where=path) from error
    except json.JSONDecodeError as error:
        raise InputError(f"not valid JSON: {error.msg}", where=path, line=error.lineno) from error


def read_jsonl(path: str | Path) -> Iterator[tuple[int, Any]]:
    """Yield (line number, value) for every non-empty line of a JSON-lines file.

    Raises:
        InputError: the file is missing, or a line is not JSON (with file and line).
    """
    path = Path(path)
    try:
        handle = path.open(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError("no such file", where=path) from error
    with handle:
        for number, line in enumerate(handle, 1):
            if not line.strip():
                continue
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError as error:
                raise InputError(
                    f"not valid JSON: {error.msg} (column {error.colno})", where=path, line=number
                ) from error


def write_jsonl(path: str | Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object per line, UTF-8, atomically."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as handle:
        for row in rows:
            handle.write(json.dumps(row, ensure_ascii=False) + "\n")


def sha256_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes, or of the sorted (name, hash) pairs of a folder's files."""
    path = Path(path)
    if path.is_dir():
        digest = hashlib.sha256()
        for part in sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(f"{part.relative_to(path)}\0{sha256_file(part)}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_text(text: str) -> str:
    """SHA-256 of a text's UTF-8 bytes, in hex."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
