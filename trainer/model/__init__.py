"""The models and their parts."""

from trainer.model.decoder import Decoder
from trainer.model.encoder_decoder import EncoderDecoder
from trainer.model_config import ModelConfig

Model = Decoder | EncoderDecoder

__all__ = ["Decoder", "EncoderDecoder", "Model", "make_model"]


def make_model(config: ModelConfig, vocab_size: int, *, seed: int) -> Model:
    """The model of ``config.kind`` with its initial weights; arguments as of the classes."""
    kind = Decoder if config.kind == "decoder" else EncoderDecoder
    return kind(config, vocab_size, seed=seed)
