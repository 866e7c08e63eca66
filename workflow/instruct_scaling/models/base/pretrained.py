"""Pretrained bases: a local folder, linked, or a pinned snapshot from the hub, downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.fetch import download_snapshot, kept_snapshot
from instruct_scaling.common.files import read_json, sha256_file
from instruct_scaling.config.bases import PretrainedBase

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")


def bring_pretrained(config: PretrainedBase, folder: Path) -> dict[str, Any]:
    """Link or download a model into `folder`; returns what `base.json` says about it.

    Raises:
        InputError: a missing folder, one that holds no model, or a hub that does not answer.
    """
    if config.is_local:
        source = Path(config.model).expanduser()
        check_model(source)
        link_files(source, folder)
    else:
        copy = kept_snapshot(config.model, config.revision, "model")
        if copy is not None:
            check_model(copy)
            link_files(copy, folder)
        else:
            assert config.revision is not None  # the config requires it
            download_snapshot(config.model, config.revision, "model", folder)
            check_model(folder)
    hashes = {path.name: sha256_file(path) for path in sorted(folder.iterdir()) if path.is_file()}
    return {
        "type": "pretrained",
        "model": config.model,
        "revision": config.revision,
        "parameters": count_parameters(folder),
        "sha256": hashes,
    }


def check_model(folder: Path) -> None:
    """Make sure that a folder holds a model that can be loaded safely.

    Raises:
        InputError: naming what is missing.
    """
    if not folder.is_dir():
        raise InputError(
            "no such folder", where=folder, fix="`model` is a local folder or a hub id"
        )
    if not (folder / "config.json").is_file():
        raise InputError("no model here (config.json is missing)", where=folder)
    missing = [name for name in weight_files(folder) if not (folder / name).is_file()]
    if missing:
        pickled = any(folder.glob("*.bin"))
        raise InputError(
            f"no safetensors weights here ({missing[0]} is missing)",
            where=folder,
            fix="convert the .bin weights: load the model and `save_pretrained` it"
            if pickled
            else "copy the whole model folder",
        )
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise InputError(
            f"no tokenizer here (none of {', '.join(TOKENIZERS)})",
            where=folder,
            fix="`save_pretrained` the model's tokenizer into the same folder",
        )


def weight_files(folder: Path) -> list[str]:
    """Names of a model's weight files: those of its index, or the single one."""
    if not (folder / INDEX).is_file():
        return [WEIGHTS]
    return sorted(set(read_json(folder / INDEX)["weight_map"].values()))


def count_parameters(folder: Path) -> int:
    """Stored parameters, read from the headers of the weight files."""
    from safetensors import safe_open

    total = 0
    for name in weight_files(folder):
        with safe_open(folder / name, framework="numpy") as weights:
            for key in weights.keys():  # noqa: SIM118  (safe_open is no dict)
                size = 1
                for length in weights.get_slice(key).get_shape():
                    size *= length
                total += size
    return total


def link_files(source: Path, folder: Path) -> None:
    """Fill `folder` with links to the files of `source`, so that nothing large is copied."""
    folder.mkdir()
    for path in sorted(source.resolve().iterdir()):
        if (
            path.is_file()
            and path.suffix not in (".bin", ".pt", ".py")
            and path.name != "base.json"
        ):
            (folder / path.name).symlink_to(path)
