"""Stage generate: a model answers every eval item.

Reads a model folder and `items.jsonl`; writes `responses.jsonl` (one `records.Response` a line, in
the order of the items) and `responses.provenance.json`. Answers are kept batch by batch in a
partial file beside the output, so that a stopped run continues where it was.

All models of an arm answer in the precision of the arm's recipe, the untuned base and intermediate
checkpoints included, whatever precision their weights are stored in: points of one curve differ in
their training alone.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from tqdm import tqdm

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import sha256_file, write_json, write_jsonl
from instruct_scaling.common.provenance import identity_hash, provenance
from instruct_scaling.common.records import EvalItem, Response, content_id, read_items
from instruct_scaling.common.versions import STAGE_VERSIONS
from instruct_scaling.config.evaluation import Generate
from instruct_scaling.config.recipe import Precision
from instruct_scaling.config.section import parse_section
from instruct_scaling.data.encoding import open_template

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """The text generated for one prompt. `tokens` counts the end token."""

    text: str
    prompt_tokens: int
    tokens: int
    finish: str


def batches_by_length(lengths: list[int], batch_size: int) -> list[list[int]]:
    """Indices in batches of like length, longest first (memory runs out at once or never).

    Ties keep the given order, so that the batches depend on the lengths alone.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def generate_batch(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[list[int]],
    ends: list[int],
    options: Generate,
    seed: int,
) -> list[Answer]:
    """Answer one batch of prompts.

    Args:
        prompts: token ids of each.
        ends: ids at which an answer stops; the one that stopped it is no part of the text.
        seed: seed of this batch; greedy decoding does not use it.
    """
    import torch

    inputs = tokenizer.pad(
        {"input_ids": prompts}, padding=True, padding_side="left", return_tensors="pt"
    ).to(model.device)
    sampling: dict[str, Any] = {"do_sample": False}
    if options.temperature > 0:
        sampling = {
            "do_sample": True,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "top_k": 0,
        }
    torch.manual_seed(seed)
    with torch.inference_mode():
        output = model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            max_new_tokens=options.max_new_tokens,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=ends,
            **sampling,
        )
    width = inputs["input_ids"].shape[1]
    prompt_lengths = inputs["attention_mask"].sum(dim=1).tolist()
    answers = []
    for row, prompt_tokens in zip(output[:, width:].tolist(), prompt_lengths, strict=True):
        end = next((index for index, token in enumerate(row) if token in ends), None)
        text = tokenizer.decode(row[:end], skip_special_tokens=True).strip()
        length, finish = (len(row), "length") if end is None else (end + 1, "stop")
        answers.append(Answer(text, prompt_tokens, length, finish))
    return answers


def read_partial(path: Path) -> dict[str, Response]:
    """Responses of an earlier, stopped attempt by item id; an incomplete last line is dropped."""
    if not path.exists():
        return {}
    done: dict[str, Response] = {}
    for line in path.read_text("utf-8").split("\n"):
        try:
            response = Response(**json.loads(line))
        except (json.JSONDecodeError, TypeError):
            continue
        done[response.item] = response
    return done


def load_model(path: Path, precision: Precision) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model (on a GPU if there is one) and tokenizer of a folder; safetensors only. A BLOOM gets
    the attention of its training (`generation.patch_for_generation`).

    Args:
        precision: of weights and arithmetic, whatever the folder's weights are stored in.

    Raises:
        InputError: the folder holds no model that transformers can load; fp16 without a GPU.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as hf_logging

    from instruct_scaling.models.packed.generation import patch_for_generation

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if precision == "fp16" and device == "cpu":
        raise InputError("fp16 needs a GPU", where="--precision", fix="use bf16 or fp32 on a CPU")
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    hf_logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        model = AutoModelForCausalLM.from_pretrained(path, use_safetensors=True, dtype=dtype)
    except (OSError, ValueError) as error:
        raise InputError(f"no model can be loaded from here ({error})", where=path) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = model.to(device).eval()
    patch_for_generation(model)
    return model, tokenizer


def answer_all(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    items: list[EvalItem],
    template: str,
    options: Generate,
    generation_seed: int,
    run: tuple[str, int, int],
    done: dict[str, Response],
) -> Iterator[list[Response]]:
    """Yield the responses of each batch; batches that are wholly done are skipped.

    Args:
        run: arm, scale and seed label.
        done: responses of an earlier attempt, by item id.
    """
    opened = open_template(tokenizer, template)
    prompts = [opened.prompt(item.messages) for item in items]
    arm, scale, seed = run
    progress = tqdm(total=len(items), desc=f"generate {arm} n{scale} s{seed}", unit="item")
    for number, batch in enumerate(batches_by_length([*map(len, prompts)], options.batch_size)):
        if all(items[index].id in done for index in batch):
            progress.update(len(batch))
            continue
        answers = generate_batch(
            model,
            tokenizer,
            [prompts[index] for index in batch],
            opened.ends,
            options,
            (generation_seed + number) & 0x7FFFFFFF,
        )
        responses = []
        for index, answer in zip(batch, answers, strict=True):
            item = items[index]
            responses.append(
                Response(
                    id=content_id(arm, str(scale), str(seed), item.id, answer.text),
                    item=item.id,
                    category=item.category,
                    arm=arm,
                    scale=scale,
                    seed=seed,
                    text=answer.text,
                    prompt_tokens=answer.prompt_tokens,
                    tokens=answer.tokens,
                    finish=answer.finish,
                )
            )
        progress.update(len(batch))
        yield responses
    progress.close()


def generate(
    model: Annotated[Path, typer.Option(help="Model folder.")],
    items: Annotated[Path, typer.Option(help="Eval items (items.jsonl).")],
    arm: Annotated[str, typer.Option(help="Arm of the run.")],
    scale: Annotated[int, typer.Option(help="Scale of the run; 0 is the base.")],
    seed_label: Annotated[int, typer.Option(help="Replicate of the run.")],
    generate: Annotated[str, typer.Option(help="The study's `generate` section as JSON.")],
    template: Annotated[str, typer.Option(help="Text around a prompt, with {prompt}, or `chat`.")],
    precision: Annotated[Precision, typer.Option(help="Precision of the arm's recipe.")],
    generation_seed: Annotated[int, typer.Option(help="Seed of the sampling.")],
    out: Annotated[Path, typer.Option(help="Responses to write (responses.jsonl).")],
) -> None:
    """Let a model answer every eval item."""
    options = parse_section(Generate, generate, "--generate")
    questions = list(read_items(items).values())
    inputs = {"model": sha256_file(model), "items": sha256_file(items)}
    identity = {
        "arm": arm,
        "scale": scale,
        "seed": seed_label,
        "generate": options.model_dump(mode="json"),
        "template": template,
        "precision": precision,
        "generation_seed": generation_seed,
    }
    key = identity_hash([STAGE_VERSIONS["generate"], identity, inputs])
    partial = out.with_name(f".{out.name}.{key}.partial")
    out.parent.mkdir(parents=True, exist_ok=True)
    done = read_partial(partial)
    if done:
        log.info("continuing after %d of %d items", len(done), len(questions))
    network, tokenizer = load_model(model, precision)
    run = (arm, scale, seed_label)
    with partial.open("a", encoding="utf-8") as handle:
        # An incomplete last line of a killed attempt must not run into the next one.
        handle.write("\n")
        for responses in answer_all(
            network, tokenizer, questions, template, options, generation_seed, run, done
        ):
            for response in responses:
                handle.write(json.dumps(response.to_row(), ensure_ascii=False) + "\n")
                done[response.item] = response
            handle.flush()
    write_jsonl(out, [done[item.id].to_row() for item in questions])
    write_json(out.with_name("responses.provenance.json"), provenance("generate", identity, inputs))
    partial.unlink()
