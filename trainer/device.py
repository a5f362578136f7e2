"""Where and how a model runs: device, threads, precision, tokens of one forward pass, what share of it is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pipeline.errors import ConfigError
from trainer import flops
from trainer.config import TrainConfig
from trainer.seq2seq import sequence_lengths

_CPU_FORWARD_TOKENS = 2_048
_CUDA_FORWARD_TOKENS = 65_536


def choose_device(name: str) -> torch.device:
    """The device of a config's ``device``: ``auto`` is CUDA where there is one.

    Raises:
        ConfigError: if CUDA is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device='cuda', but PyTorch finds no CUDA device; set device='auto' or 'cpu'")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def forward_tokens(config: TrainConfig, device: torch.device) -> int:
    """Tokens of one forward pass: the config's, or what suits the device, in whole sequences."""
    context = config.model.context_tokens
    suited = _CUDA_FORWARD_TOKENS if device.type == "cuda" else _CPU_FORWARD_TOKENS
    return config.forward_tokens or max(1, suited // context) * context


def utilisation(
    config: TrainConfig, vocab_size: int, tokens_per_second: float, device: torch.device
) -> dict[str, float | None]:
    """Of one process, its MFU and the most memory used so far; None on a CPU."""
    if device.type != "cuda":
        return {"mfu": None, "memory_bytes": None}
    lengths = None
    if config.model.kind == "encoder_decoder":
        lengths = sequence_lengths(config.objective, config.model.context_tokens)
    per_second = tokens_per_second * flops.flops_per_token(config.model, vocab_size, lengths)
    mfu = flops.model_flops_utilization(per_second, torch.cuda.get_device_name(device), config.dtype)
    return {"mfu": mfu, "memory_bytes": torch.cuda.max_memory_allocated(device)}


def mixed_precision(config: TrainConfig, device: torch.device) -> torch.autocast:
    """bfloat16 products over float32 weights where the config asks for it; else nothing."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.dtype == "bfloat16")


@contextmanager
def compute_threads(num_threads: int) -> Iterator[None]:
    """Run the block with a fixed number of PyTorch threads, and set the former number again."""
    former = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(former)
