"""Counting parameters and floating-point operations, and what share of a device's peak a run uses.

Two counts of compute are kept apart, because both are called C in the literature:

* ``training_flops`` is 6 N D (Kaplan et al. 2020, Hoffmann et al. 2022): what scaling fits are written in.
* ``flops_per_token`` counts what the device multiplies, the output layer and attention included: what utilisation is
  measured with. Leaving the output layer out bends scaling fits at small sizes (Porian et al. 2024, section 3.2).

MFU = tokens/s x flops_per_token / peak FLOP/s (Chowdhery et al. 2022, PaLM, appendix B: attention is counted whole,
without the halving that a causal kernel could claim, and recomputation is not counted).

In an encoder-decoder a token meets the weights of one side alone: for a sequence of E encoder and D decoder positions
6 (N_E E + N_D D) takes the place of 6 N C, after which an encoder-decoder of twice a decoder's weights costs as much
as it does (Raffel et al. 2020, section 3.2.2). N_E are the encoder's weights and the keys and values of the decoder's
attention to it, worked out at its positions; N_D are the rest. Attention adds 12 width (L_E E^2 + L_D D (D + E)).
"""

from __future__ import annotations

from trainer.model_config import ModelConfig

PEAK_FLOPS_PER_SECOND = {
    ("H100", "bfloat16"): 989e12,
    ("H200", "bfloat16"): 989e12,
    ("A100", "bfloat16"): 312e12,
}
"""Dense peak by part of the device's name and type of the products (vendor's data sheets, SXM boards)."""


def num_params_non_embedding(config: ModelConfig) -> int:
    """Parameters of blocks and norms: neither embeddings nor the output layer. All experts count."""
    return sum(_params_by_side(config, config.num_experts or 1))


def num_active_params_non_embedding(config: ModelConfig) -> int:
    """The same, of experts only those that a token goes through."""
    return sum(_active_params_by_side(config))


def _active_params_by_side(config: ModelConfig) -> tuple[int, int]:
    return _params_by_side(config, config.experts_per_token if config.num_experts else 1)


def _params_by_side(config: ModelConfig, num_experts: int) -> tuple[int, int]:
    """Parameters that an encoder's and a decoder's positions go through; a decoder alone has no encoder."""
    width = config.hidden_size
    norm = width * (2 if config.norm == "layernorm" else 1)
    attention = width * (config.num_heads + 2 * config.kv_heads) * config.head_size + width * width
    attention += 2 * config.head_size if config.qk_norm else 0
    feed_forward = (3 if config.is_gated else 2) * width * config.ffn_size * num_experts
    router = width * (config.num_experts or 0)
    norms = norm * (1 if config.parallel_block == "palm" else 2)
    final_norm = norm if config.norm_placement == "pre" else 0
    block = attention + feed_forward + router + norms
    if config.kind == "decoder":
        return 0, config.num_layers * block + final_norm
    once = final_norm + (config.relative_buckets * config.num_heads if config.position == "relative" else 0)
    key_value = 2 * width * config.kv_heads * config.head_size + (config.head_size if config.qk_norm else 0)
    block_and_cross = block + attention + norm - key_value
    layers = config.decoder_layers
    return config.num_layers * block + once + layers * key_value, layers * block_and_cross + once


def num_params(config: ModelConfig, vocab_size: int) -> int:
    """All parameters; a tied embedding counts once."""
    embeddings = (1 if config.tie_embeddings else 2) * vocab_size
    positions = config.context_tokens if config.position == "learned" else 0
    positions *= 2 if config.kind == "encoder_decoder" else 1
    return num_params_non_embedding(config) + (embeddings + positions) * config.hidden_size


def training_flops(num_params_counted: int, num_tokens: int) -> int:
    """C = 6 N D, for whichever N a fit is written in."""
    return 6 * num_params_counted * num_tokens


def seq2seq_training_flops(config: ModelConfig, lengths: tuple[int, int], num_sequences: int) -> int:
    """C = 6 (N_E E + N_D D) per sequence, of an encoder-decoder.

    Args:
        config: of the model.
        lengths: E and D, positions of encoder and decoder in each sequence.
        num_sequences: of the training.
    """
    sides = _params_by_side(config, config.num_experts or 1)
    return 6 * num_sequences * sum(count * length for count, length in zip(sides, lengths, strict=True))


def flops_per_token(config: ModelConfig, vocab_size: int, lengths: tuple[int, int] | None = None) -> float:
    """FLOPs of one training token, forward and backward: 6 x weights multiplied + 12 x layers x width x context.

    A sliding window counts instead of the context where it is shorter.

    Args:
        config: of the model.
        vocab_size: ids of its output layer.
        lengths: of an encoder-decoder, positions of encoder and decoder for a sequence of ``context_tokens`` of text;
            the FLOPs are those of a token of text.
    """
    if lengths is not None:
        return _seq2seq_flops(config, vocab_size, *lengths) / config.context_tokens
    weights = num_active_params_non_embedding(config) + vocab_size * config.hidden_size
    seen = min(config.context_tokens, config.sliding_window_tokens or config.context_tokens)
    return 6 * weights + 12 * config.num_layers * config.hidden_size * seen


def _seq2seq_flops(config: ModelConfig, vocab_size: int, encoder_tokens: int, decoder_tokens: int) -> int:
    """FLOPs of one sequence, forward and backward."""
    at_encoder, at_decoder = _active_params_by_side(config)
    at_decoder += vocab_size * config.hidden_size
    window = config.sliding_window_tokens or config.context_tokens
    scores = config.num_layers * encoder_tokens * min(encoder_tokens, window)
    scores += config.decoder_layers * decoder_tokens * (min(decoder_tokens, window) + encoder_tokens)
    return 6 * (at_encoder * encoder_tokens + at_decoder * decoder_tokens) + 12 * config.hidden_size * scores


def model_flops_utilization(flops_per_second: float, device_name: str, dtype: str) -> float | None:
    """MFU between 0 and 1; None where the peak of ``device_name`` is not known (every CPU)."""
    for (part, type_name), peak in PEAK_FLOPS_PER_SECOND.items():
        if part in device_name and type_name == dtype:
            return flops_per_second / peak
    return None
