"""Models of transformers in the shape of one of ours, trained for some steps: the peer of ``trainer_gpu.py``."""

from __future__ import annotations

import time
from typing import Any

import torch

from trainer.config import TrainConfig
from trainer.device import mixed_precision


def seconds_of_steps(config: TrainConfig, vocab_size: int, lengths: tuple[int, ...]) -> list[float]:
    """Train on ids drawn at random, compiled where ours is, and time every step.

    Args:
        config: of ours; the model is transformers' Llama for a decoder and its T5 for an encoder-decoder.
        vocab_size: ids of the output layer.
        lengths: of a sequence; of an encoder-decoder, positions of encoder and decoder.

    Returns:
        Seconds of each of the config's steps, the first of which compile and allocate.
    """
    bare = _model(config, vocab_size).to(config.device)
    model = torch.compile(bare) if config.compile else bare
    optimizer = torch.optim.AdamW(bare.parameters(), lr=config.optimizer.learning_rate, fused=True)
    sides = [torch.randint(0, vocab_size, (config.sequences_per_step, n), device=config.device) for n in lengths]
    seconds = []
    for _ in range(config.steps):
        started = time.monotonic()
        with mixed_precision(config, torch.device(config.device)):
            loss = model(input_ids=sides[0], labels=sides[-1]).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if config.device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.monotonic() - started)
    return seconds


def _model(config: TrainConfig, vocab_size: int) -> torch.nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

    model = config.model
    shared: dict[str, Any] = {
        "vocab_size": vocab_size,
        "tie_word_embeddings": model.tie_embeddings,
        "use_cache": False,
    }
    if model.kind == "decoder":
        llama = LlamaConfig(
            hidden_size=model.hidden_size,
            intermediate_size=model.ffn_size,
            num_hidden_layers=model.num_layers,
            num_attention_heads=model.num_heads,
            max_position_embeddings=model.context_tokens,
            **shared,
        )
        return LlamaForCausalLM(llama)
    t5 = T5Config(
        d_model=model.hidden_size,
        d_kv=model.head_size,
        d_ff=model.ffn_size,
        num_layers=model.num_layers,
        num_decoder_layers=model.decoder_layers,
        num_heads=model.num_heads,
        feed_forward_proj=model.activation,
        dropout_rate=0.0,
        decoder_start_token_id=0,
        **shared,
    )
    return T5ForConditionalGeneration(t5)
