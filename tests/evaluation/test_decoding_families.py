"""Tiny random models of many families answer in batches as each prompt would alone."""

from __future__ import annotations

import random

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.records import EvalItem
from instruct_scaling.config.evaluation import Generate
from instruct_scaling.data.encoding import open_template
from instruct_scaling.evaluation import decoding
from instruct_scaling.evaluation.generate import item_prompts
from instruct_scaling.models.packed.generation import patch_for_generation
from tests.data.text_families import make_tokenizer

VOCABULARY, PLACES, NEW, END = 300, 64, 12, 2
ROTARY = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": PLACES,
}
WINDOWS = {
    "head_dim": 8,
    "sliding_window": 6,
    "layer_types": ["sliding_attention", "full_attention"],
}
FAMILIES = {
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": PLACES},
    "gpt_neox": {key: value for key, value in ROTARY.items() if key != "num_key_value_heads"},
    "llama": ROTARY,
    "qwen2": ROTARY,
    "qwen3": ROTARY | {"head_dim": 8},
    "olmo2": ROTARY,
    "starcoder2": ROTARY,
    "mistral": ROTARY | {"sliding_window": 6},
    "gemma2": ROTARY | WINDOWS,
    "gemma3_text": ROTARY | WINDOWS,
}


def tiny(family):
    """A random model whose scores are far enough apart that no rounding decides."""
    torch.manual_seed(0)
    shape = {"vocab_size": VOCABULARY, "bos_token_id": 1, "eos_token_id": END, "pad_token_id": None}
    config = AutoConfig.for_model(family, **FAMILIES[family], **shape, initializer_range=0.2)
    return AutoModelForCausalLM.from_config(config).float().eval()


class Ids:
    """Stands for a tokenizer without a padding token: an answer is its ids."""

    pad_token_id = None

    def decode(self, ids, skip_special_tokens):
        return " ".join(map(str, ids))


def one_by_one(model, prompt):
    """Greedy decoding without padding, batch or cache."""
    ids, answer = list(prompt), []
    with torch.inference_mode():
        while len(answer) < NEW and ids[-1:] != [END]:
            logits = model(torch.tensor([ids]), use_cache=False).logits[0, -1]
            answer.append(int(logits.argmax()))
            ids.append(answer[-1])
    return answer


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_equal_in_batches_of_one_and_eight_and_without_a_batch(family):
    draw = random.Random(0)
    lengths = [1, 30, 3, 12, 7, 19, 4, 9]
    prompts = [[draw.randrange(5, VOCABULARY) for _ in range(length)] for length in lengths]
    model = tiny(family)
    wanted = [one_by_one(model, prompt) for prompt in prompts]
    assert len({tuple(answer) for answer in wanted}) > 4  # the prompts decide
    decoding.forget_decoding(model)
    patch_for_generation(model)

    def answers(size):
        options = Generate(max_new_tokens=NEW, batch_size=size)
        found = {}
        for batch in decoding.batches_by_length(lengths, options):
            some = [prompts[index] for index in batch]
            made = decoding.generate_batch(model, Ids(), some, [END], options, batch)
            found |= dict(zip(batch, made, strict=True))
        return [found[index] for index in range(len(prompts))]

    alone, together = answers(1), answers(8)
    assert together == alone
    for answer, ids in zip(together, wanted, strict=True):
        text = ids[:-1] if ids[-1] == END else ids
        assert answer.text == " ".join(map(str, text))
        assert (answer.tokens, answer.finish) == (len(ids), "stop" if ids[-1] == END else "length")


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_prompt_has_the_places_that_the_answer_leaves(family):
    model = tiny(family)
    options = Generate(max_new_tokens=NEW)
    assert decoding.prompt_room(model, options) == PLACES - NEW
    assert decoding.prompt_room(tiny("bloom"), options) is None
    with pytest.raises(InputError, match="leaves no place for a prompt"):
        decoding.prompt_room(model, Generate(max_new_tokens=PLACES))


def test_a_prompt_beyond_the_models_places_loses_its_beginning_but_its_start_token(caplog):
    tokenizer = make_tokenizer("llama3")
    template = open_template(tokenizer, "{prompt}\nAnswer:")
    items = [EvalItem.make("math", "the cat sat on the mat " * times) for times in (1, 40)]
    short, long = item_prompts(tiny("gpt2"), template, items, Generate(max_new_tokens=NEW))
    whole = template.prompt(items[1].messages)
    assert short == template.prompt(items[0].messages)
    assert len(long) == PLACES - NEW < len(whole)
    assert long[0] == tokenizer.bos_token_id
    assert long[1:] == whole[1 - len(long) :]
    assert "1 prompts are longer than 52 tokens" in caplog.text
