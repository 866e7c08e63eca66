"""The tokenizer of a base, and which of the base's files decide how it tokenizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import read_json, sha256_file
from instruct_scaling.config.bases import TOKENIZER_FILES


def read_tokenizer(base: Path) -> Any:
    """The base's tokenizer.

    Raises:
        InputError: there is none.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(base)
    except (ValueError, OSError) as error:
        raise InputError(f"transformers cannot read a tokenizer: {error}", where=base) from error


def tokenizer_hashes(base: Path) -> dict[str, str]:
    """File -> SHA-256 of what decides the tokens; and `model_type`, by which transformers chooses
    the class of a tokenizer that names none.

    Raises:
        InputError: the folder is not that of a model.
    """
    files = {path for pattern in TOKENIZER_FILES for path in base.glob(pattern) if path.is_file()}
    found = {path.name: sha256_file(path) for path in sorted(files)}
    return found | {"model_type": str(read_json(base / "config.json").get("model_type"))}
