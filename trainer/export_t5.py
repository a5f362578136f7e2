"""A trained encoder-decoder in the terms of transformers' ``T5ForConditionalGeneration``.

Only models made of T5's parts have one: relative positions, RMSNorm before each layer, as many heads of keys as of
queries. Tied embeddings are v1.0's, whose logits are divided by the root of the width; a free output layer is v1.1's.
T5 does not divide scores by the root of the head's width, so that goes into its query weights. Our GELU is the exact
one, under the name that transformers has for it; T5's own models take an approximation by tanh.
"""

from __future__ import annotations

import math

import numpy as np

from trainer.model_config import ModelConfig
from trainer.trained_model import TrainedModel

T5_PARTS: dict[str, object] = {
    "position": "relative",
    "norm": "rmsnorm",
    "norm_placement": "pre",
    "num_kv_heads": None,
    "qk_norm": False,
    "num_experts": None,
    "sliding_window_tokens": None,
}
"""What T5 is made of, in the terms of ``ModelConfig``."""

_ACTIVATIONS = {
    "relu": "relu",
    "gelu": "gelu",
    "swiglu": "gated-silu",
    "geglu": "gated-gelu_python",
    "reglu": "gated-relu",
}


def t5_config(model: TrainedModel) -> dict[str, object]:
    """``config.json``; the decoder begins with the end-of-text token, which also fills rows up."""
    config = model.network.config
    return {
        "architectures": ["T5ForConditionalGeneration"],
        "model_type": "t5",
        "is_encoder_decoder": True,
        "d_model": config.hidden_size,
        "d_kv": config.head_size,
        "d_ff": config.ffn_size,
        "num_layers": config.num_layers,
        "num_decoder_layers": config.decoder_layers,
        "num_heads": config.num_heads,
        "relative_attention_num_buckets": config.relative_buckets,
        "relative_attention_max_distance": config.relative_max_distance,
        "layer_norm_epsilon": config.norm_epsilon,
        "feed_forward_proj": _ACTIVATIONS[config.activation],
        "dropout_rate": 0.0,
        "tie_word_embeddings": config.tie_embeddings,
        "vocab_size": model.network.embedding.num_embeddings,
        "decoder_start_token_id": model.eos_token_id,
        "pad_token_id": model.eos_token_id,
        "eos_token_id": model.eos_token_id,
        "dtype": "float32",
    }


def t5_arrays(arrays: dict[str, np.ndarray], config: ModelConfig) -> dict[str, np.ndarray]:
    """Our arrays under T5's names, the joint matrices cut apart."""
    renamed = {"shared.weight": arrays["embedding.weight"]}
    if not config.tie_embeddings:
        renamed["lm_head.weight"] = arrays["unembedding.weight"]
    for side, num_layers in (("encoder", config.num_layers), ("decoder", config.decoder_layers)):
        renamed[f"{side}.final_layer_norm.weight"] = arrays[f"{side}.final_norm.weight"]
        bias = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        renamed[bias] = arrays[f"{side}.relative_bias.values.weight"]
        for number in range(num_layers):
            ours, theirs = f"{side}.blocks.{number}", f"{side}.block.{number}.layer"
            joint = np.split(arrays[f"{ours}.attention.query_key_value.weight"], 3)
            renamed |= _attention(f"{theirs}.0", "SelfAttention", joint, f"{ours}.attention", arrays, config)
            last = 1
            if side == "decoder":
                last, cross = 2, f"{ours}.cross_attention"
                joint = [arrays[f"{cross}.query.weight"], *np.split(arrays[f"{cross}.key_value.weight"], 2)]
                renamed |= _attention(f"{theirs}.1", "EncDecAttention", joint, cross, arrays, config)
            renamed |= _feed_forward(f"{theirs}.{last}", f"{ours}.feed_forward", arrays, config)
    return renamed


def _attention(
    theirs: str, kind: str, joint: list[np.ndarray], ours: str, arrays: dict[str, np.ndarray], config: ModelConfig
) -> dict[str, np.ndarray]:
    query, key, value = joint
    return {
        f"{theirs}.{kind}.q.weight": query / np.float32(math.sqrt(config.head_size)),
        f"{theirs}.{kind}.k.weight": key,
        f"{theirs}.{kind}.v.weight": value,
        f"{theirs}.{kind}.o.weight": arrays[f"{ours}.output.weight"],
        f"{theirs}.layer_norm.weight": arrays[f"{ours}_norm.weight"],
    }


def _feed_forward(theirs: str, ours: str, arrays: dict[str, np.ndarray], config: ModelConfig) -> dict[str, np.ndarray]:
    dense = f"{theirs}.DenseReluDense"
    renamed = {
        f"{dense}.wo.weight": arrays[f"{ours}.output.weight"],
        f"{theirs}.layer_norm.weight": arrays[f"{ours}_norm.weight"],
    }
    if not config.is_gated:
        return renamed | {f"{dense}.wi.weight": arrays[f"{ours}.up.weight"]}
    gate, up = np.split(arrays[f"{ours}.gate_up.weight"], 2)
    return renamed | {f"{dense}.wi_0.weight": gate, f"{dense}.wi_1.weight": up}
