"""What studies take from the web: each file and snapshot is fetched once and checked by its hash.

Copies are laid out by URL, `<host>/<path>`, in two folders. The *cache* (INSTRUCT_SCALING_CACHE,
else the system's cache folder) is filled by the stages and by `instruct-scaling prefetch`. The
*offline folder* (INSTRUCT_SCALING_OFFLINE) is only read, and while the variable is set nothing is
fetched: so compute nodes and test machines need no network.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, urlsplit

import pooch
import requests
from tqdm import tqdm

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path, sha256_file

OFFLINE = "INSTRUCT_SCALING_OFFLINE"
CACHE = "INSTRUCT_SCALING_CACHE"
HUB = "https://huggingface.co"
TIMEOUT_SECONDS = 60
CHUNK_BYTES = 1 << 20
MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "README.md", "LICENSE*")


def cache_folder() -> Path:
    """Where what was fetched is kept."""
    return Path(os.environ.get(CACHE) or pooch.os_cache("instruct-scaling")).expanduser()


def offline_folder() -> Path | None:
    """The folder that replaces the network, None where there is none.

    Raises:
        InputError: the variable names no folder.
    """
    name = os.environ.get(OFFLINE)
    if not name:
        return None
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise InputError(
            f"{OFFLINE} names no folder", where=folder, fix="correct the variable, or unset it"
        )
    return folder


def location(url: str) -> str:
    """Where the copy of a URL lies in a folder of copies: `<host>/<path>`, the query included.

    Raises:
        InputError: the URL has no file name, or a part that would leave the folder.
    """
    parts = urlsplit(url)
    path = parts.path.strip("/")
    if not path or ".." in path.split("/"):
        raise InputError("the address names no file", where=url, fix="give the URL of one file")
    query = f"?{quote(parts.query, safe='=&')}" if parts.query else ""
    return f"{parts.netloc}/{path}{query}"


def fetch_file(url: str, sha256: str) -> Path:
    """The file at a URL: from the offline folder, from the cache, or from the network.

    A download that breaks off goes on where it was, in this call or a later one.

    Args:
        url: http or https.
        sha256: SHA-256 of the content, in hex.

    Raises:
        InputError: it is not there, cannot be fetched after three attempts, or has other content.
    """
    name = location(url)
    offline = offline_folder()
    if offline is not None:
        return _kept_file(url, sha256, offline / name)
    files = pooch.create(
        path=cache_folder(),
        base_url="",
        registry={name: f"sha256:{sha256}"},
        urls={name: url},
        retry_if_failed=2,
    )
    try:
        return Path(files.fetch(name, downloader=resume_download))
    except requests.RequestException as error:
        raise InputError(
            f"cannot be fetched: {error}",
            where=url,
            fix="check the network, or fetch it elsewhere with `instruct-scaling prefetch CONFIG "
            f"--to FOLDER` and set {OFFLINE} to that folder",
        ) from error
    except ValueError as error:
        raise InputError(
            f"its content has changed: {error}",
            where=url,
            fix="use an address that names a commit, or update `sha256` if the change is meant",
        ) from error


def _kept_file(url: str, sha256: str, copy: Path) -> Path:
    for path in (copy, cache_folder() / location(url)):
        if path.is_file():
            found = sha256_file(path)
            if found != sha256:
                raise InputError(
                    f"this copy has another content (SHA-256 {found}, the config says {sha256})",
                    where=path,
                    fix="replace it by the file that the config names, or correct `sha256`",
                )
            return path
    raise _no_copy(url, copy)


def resume_download(url: str, output_file: str, pup: pooch.Pooch) -> None:
    """A downloader for pooch that goes on after the bytes of an earlier attempt.

    What is incomplete lies beside the file as `<name>.partial`. Whether the parts belong together
    is decided by the hash, which pooch checks.

    Raises:
        requests.RequestException: the server cannot be reached, refuses, or breaks off.
    """
    partial = Path(pup.path) / f"{location(url)}.partial"
    partial.parent.mkdir(parents=True, exist_ok=True)
    have = partial.stat().st_size if partial.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            partial.unlink()
        response.raise_for_status()
        resumed = response.status_code == requests.codes.partial_content
        left = int(response.headers.get("Content-Length", 0))
        with (
            partial.open("ab" if resumed else "wb") as file,
            tqdm(total=left or None, unit="B", unit_scale=True, desc=partial.stem) as bar,
        ):
            for chunk in response.iter_content(CHUNK_BYTES):
                file.write(chunk)
                bar.update(len(chunk))
    partial.replace(output_file)


def snapshot_url(repository: str, revision: str, kind: str) -> str:
    """The address below which the hub has the files of a commit; `kind` is model or dataset."""
    prefix = "datasets/" if kind == "dataset" else ""
    return f"{HUB}/{prefix}{repository}/resolve/{revision}"


def kept_snapshot(repository: str, revision: str | None, kind: str) -> Path | None:
    """The folder of a hub repository's files in the offline folder or the cache, if it is there.

    Raises:
        InputError: an offline folder is named, and neither of the two has it.
    """
    if revision is None:
        return None
    name = location(snapshot_url(repository, revision, kind))
    offline = offline_folder()
    folders = [folder / name for folder in (offline, cache_folder()) if folder is not None]
    found = next((folder for folder in folders if folder.is_dir()), None)
    if found is None and offline is not None:
        raise _no_copy(snapshot_url(repository, revision, kind), offline / name)
    return found


def _no_copy(url: str, where: Path) -> InputError:
    return InputError(
        f"no copy of {url}",
        where=where,
        fix="fetch it where there is a network (`instruct-scaling prefetch CONFIG --to FOLDER`), "
        f"or unset {OFFLINE}",
    )


def fetch_snapshot(repository: str, revision: str, kind: str, folder: Path) -> Path:
    """A hub repository's files at a commit, below a folder of copies, whole or not at all.

    Raises:
        InputError: as `download_snapshot`.
    """
    target = folder / location(snapshot_url(repository, revision, kind))
    if not target.is_dir():
        with atomic_path(target) as temporary:
            download_snapshot(repository, revision, kind, temporary)
    return target


def download_snapshot(repository: str, revision: str, kind: str, folder: Path) -> None:
    """A hub repository's files at a commit: all of a data set; of a model what it needs to be
    loaded, never pickled weights and never code.

    Raises:
        InputError: the hub cannot be reached, asks for a login, or has no such repository or
            commit.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError

    where = f"{repository} at {revision}"
    is_model = kind == "model"
    try:
        snapshot_download(
            repository,
            repo_type=kind,
            revision=revision,
            local_dir=folder,
            allow_patterns=list(MODEL_FILES) if is_model else None,
            ignore_patterns=["*/*"] if is_model else None,
        )
    except GatedRepoError as error:
        raise InputError("the hub asks for a login", where=where, fix="set HF_TOKEN") from error
    except Exception as error:  # its HTTP client, and so its errors, differ between versions
        first_line = str(error).strip().split("\n")[0]
        raise InputError(
            f"cannot be downloaded from the hub: {first_line}",
            where=where,
            fix="check id, revision and network, or give the path of a local copy",
        ) from error
