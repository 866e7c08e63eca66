"""Chat templates after the traits of ten families, with tiny tokenizers made here.

`expected` is what each must make of `TALK`, written out: texts that are not supervised and texts
that are, in turn.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from instruct_scaling.common.records import Message

TALK = (
    Message("system", "Be brief."),
    Message("user", "Hi"),
    Message("assistant", "Hello!"),
    Message("user", "你好 twice"),
    Message("assistant", "你好\n你好"),
)


@dataclass(frozen=True)
class Family:
    """One kind of template with the special tokens of its tokenizer.

    `stable_system`: false where the place of the system message depends on the later turns.
    `expected` is of `TALK` without its system message where that is so.
    """

    name: str
    template: str
    special: tuple[str, ...]
    eos: str
    end: str
    expected: tuple[str, ...]
    bos: str | None = None
    metaspace: bool = False
    rstrip: bool = False
    stable_system: bool = True

    @property
    def talk(self) -> tuple[Message, ...]:
        """The conversation that `expected` is of."""
        return TALK if self.stable_system else TALK[1:]


FAMILIES = [
    Family(
        "chatml",
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        eos="<|endoftext|>",
        end="<|im_end|>",
        expected=(
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
            "<|im_start|>assistant\n",
            "Hello!<|im_end|>",
            "\n<|im_start|>user\n你好 twice<|im_end|>\n<|im_start|>assistant\n",
            "你好\n你好<|im_end|>",
            "\n",
        ),
    ),
    Family(  # marks around the role, start token written by the template
        "llama3",
        "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
        "{{ m.content | trim }}<|eot_id|>{% endfor %}"
        "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n"
        "{% endif %}",
        (
            "<|begin_of_text|>",
            "<|end_of_text|>",
            "<|start_header_id|>",
            "<|end_header_id|>",
            "<|eot_id|>",
        ),
        bos="<|begin_of_text|>",
        eos="<|end_of_text|>",
        end="<|eot_id|>",
        expected=(
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
            "Hello!<|eot_id|>",
            "<|start_header_id|>user<|end_header_id|>\n\n你好 twice<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
            "你好\n你好<|eot_id|>",
        ),
    ),
    Family(  # the system message within the first user turn
        "llama2",
        "{% if messages[0].role == 'system' %}{% set rest = messages[1:] %}"
        "{% set system = '<<SYS>>\n' + messages[0].content + '\n<</SYS>>\n\n' %}"
        "{% else %}{% set rest = messages %}{% set system = '' %}{% endif %}"
        "{% for m in rest %}{% if m.role == 'user' %}"
        "{{ bos_token }}[INST] {{ system if loop.first else '' }}{{ m.content }} [/INST]"
        "{% else %} {{ m.content }} {{ eos_token }}{% endif %}{% endfor %}",
        ("<s>", "</s>"),
        bos="<s>",
        eos="</s>",
        end="</s>",
        metaspace=True,
        expected=(
            "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST]",
            " Hello! </s>",
            "<s>[INST] 你好 twice [/INST]",
            " 你好\n你好 </s>",
        ),
    ),
    Family(  # the assistant is called model
        "gemma",
        "{{ bos_token }}{% if messages[0].role == 'system' %}{% set rest = messages[1:] %}"
        "{% set system = messages[0].content + '\n\n' %}"
        "{% else %}{% set rest = messages %}{% set system = '' %}{% endif %}"
        "{% for m in rest %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
        "{{ system if loop.first else '' }}{{ m.content | trim }}<end_of_turn>\n{% endfor %}"
        "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}",
        ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
        bos="<bos>",
        eos="<eos>",
        end="<end_of_turn>",
        metaspace=True,
        expected=(
            "<bos><start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\n",
            "Hello!<end_of_turn>",
            "\n<start_of_turn>user\n你好 twice<end_of_turn>\n<start_of_turn>model\n",
            "你好\n你好<end_of_turn>",
            "\n",
        ),
    ),
    Family(  # thinking is removed from earlier turns
        "qwen3",
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{% if m.role == 'assistant' and not loop.last and '</think>' in m.content %}"
        "{{ m.content.split('</think>')[-1].lstrip('\n') }}{% else %}{{ m.content }}{% endif %}"
        "<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"),
        eos="<|im_end|>",
        end="<|im_end|>",
        expected=(
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
            "<|im_start|>assistant\n",
            "Hello!<|im_end|>",
            "\n<|im_start|>user\n你好 twice<|im_end|>\n<|im_start|>assistant\n",
            "你好\n你好<|im_end|>",
            "\n",
        ),
    ),
    Family(  # the system message within the last user turn
        "mistral",
        "{{ bos_token }}{% if messages[0].role == 'system' %}{% set rest = messages[1:] %}"
        "{% set system = messages[0].content + '\n\n' %}"
        "{% else %}{% set rest = messages %}{% set system = '' %}{% endif %}"
        "{% set last = rest | selectattr('role', 'equalto', 'user') | list | last %}"
        "{% for m in rest %}{% if m.role == 'user' %}"
        "[INST] {{ system if m == last else '' }}{{ m.content }}[/INST]"
        "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}",
        ("<s>", "</s>", "[INST]", "[/INST]"),
        bos="<s>",
        eos="</s>",
        end="</s>",
        metaspace=True,
        stable_system=False,
        expected=(
            "<s>[INST] Hi[/INST]",
            " Hello!</s>",
            "[INST] 你好 twice[/INST]",
            " 你好\n你好</s>",
        ),
    ),
    Family(  # marks that take the white space after them, an end token after the whole
        "phi3",
        "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}",
        ("<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
        eos="<|endoftext|>",
        end="<|end|>",
        metaspace=True,
        rstrip=True,
        expected=(
            "<|system|>\nBe brief.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\n",
            "Hello!<|end|>\n",
            "<|user|>\n你好 twice<|end|>\n<|assistant|>\n",
            "你好\n你好<|end|>\n",
            "<|endoftext|>",
        ),
    ),
    Family(  # a line break after the end token; marks that are plain text
        "zephyr",
        "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{{ eos_token }}\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% endif %}",
        ("<s>", "</s>"),
        bos="<s>",
        eos="</s>",
        end="</s>",
        expected=(
            "<|system|>\nBe brief.</s>\n<|user|>\nHi</s>\n<|assistant|>\n",
            "Hello!</s>",
            "\n<|user|>\n你好 twice</s>\n<|assistant|>\n",
            "你好\n你好</s>",
            "\n",
        ),
    ),
    Family(  # a system message without marks
        "deepseek",
        "{{ bos_token }}{% for m in messages %}"
        "{% if m.role == 'system' %}{{ m.content }}"
        "{% elif m.role == 'user' %}<｜User｜>{{ m.content }}"
        "{% else %}<｜Assistant｜>{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<｜Assistant｜>{% endif %}",
        ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"),
        bos="<｜begin▁of▁sentence｜>",
        eos="<｜end▁of▁sentence｜>",
        end="<｜end▁of▁sentence｜>",
        expected=(
            "<｜begin▁of▁sentence｜>Be brief.<｜User｜>Hi<｜Assistant｜>",
            "Hello!<｜end▁of▁sentence｜>",
            "<｜User｜>你好 twice<｜Assistant｜>",
            "你好\n你好<｜end▁of▁sentence｜>",
        ),
    ),
    Family(  # no marks at all
        "falcon",
        "{% for m in messages %}"
        "{% if m.role == 'system' %}{{ m.content }}\n\n"
        "{% elif m.role == 'user' %}User: {{ m.content }}\n\n"
        "{% else %}Assistant: {{ m.content }}{{ eos_token }}\n\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}Assistant:{% endif %}",
        ("<|endoftext|>",),
        eos="<|endoftext|>",
        end="<|endoftext|>",
        expected=(
            "Be brief.\n\nUser: Hi\n\nAssistant:",
            " Hello!<|endoftext|>",
            "\n\nUser: 你好 twice\n\nAssistant:",
            " 你好\n你好<|endoftext|>",
            "\n\n",
        ),
    ),
]
BY_NAME = {family.name: family for family in FAMILIES}

CORPUS = [
    "User: Say hello! Assistant: Hello! Hello there, this is the answer.",
    "system user assistant model answer <|user|>\nHi\n<|assistant|>\nHello\n\nHi",
    "[INST] <<SYS>>\n Be brief. \n<</SYS>>\n\nHi [/INST] Hello!",
    "你好 你好\n你好 twice. 你好，世界。",
] * 4


@cache
def make_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """The tokenizer of a family, with its chat template."""
    family = BY_NAME[name]
    tokenizer = _metaspace() if family.metaspace else _byte_level()
    tokenizer.add_special_tokens(
        [
            AddedToken(token, special=True, normalized=False, rstrip=family.rstrip)
            for token in family.special
        ]
    )
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=family.bos,
        eos_token=AddedToken(family.eos, special=True, normalized=False, rstrip=family.rstrip),
        clean_up_tokenization_spaces=False,
    )
    made.chat_template = family.template
    return made


def _trained(tokenizer: Tokenizer, alphabet: list[str]) -> Tokenizer:
    trainer = trainers.BpeTrainer(
        vocab_size=450, initial_alphabet=alphabet, special_tokens=["<unk>"], show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def _byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return _trained(tokenizer, pre_tokenizers.ByteLevel.alphabet())


def _metaspace() -> Tokenizer:
    """As SentencePiece's: a space before the text, unknown characters as bytes."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("\n", "isolated"), pre_tokenizers.Metaspace(prepend_scheme="first")]
    )
    model: dict[str, Any] = json.loads(_trained(tokenizer, []).to_str())["model"]
    vocabulary = dict(model["vocab"])
    for byte in range(256):
        vocabulary.setdefault(f"<0x{byte:02X}>", len(vocabulary))
    tokenizer.model = models.BPE(
        vocab=vocabulary,
        merges=[tuple(pair) for pair in model["merges"]],
        unk_token="<unk>",
        byte_fallback=True,
        fuse_unk=True,
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return tokenizer
