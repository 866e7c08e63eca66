"""Tokenizers after the traits of families, tiny and made here: what stands before a text, and how
the start of a text is written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

CORPUS = [
    "Human: the cat sat on the mat. Assistant: the answer is the cat.",
    "### Instruction:\nSay hello\n\n### Response:\nHello! the answer is 42 or 1234.",
    '你好 你好\n你好 twice. 你好，世界。 User: Hi\n\nHello there, (the) "Hello" answer',
] * 4
LETTERS = sorted(set("".join(CORPUS)) | set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"


@dataclass(frozen=True)
class TextFamily:
    """One kind of tokenizer. `before` and `after`: what its post-processor sets around a text."""

    name: str
    kind: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    end: str = "</s>"
    bos: str | None = None


FAMILIES = [
    TextFamily("bloom", "bloom", bos="<s>"),
    TextFamily("gpt2", "gpt2", end="<|endoftext|>", bos="<|endoftext|>"),
    TextFamily("qwen", "llama3", end="<|im_end|>"),
    TextFamily("llama3", "llama3", ("<|begin|>",), end="<|end|>", bos="<|begin|>"),
    TextFamily("llama2", "prepend", ("<s>",), bos="<s>"),
    TextFamily("mistral", "first", ("<s>",), bos="<s>"),
    TextFamily("gemma", "gemma", ("<bos>",), end="<eos>", bos="<bos>"),
    TextFamily("always", "always", ("<s>",), bos="<s>"),
    TextFamily("prefix-space", "prefix-space", bos="<s>"),
    TextFamily("both-ends", "gpt2", ("<s>",), ("</s>",), bos="<s>"),
    TextFamily("opt", "gpt2", ("</s>",), bos="</s>"),
]
BY_NAME = {family.name: family for family in FAMILIES}


@cache
def make_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """The tokenizer of a family."""
    family = BY_NAME[name]
    special = list(dict.fromkeys([*family.before, *family.after, family.end, family.bos or "<s>"]))
    tokenizer = _trained(family.kind, special)
    if family.before or family.after:
        known = {token: tokenizer.token_to_id(token) for token in family.before + family.after}
        tokenizer.post_processor = processors.TemplateProcessing(
            single=[*family.before, "$A", *family.after], special_tokens=list(known.items())
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=family.bos,
        eos_token=family.end,
        clean_up_tokenization_spaces=False,
    )


def _trained(kind: str, special: list[str]) -> Tokenizer:
    """A BPE of 500 pieces, of this kind."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    spaces = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
    stripped = decoders.Sequence([spaces, decoders.Strip(" ", 1, 0)])
    match kind:
        case "prepend":
            normal = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
            tokenizer.normalizer = normalizers.Sequence(normal)
            tokenizer.pre_tokenizer = _lines()
            tokenizer.decoder = stripped
        case "gemma":
            tokenizer.normalizer = normalizers.Replace(" ", "▁")
            words = pre_tokenizers.Split(" ", "merged_with_previous")
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, _lines()])
            tokenizer.decoder = spaces
        case "first" | "always":
            metaspace = pre_tokenizers.Metaspace(prepend_scheme=kind)
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence([metaspace, _lines()])
            tokenizer.decoder = stripped
        case _:
            pattern = {"llama3": LLAMA3, "bloom": BLOOM}.get(kind, GPT2)
            split = pre_tokenizers.Split(Regex(pattern), "isolated")
            prefix = kind == "prefix-space"
            bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=prefix)
            tokenizer.pre_tokenizer = bytes_ if prefix else pre_tokenizers.Sequence([split, bytes_])
            tokenizer.decoder = decoders.ByteLevel()
            tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet() if kind in _BYTES else [*LETTERS, "▁"]
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        initial_alphabet=alphabet,
        special_tokens=["<unk>", *special],
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


_BYTES = ("bloom", "gpt2", "llama3", "prefix-space")


def _lines() -> pre_tokenizers.PreTokenizer:
    """A line break is a piece of its own."""
    return pre_tokenizers.Split("\n", "isolated")
