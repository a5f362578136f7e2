"""What a tokenizer is: its training data, its vocabulary, and how text is cut into words before pieces are learnt.

Both kinds work on bytes. A pre-tokenizer cuts text into words by a regular expression, each word's UTF-8 bytes are
written with 256 printable characters (GPT-2's byte alphabet), and pieces are learnt and applied within words. All 256
bytes are in every vocabulary, so every text can be encoded, nothing is normalised, and decoding gives the text back.

Source: patterns from Radford et al. 2019 (GPT-2) and OpenAI's tiktoken (cl100k_base, GPT-4). Deviation:
``multilingual`` is GPT-4's pattern with combining marks (``\\p{M}``) counted as letters, since without them every
vowel sign of Hindi or Khmer, and every Arabic diacritic, ends a word.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from tokenizers import Regex, decoders, pre_tokenizers

from pipeline.config import Config, Off

Kind = Literal["bpe", "unigram"]
Pattern = Literal["gpt2", "gpt4", "multilingual"]

NUM_BYTES_IN_ALPHABET = 256


class TokenizerConfig(Config):
    """Training data, vocabulary and pre-tokenizer.

    Args:
        path: a ready ``tokenizer.json`` (path or URL) that makes the shards; nothing is trained then, and what the
            candidates would be learnt from has no say. Runs that are compared share one.
        candidates: kinds to train and compare.
        use: the kind that makes the shards; one of ``candidates``.
        vocab_size: ids at most, special tokens and the 256 bytes included. Small samples give fewer.
        sample_bytes: UTF-8 bytes of training text to learn from.
        evaluation_bytes: UTF-8 bytes of validation text to measure compression on.
        language_alpha: languages share the sample in proportion to bytes ** alpha; below 1, small languages get
            more of the vocabulary than of the corpus.
        seed: of the choice of sample documents.
        pattern: how text is cut into words.
        digits_per_token: digits that one word may hold at most; false leaves numbers whole.
        min_frequency: BPE joins no pair that is rarer than this in the sample.
        max_piece_bytes: length of the longest Unigram piece.
        eos_token: ends every document in the shards.
        special_tokens: further tokens that text can never produce, such as those of a chat format.
    """

    path: str | None = Field(default=None, min_length=1)
    candidates: tuple[Kind, ...] = Field(default=("bpe", "unigram"), min_length=1)
    use: Kind = "bpe"
    vocab_size: int = Field(default=32_000, ge=300, le=1_000_000)
    sample_bytes: int = Field(default=64_000_000, ge=1_000)
    evaluation_bytes: int = Field(default=4_000_000, ge=1_000)
    language_alpha: float = Field(default=0.7, ge=0, le=1)
    seed: int = Field(default=0, ge=0)
    pattern: Pattern = "multilingual"
    digits_per_token: Annotated[int | None, Field(ge=1, le=20), Off] = 3
    min_frequency: int = Field(default=2, ge=1)
    max_piece_bytes: int = Field(default=24, ge=2, le=128)
    eos_token: str = Field(default="<|endoftext|>", min_length=1)
    special_tokens: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> TokenizerConfig:
        if self.use not in self.candidates:
            raise ValueError(f"use={self.use!r} is not among candidates={list(self.candidates)}; add it there")
        if len(set(self.candidates)) != len(self.candidates):
            raise ValueError(f"candidates={list(self.candidates)} names one twice; expected each once; remove the copy")
        names = self.all_special_tokens
        if len(set(names)) != len(names) or "" in names:
            raise ValueError(
                f"special_tokens={list(self.special_tokens)} has an empty or repeated name, or repeats "
                f"eos_token={self.eos_token!r}; expected distinct names; remove the copy"
            )
        if NUM_BYTES_IN_ALPHABET + len(names) > self.vocab_size:
            raise ValueError(
                f"vocab_size={self.vocab_size} has no room for 256 bytes and {len(names)} special tokens; raise it"
            )
        return self

    @property
    def all_special_tokens(self) -> tuple[str, ...]:
        """The end-of-text token, then the others."""
        return (self.eos_token, *self.special_tokens)


def word_pattern(config: TokenizerConfig) -> str:
    """The regular expression (Oniguruma's dialect) whose matches are the words; together they cover any text."""
    digits = r"\p{N}+" if config.digits_per_token is None else rf"\p{{N}}{{1,{config.digits_per_token}}}"
    if config.pattern == "gpt2":
        return rf"'s|'t|'re|'ve|'m|'ll|'d| ?\p{{L}}+| ?{digits}| ?[^\s\p{{L}}\p{{N}}]+|\s+(?!\S)|\s+"
    letter = r"\p{L}" if config.pattern == "gpt4" else r"\p{L}\p{M}"
    return (
        rf"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{{N}}{letter}]?+[{letter}]+|{digits}"
        rf"| ?[^\s\p{{N}}{letter}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
    )


def make_pre_tokenizer(config: TokenizerConfig) -> pre_tokenizers.PreTokenizer:
    """Cuts text into words, then writes each word's UTF-8 bytes in the byte alphabet."""
    words = pre_tokenizers.Split(Regex(word_pattern(config)), "isolated")
    return pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def make_decoder() -> decoders.Decoder:
    """Turns the byte alphabet back into text."""
    return decoders.ByteLevel()


def byte_alphabet() -> list[str]:
    """The 256 characters that stand for bytes, sorted."""
    return sorted(pre_tokenizers.ByteLevel.alphabet())
