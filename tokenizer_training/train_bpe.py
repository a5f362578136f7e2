"""Byte-pair encoding through Hugging Face ``tokenizers``.

Starting from the 256 bytes, the most frequent pair of adjacent pieces within words is joined again and again until
the vocabulary is full (Sennrich et al. 2016; on bytes: Radford et al. 2019). The trainer counts words in parallel,
keeps pair counts in a heap, and touches only the words in which a joined pair occurs. Memory grows with the number of
distinct words.

Determinism: the library counts words in hash maps of random order, but nothing that it learns depends on it as used
here. The alphabet is handed over sorted and complete, so ids of single bytes are fixed; a pair's count is a sum of
integers; ties go to the pair of smaller ids; new ids are given in the order of the joins. (It is WordPiece's prefixed
alphabet that makes its vocabulary differ between runs: huggingface/tokenizers#1794.) Tests train in separate processes
with different thread counts and compare bytes.

Cost, measured on 8.0 MB of prose in 12 languages on 2 cores: 8,000 ids 2.6 to 4 s.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, models, trainers

from tokenizer_training.tokenizer_config import TokenizerConfig, byte_alphabet, make_decoder, make_pre_tokenizer


def train_bpe(texts: Iterable[str], config: TokenizerConfig) -> Tokenizer:
    """Learn a byte-level BPE vocabulary.

    Args:
        texts: training documents; their order does not matter.
        config: vocabulary size, pre-tokenizer, special tokens, ``min_frequency``.

    Returns:
        A tokenizer of at most ``config.vocab_size`` ids: special tokens first, then bytes, then joins in the order
        in which they were learnt.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = make_pre_tokenizer(config)
    tokenizer.decoder = make_decoder()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_frequency,
        special_tokens=list(config.all_special_tokens),
        initial_alphabet=byte_alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
