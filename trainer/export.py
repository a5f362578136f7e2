"""A trained model for transformers: ``config.json`` and ``model.safetensors``.

A decoder made of Llama's parts becomes a ``LlamaForCausalLM``: rotary positions, RMSNorm before each layer, SwiGLU, no
parallel blocks, experts, windows or norms of queries and keys. An encoder-decoder made of T5's becomes a
``T5ForConditionalGeneration`` (``export_t5.py``). The tests read both back with transformers and compare logits.
"""

from __future__ import annotations

import numpy as np

from pipeline import storage
from pipeline.errors import ConfigError
from trainer.export_t5 import T5_PARTS, t5_arrays, t5_config
from trainer.model_config import ModelConfig
from trainer.safetensors_file import write_safetensors
from trainer.trained_model import TrainedModel

_LLAMA_PARTS: dict[str, object] = {
    "position": "rope",
    "norm": "rmsnorm",
    "norm_placement": "pre",
    "activation": "swiglu",
    "qk_norm": False,
    "parallel_block": None,
    "num_experts": None,
    "sliding_window_tokens": None,
}
"""What Llama is made of, in the terms of ``ModelConfig``."""


def export_model(model: TrainedModel, folder: str, *, tokenizer: str | None = None) -> None:
    """Write ``config.json``, ``model.safetensors`` and, where given, ``tokenizer.json`` to ``folder``.

    Raises:
        ConfigError: naming the part of the model that Llama or T5 lacks.
    """
    config = model.network.config
    arrays = {name: array.detach().cpu().numpy() for name, array in model.network.state_dict().items()}
    if config.kind == "encoder_decoder":
        _check_parts(config, T5_PARTS, "T5")
        described, renamed = t5_config(model), t5_arrays(arrays, config)
    else:
        _check_parts(config, _LLAMA_PARTS, "Llama")
        described, renamed = _llama_config(model), _llama_arrays(arrays, config)
    write_safetensors(storage.join(folder, "model.safetensors"), renamed)
    storage.write_json(storage.join(folder, "config.json"), described)
    if tokenizer is not None:
        storage.write_bytes(storage.join(folder, "tokenizer.json"), storage.read_bytes(tokenizer))


def _check_parts(config: ModelConfig, parts: dict[str, object], target: str) -> None:
    for name, expected in parts.items():
        found = getattr(config, name)
        if found != expected:
            raise ConfigError(f"{name}={found!r} cannot be exported; {target} has {name}={expected!r}; train with that")


def _llama_config(model: TrainedModel) -> dict[str, object]:
    config = model.network.config
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": config.hidden_size,
        "intermediate_size": config.ffn_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_size,
        "max_position_embeddings": config.context_tokens,
        "rms_norm_eps": config.norm_epsilon,
        "rope_theta": config.rope_base,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_base},
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": config.tie_embeddings,
        "vocab_size": model.network.embedding.num_embeddings,
        "bos_token_id": model.eos_token_id,
        "eos_token_id": model.eos_token_id,
        "dtype": "float32",
    }


def _llama_arrays(arrays: dict[str, np.ndarray], config: ModelConfig) -> dict[str, np.ndarray]:
    """Our arrays under Llama's names, the joint matrices cut apart."""
    head, kv = config.num_heads * config.head_size, config.kv_heads * config.head_size
    renamed = {
        "model.embed_tokens.weight": arrays["embedding.weight"],
        "model.norm.weight": arrays["final_norm.weight"],
    }
    if not config.tie_embeddings:
        renamed["lm_head.weight"] = arrays["unembedding.weight"]
    for number in range(config.num_layers):
        ours, theirs = f"blocks.{number}", f"model.layers.{number}"
        query, key, value = np.split(arrays[f"{ours}.attention.query_key_value.weight"], [head, head + kv])
        gate, up = np.split(arrays[f"{ours}.feed_forward.gate_up.weight"], 2)
        renamed |= {
            f"{theirs}.self_attn.q_proj.weight": query,
            f"{theirs}.self_attn.k_proj.weight": key,
            f"{theirs}.self_attn.v_proj.weight": value,
            f"{theirs}.self_attn.o_proj.weight": arrays[f"{ours}.attention.output.weight"],
            f"{theirs}.mlp.gate_proj.weight": gate,
            f"{theirs}.mlp.up_proj.weight": up,
            f"{theirs}.mlp.down_proj.weight": arrays[f"{ours}.feed_forward.output.weight"],
            f"{theirs}.input_layernorm.weight": arrays[f"{ours}.attention_norm.weight"],
            f"{theirs}.post_attention_layernorm.weight": arrays[f"{ours}.feed_forward_norm.weight"],
        }
    return renamed
