"""Stage generate: a model answers every eval item.

Reads a model folder and `items.jsonl`; writes `responses.jsonl` (one `records.Response` a line, in
the order of the items) and `responses.provenance.json`. Answers are kept batch by batch in a
partial file beside the output, so that a stopped run continues where it was.

All models of an arm answer in the precision of the arm's recipe, the untuned base and intermediate
checkpoints included, whatever precision their weights are stored in: points of one curve differ in
their training alone. How a batch is answered is in `decoding`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from instruct_scaling.data.encoding import Template, cut_prompt, open_template

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

log = logging.getLogger(__name__)


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

    from instruct_scaling.evaluation.decoding import forget_decoding
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
    model = model.to(device).eval()
    forget_decoding(model)
    patch_for_generation(model)
    return model, tokenizer


def item_seed(generation_seed: int, item: str) -> int:
    """Seed of the answer to an item: the same in every batch."""
    return int(content_id(str(generation_seed), item), 16)


def item_prompts(
    model: PreTrainedModel,
    template: Template,
    items: list[EvalItem],
    options: Generate,
) -> list[list[int]]:
    """Token ids of each prompt, cut from the left (but for a start token) to what the model has
    positions for.

    Raises:
        InputError: as `prompt_room`, or the template refuses a conversation.
    """
    from instruct_scaling.evaluation.decoding import prompt_room

    prompts = [template.prompt(item.messages) for item in items]
    room = prompt_room(model, options)
    too_long = sum(len(prompt) > room for prompt in prompts) if room else 0
    if room is None or not too_long:
        return prompts
    log.warning("%d prompts are longer than %d tokens and lose their beginning", too_long, room)
    return [cut_prompt(prompt, room, template.start) for prompt in prompts]


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
    from instruct_scaling.evaluation.decoding import batches_by_length, end_ids, generate_batch

    opened = open_template(tokenizer, template)
    prompts = item_prompts(model, opened, items, options)
    ends = end_ids(model, opened.ends)
    arm, scale, seed = run
    progress = tqdm(total=len(items), desc=f"generate {arm} n{scale} s{seed}", unit="item")
    for batch in batches_by_length([*map(len, prompts)], options):
        if all(items[index].id in done for index in batch):
            progress.update(len(batch))
            continue
        answers = generate_batch(
            model,
            tokenizer,
            [prompts[index] for index in batch],
            ends,
            options,
            [item_seed(generation_seed, items[index].id) for index in batch],
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
