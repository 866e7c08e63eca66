"""Tiny random models of the architectures that the packed engine is tested with."""

from __future__ import annotations

import torch

VOCABULARY = 320
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GROUPED = {**SHAPE, "num_key_value_heads": 2}
WINDOW = {"sliding_window": 7}  # shorter than most documents of the tests
GPT2 = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512,
        "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}  # fmt: skip
FALCON = {key: value for key, value in SHAPE.items() if key != "intermediate_size"}
LAYERS = {"layer_types": ["sliding_attention", "full_attention"], **WINDOW}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 1e4, "factor": 4.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 64}  # fmt: skip

# name -> model_type and its configuration
FAMILIES = {
    "llama": ("llama", GROUPED),
    "llama, tied, biases, llama3 rotary": (
        "llama",
        {**GROUPED, "tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True,
         "rope_parameters": LLAMA3},
    ),
    "qwen2": ("qwen2", GROUPED),
    "qwen2, window": (
        "qwen2",
        {**GROUPED, **WINDOW, "use_sliding_window": True, "max_window_layers": 1,
         "tie_word_embeddings": True},
    ),
    "qwen3": ("qwen3", {**GROUPED, "head_dim": 16}),
    "gemma2": (
        "gemma2",
        {**GROUPED, **LAYERS, "head_dim": 16, "query_pre_attn_scalar": 20,
         "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
    ),
    "gemma3": ("gemma3_text", {**GROUPED, **LAYERS, "head_dim": 16, "query_pre_attn_scalar": 20}),
    "gemma3, capped logits": (
        "gemma3_text",
        {**GROUPED, **LAYERS, "head_dim": 16, "final_logit_softcapping": 3.0},
    ),
    "mistral": ("mistral", {**GROUPED, **WINDOW}),
    "mistral, no window": ("mistral", {**GROUPED, "sliding_window": None}),
    "phi3": ("phi3", {**GROUPED, "partial_rotary_factor": 0.5}),
    "phi3, window": ("phi3", {**GROUPED, **WINDOW}),
    "olmo2": ("olmo2", GROUPED),
    "gpt_neox": ("gpt_neox", SHAPE),
    "gpt_neox, sequential": ("gpt_neox", {**SHAPE, "use_parallel_residual": False}),
    "gpt2": ("gpt2", GPT2),
    "falcon, one key head": ("falcon", {**FALCON, "alibi": False, "multi_query": True}),
    "falcon, grouped": (
        "falcon",
        {**FALCON, "alibi": False, "new_decoder_architecture": True, "num_kv_heads": 2},
    ),
    "falcon, key heads": ("falcon", {**FALCON, "alibi": False, "multi_query": False, "bias": True}),
    "stablelm": ("stablelm", {**GROUPED, "partial_rotary_factor": 0.25}),
    "stablelm, norms": (
        "stablelm", {**GROUPED, "qk_layernorm": True, "use_parallel_residual": True},
    ),
    "starcoder2": ("starcoder2", {**GROUPED, **WINDOW}),
}  # fmt: skip


EXPERTS = {**GROUPED, "num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2,
           "moe_intermediate_size": 24}  # fmt: skip
NO_DROPOUT = {"attention_dropout": 0.0, "residual_dropout": 0.0}

# Packed too; tested without recomputation.
MORE_FAMILIES = {
    "arcee": ("arcee", GROUPED),
    "cohere": ("cohere", {**GROUPED, "logit_scale": 0.3}),
    "cohere2": ("cohere2", {**GROUPED, **LAYERS, "logit_scale": 0.3, "head_dim": 8}),
    "ernie4_5": ("ernie4_5", GROUPED),
    "exaone4": ("exaone4", {**GROUPED, **LAYERS, "head_dim": 8}),
    "gemma": ("gemma", {**GROUPED, "head_dim": 16}),
    "glm": ("glm", {**GROUPED, "head_dim": 8}),
    "glm4": ("glm4", {**GROUPED, "head_dim": 8}),
    "gpt_bigcode": ("gpt_bigcode", GPT2),
    "granite": (
        "granite",
        {**GROUPED, "logits_scaling": 3.0, "attention_multiplier": 0.3, "residual_multiplier": 0.5,
         "embedding_multiplier": 2.0},
    ),
    "helium": ("helium", {**GROUPED, "head_dim": 8}),
    "nemotron": ("nemotron", GROUPED),
    "olmo": ("olmo", GROUPED),
    "olmo3": ("olmo3", {**GROUPED, **LAYERS}),
    "opt": ("opt", {**SHAPE, "ffn_dim": 48, "word_embed_proj_dim": 32, "dropout": 0.0}),
    "phi, biased head": ("phi", GROUPED),
    "seed_oss": ("seed_oss", {**GROUPED, **NO_DROPOUT, "head_dim": 8}),
    "smollm3": ("smollm3", {**GROUPED, "no_rope_layers": [1, 0]}),
    "granitemoe": ("granitemoe", {**EXPERTS, "logits_scaling": 3.0}),
    "mixtral": ("mixtral", EXPERTS),
    "olmoe": ("olmoe", EXPERTS),
    "qwen2_moe": ("qwen2_moe", {**EXPERTS, "shared_expert_intermediate_size": 24}),
    "qwen3_moe": ("qwen3_moe", {**EXPERTS, "head_dim": 8}),
}  # fmt: skip

MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 4, "mamba_n_groups": 2,
         "mamba_chunk_size": 16}  # fmt: skip
# Padded: state-space, linear-attention and convolution layers, sinks, attention of their own.
PADDED_FAMILIES = {
    "falcon_h1": ("falcon_h1", {**GROUPED, **MAMBA, "mamba_d_ssm": 64}),
    "falcon with ALiBi": ("falcon", {**FALCON, "alibi": True}),
    "gpt_oss": ("gpt_oss", {**EXPERTS, **LAYERS, "head_dim": 8}),
    "gptj": ("gptj", {**GPT2, "rotary_dim": 4}),
    "mpt": ("mpt", {"vocab_size": VOCABULARY, "d_model": 32, "n_heads": 4, "n_layers": 2,
                    "max_seq_len": 512}),
    "lfm2": ("lfm2", {**GROUPED, "layer_types": ["conv", "full_attention"]}),
    "mamba2": (
        "mamba2",
        {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4,
         "num_heads": 8, "head_dim": 8, "n_groups": 2, "chunk_size": 16},
    ),
    "qwen3_next": (
        "qwen3_next",
        {**EXPERTS, "linear_num_value_heads": 4, "linear_num_key_heads": 2,
         "linear_key_head_dim": 8, "linear_value_head_dim": 8,
         "shared_expert_intermediate_size": 24,
         "layer_types": ["linear_attention", "full_attention"]},
    ),
}  # fmt: skip
EVERY_FAMILY = FAMILIES | MORE_FAMILIES | PADDED_FAMILIES


def tiny(name, seed=0, scale=4.0, **changes):
    """Random weights, larger than the usual initial ones, so that attention is not uniform."""
    from transformers import AutoConfig, AutoModelForCausalLM

    model_type, settings = EVERY_FAMILY[name]
    torch.manual_seed(seed)
    config = AutoConfig.for_model(model_type, **settings | changes)
    return enlarged(AutoModelForCausalLM.from_config(config).float(), scale)


def enlarged(model, scale):
    """The model with larger weights than the usual initial ones, so that attention is not uniform,
    and biases and norms that are not all alike."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(scale)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model
