"""The finished model as a folder that stock transformers loads, checked against the engine; its
model card, and train.json."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.nn.functional import cross_entropy

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path, read_json, sha256_text, write_json
from instruct_scaling.config.recipe import LoraTuning, Recipe
from instruct_scaling.data.chat_template import CHAT
from instruct_scaling.data.encoding import end_token_ids
from instruct_scaling.data.serving import serving_template
from instruct_scaling.data.tokens.tokenizer import read_tokenizer
from instruct_scaling.models.packed.packing import packed_batch
from instruct_scaling.training.distributed import run_on_rank_zero
from instruct_scaling.training.examples import Examples
from instruct_scaling.training.metrics import FlopCounter, Progress
from instruct_scaling.training.model import (
    DTYPES,
    TunedModel,
    load_weights,
    stock_classes,
)

log = logging.getLogger(__name__)

PROBE_EXAMPLES = 8
PROBE_TOKENS = 4096
# Relative difference allowed between the engine's loss and the exported model's: rounding only.
TOLERANCE = {"fp32": 1e-3, "bf16": 3e-2, "fp16": 1e-2}


@dataclass
class Exporter:
    """Writes the engine's model; all ranks call `write` together. Training can go on after it."""

    engine: Any
    tuned: TunedModel
    base: Path
    recipe: Recipe
    template: str
    examples: Examples

    def write(self, target: Path, card: Callable[[], str]) -> dict[str, float]:
        """Write the model to a temporary folder, reload it, compare losses, move it into place.

        Args:
            target: folder of the model.
            card: makes the text of its README.md, on rank 0.

        Returns:
            The engine's mean loss on the first examples, and the reloaded model's.

        Raises:
            InputError: the losses differ by more than rounding explains.
        """
        expected = probe_loss(self.engine, self.examples)
        weights = gathered_weights(self.engine, trainable_only=self.tuned.adapter is not None)

        def write() -> float:
            assert weights is not None
            with atomic_path(target) as folder:
                write_model(folder, self.tuned, weights, self.base, self.recipe)
                write_end_tokens(folder, self.template)
                write_chat_template(folder, self.template)
                (folder / "README.md").write_text(card(), "utf-8")
                tolerance = TOLERANCE[self.recipe.precision]
                return check_export(folder, self.examples, expected, tolerance)

        return {"probe_loss": expected, "reloaded_probe_loss": run_on_rank_zero(write)}


def gathered_weights(engine: Any, *, trainable_only: bool) -> dict[str, torch.Tensor] | None:
    """Weights in the precision of training, on the CPU of rank 0; None on other ranks.

    All ranks call it together (ZeRO-3 gathers one parameter after the other).
    """
    rank = distributed.get_rank()
    weights: dict[str, torch.Tensor] = {}
    for name, parameter in engine.module.named_parameters():
        if trainable_only and not parameter.requires_grad:
            continue
        with _whole(parameter):
            if rank == 0:
                weights[name] = parameter.detach().cpu().clone()
    return weights if rank == 0 else None


@contextmanager
def _whole(parameter: torch.Tensor) -> Iterator[None]:
    """The parameter's full value, where ZeRO-3 has partitioned it."""
    if not hasattr(parameter, "ds_id"):
        yield
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters([parameter]):
        yield


def write_model(
    folder: Path,
    tuned: TunedModel,
    weights: dict[str, torch.Tensor],
    base: Path,
    recipe: Recipe,
) -> None:
    """Write weights, tokenizer and generation config (rank 0 only).

    The module can go on training afterwards. Adapters are merged into a fresh fp32 copy of the
    base and also written to `adapter/`.
    """
    folder.mkdir(parents=True)
    with stock_classes(tuned):
        if isinstance(recipe.tuning, LoraTuning):
            _merge(folder, tuned, weights, base, DTYPES[recipe.precision])
        else:
            tuned.module.save_pretrained(folder, state_dict=weights)
    read_tokenizer(base).save_pretrained(folder)


def write_end_tokens(folder: Path, template: str) -> None:
    """Add the tokens at which answers end to the `eos_token_id` of the generation config, so that a
    server stops where training did: a chat template may have its own (rank 0 only)."""
    path = folder / "generation_config.json"
    settings = read_json(path) if path.exists() else {}
    known = settings.get("eos_token_id")
    stops = [] if known is None else known if isinstance(known, list) else [known]
    added = [end for end in end_token_ids(read_tokenizer(folder), template) if end not in stops]
    if added:
        every = stops + added
        write_json(path, settings | {"eos_token_id": every if len(every) > 1 else every[0]})


def write_chat_template(folder: Path, template: str) -> None:
    """Give the tokenizer the arm's text as its chat template, where one can write it, so that a
    server's chats have the ids of training (rank 0 only)."""
    if template == CHAT:
        return
    tokenizer = read_tokenizer(folder)
    text = serving_template(tokenizer, template)
    if text is None:
        log.warning("%s: no chat template gives the ids of training; serve completions", folder)
        return
    tokenizer.chat_template = text
    tokenizer.save_pretrained(folder)


def _merge(
    folder: Path,
    tuned: TunedModel,
    weights: dict[str, torch.Tensor],
    base: Path,
    dtype: torch.dtype,
) -> None:
    from peft import PeftModel

    assert tuned.adapter is not None
    named = {f"base_model.model.{name}": value for name, value in weights.items()}
    tuned.adapter.save_pretrained(folder / "adapter", state_dict=named)
    # PEFT writes a template card without content; the model's own card stands beside it.
    (folder / "adapter" / "README.md").unlink(missing_ok=True)
    merged = PeftModel.from_pretrained(load_weights(base, torch.float32), folder / "adapter")
    merged.merge_and_unload().to(dtype).save_pretrained(folder)


def probe_loss(engine: Any, examples: Examples) -> float:
    """Mean loss of the engine's model on the first examples; all ranks compute the same."""
    engine.eval()
    with torch.no_grad():
        batch = packed_batch(_probe(examples), engine.device)
        loss = float(engine(batch=batch)) / max(1, len(batch.targets))
    engine.train()
    return loss


def _probe(examples: Examples) -> list[Any]:
    """The first examples, as many as `PROBE_TOKENS` holds, at least one."""
    chosen, total = [], 0
    for index in range(min(PROBE_EXAMPLES, len(examples))):
        tokens, spans = examples.sequence(index)
        total += len(tokens)
        if chosen and total > PROBE_TOKENS:
            break
        chosen.append((tokens, spans))
    return chosen


def stock_loss(folder: Path, examples: Examples) -> float:
    """Mean loss of the exported model on the same examples, one by one, by transformers alone."""
    model = load_weights(folder, torch.float32).eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for tokens, spans in _probe(examples):
            ids = torch.from_numpy(tokens.astype("int64"))
            logits = model(input_ids=ids[None]).logits[0]
            for start, stop in spans.tolist():
                predicted = logits[start - 1 : stop - 1]
                total += float(cross_entropy(predicted, ids[start:stop], reduction="sum"))
                count += stop - start
    return total / max(1, count)


def check_export(folder: Path, examples: Examples, expected: float, tolerance: float) -> float:
    """Reload the export and compare its loss with the engine's, within a relative tolerance.

    Returns:
        The reloaded model's loss.

    Raises:
        InputError: the losses differ by more than rounding explains.
    """
    found = stock_loss(folder, examples)
    if not math.isclose(found, expected, rel_tol=tolerance, abs_tol=1e-3):
        raise InputError(
            f"the exported model's loss is {found:.5f}, the trained one's {expected:.5f}",
            where=folder,
            fix="check disk and memory, then run the same command again: the checkpoint is kept",
        )
    return found


def train_summary(
    name: str,
    hashes: dict[str, str],
    examples: Examples,
    tuned: TunedModel,
    progress: Progress,
) -> dict[str, Any]:
    """What a run has seen so far, and from which inputs: the first part of train.json.

    Args:
        name: of the base in the study.
        hashes: SHA-256 of each file of the base and of the subset.
    """
    return {
        "base": {
            "name": name,
            "weights_sha256": weights_hash(hashes),
        },
        "data": {
            "subset_sha256": hashes["subset"],
            "examples": len(examples),
            "examples_of_a_pass": int(examples.repeats.sum()),
            "tokens": examples.counts.tokens,
            "supervised_tokens": examples.counts.supervised_tokens,
            "longest_example_tokens": examples.counts.longest,
            "prompts_cut": examples.counts.prompts_cut,
            "answers_cut": examples.counts.answers_cut,
            "tokenized_in_pieces": examples.counts.in_pieces,
        },
        "steps": progress.step,
        "skipped_steps": progress.skipped,
        "epochs": progress.examples / int(examples.repeats.sum()),
        "examples_seen": progress.examples,
        "tokens": {"total": progress.tokens, "supervised": progress.supervised},
        "phases": progress.phases,
        "loss": progress.loss_summary(),
        "parameters": {"total": tuned.parameters, "trainable": tuned.trainable},
    }


def weights_hash(hashes: dict[str, str]) -> str:
    """SHA-256 of the weights among a base's files, or of the list of their hashes."""
    weights = [f"{name} {value}" for name, value in hashes.items() if name.endswith(".safetensors")]
    return weights[0].split()[1] if len(weights) == 1 else sha256_text("\n".join(weights))


def cost_summary(
    progress: Progress, flops: FlopCounter, memory: list[int], device: torch.device
) -> dict[str, Any]:
    """What a run has cost: seconds by phase and in all, device hours, FLOPs, peak memory.

    Device hours are those of all phases and starts, and beside them those of the optimizer steps;
    what a killed start did after its last checkpoint is in neither. MFU and tokens per second are
    of the optimizer steps. MFU is null, with the reason, where no peak is known.

    Args:
        memory: peak of each rank in bytes.
    """
    ranks, gpu = len(memory), device.type == "cuda"
    seconds = {**progress.seconds, "total": sum(progress.seconds.values())}
    hours = {
        "": seconds["total"] * ranks / 3600,
        "_training": seconds["training"] * ranks / 3600,
    }
    if flops.peak is None:
        note = f"no bf16 peak is known for {device_name(device)}"
    else:
        note = f"of {flops.peak / 1e12:g} TFLOP/s dense bf16; head counted on supervised tokens"
    return {
        "seconds": seconds,
        "tokens_per_second": progress.tokens / seconds["training"],
        **{f"gpu_hours{part}": value if gpu else None for part, value in hours.items()},
        **{
            f"cpu_core_hours{part}": None if gpu else value * torch.get_num_threads()
            for part, value in hours.items()
        },
        "training_flops": flops.flops(progress),
        "mfu": flops.mfu(progress, ranks),
        "mfu_note": note,
        "peak_memory_bytes": {"per_rank": memory, "sum": sum(memory)},
    }


def device_name(device: torch.device) -> str:
    """The GPU's name, or how many cores the CPU has."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({os.cpu_count()} cores)"


def model_card(
    summary: dict[str, Any],
    provenance: dict[str, Any],
    recipe: Recipe,
    template: str,
    note: str = "",
) -> str:
    """Markdown with the hub's YAML header: where a tuned model comes from.

    Args:
        summary: see `train_summary`.
        provenance: with the run's identity.
        recipe, template: of the run.
        note: what is special about this model.
    """
    base, data, tokens = summary["base"], summary["data"], summary["tokens"]
    identity = json.dumps(provenance["identity"], indent=2, ensure_ascii=False, sort_keys=True)
    settings = json.dumps(recipe.identity(), indent=2)
    about = " ".join(filter(None, ["One run of an instruction-data scaling study.", note]))
    if recipe.batch_size is not None:
        batch = f"{recipe.batch_size} examples"
    else:
        batch = f"at most {recipe.batch_tokens} tokens"
    prompts = "Prompts are put into the tokenizer's chat template before the model continues them."
    if template != CHAT:
        prompts = (
            "Prompts are put into this template before the model continues them:\n\n"
            f"```\n{template}\n```"
        )
    return f"""---
library_name: transformers
pipeline_tag: text-generation
base_model: {base["name"]}
tags:
- instruction-tuning
- instruct-scaling
---

# {base["name"]}, tuned on {data["examples"]} instruction records

{about}

| | |
|---|---|
| base | `{base["name"]}`, SHA-256 of its weights `{base["weights_sha256"]}` |
| subset | {data["examples"]} records, SHA-256 `{data["subset_sha256"]}` |
| steps | {summary["steps"]} of {batch} ({summary["epochs"]:g} epochs) |
| tokens | {tokens["total"]} seen, {tokens["supervised"]} of them trained on |
| final loss | {summary["loss"]["last"]:.4f} {summary["loss"]["unit"]} |
| study identity | `{provenance["identity_hash"]}` |
| made by | instruct-scaling {provenance["instruct_scaling"]}, commit {provenance["commit"]} |

{prompts}

## Recipe

```json
{settings}
```

## Identity

```json
{identity}
```
"""
