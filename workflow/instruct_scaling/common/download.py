"""Fetch a file from the web and refuse any other content than the config vouches for."""

from __future__ import annotations

import http.client
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import sha256_file

TIMEOUT_SECONDS = 60


@contextmanager
def downloaded(url: str, sha256: str) -> Iterator[Path]:
    """The file at an address, as a local file that goes away afterwards.

    Args:
        url: http or https.
        sha256: SHA-256 of the content, in hex.

    Raises:
        InputError: it cannot be fetched, or its content is another one.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "download")
        try:
            with (
                urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer,
                path.open("wb") as handle,
            ):
                shutil.copyfileobj(answer, handle)
        except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
            raise InputError(
                f"cannot be fetched: {error}",
                where=url,
                fix="check the network, or fetch it by hand and use a source of type `file`",
            ) from error
        found = sha256_file(path)
        if found != sha256:
            raise InputError(
                f"its content has changed: SHA-256 is {found}, the config says {sha256}",
                where=url,
                fix="use an address that names a commit, or update `sha256` if the change is meant",
            )
        yield path
