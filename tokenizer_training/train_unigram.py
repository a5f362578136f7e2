"""Unigram language model vocabularies: learnt by SentencePiece, applied by Hugging Face ``tokenizers``.

A piece has a probability, a word's best segmentation is the product's maximum (Viterbi). Training starts from many
frequent substrings, re-estimates probabilities by expectation maximisation, and prunes the pieces whose loss costs
least until the vocabulary has its size (Kudo 2018).

Why two libraries: ``tokenizers`` trains Unigram too, but takes words out of a hash map of random order, and the order
decides the suffix array and the sums of floats: three runs on the same 8 MB gave three different vocabularies. So
SentencePiece learns the pieces and their scores are put into ``tokenizers``' Unigram model, which keeps one encoder,
one file format and one pre-tokenizer for both kinds. On that sample its pieces were better too (3.01 against 2.98
bytes per token at 8,000 ids) and took half the time.

SentencePiece sees words, not text: distinct words in the byte alphabet with their counts, sorted, so neither the
order of documents nor of any hash map shows. Its sums do depend on the number of threads, which is therefore a
constant, and not the number of cores. Everything that it does to text otherwise (normalisation, splitting by script,
dummy prefixes) is off. Counts weigh pieces in the expectation steps; the substrings that training starts from are
counted over distinct words.

Cost, measured on 8.0 MB of prose in 12 languages (134,000 distinct words) on 2 cores: counting 3 s, 8,000 ids 10 s.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterable

import sentencepiece
from tokenizers import Tokenizer, models

from tokenizer_training.tokenizer_config import TokenizerConfig, byte_alphabet, make_decoder, make_pre_tokenizer

_NUM_THREADS = 4  # part of the result: see above
_MAX_WORD_BYTES = 1 << 24  # SentencePiece skips longer ones; far above what documents hold
_MISSING_BYTE_PENALTY = 10.0  # SentencePiece's own, in nats below its rarest piece, for characters it never saw
_ERRORS_ONLY = 2


def train_unigram(texts: Iterable[str], config: TokenizerConfig) -> Tokenizer:
    """Learn a byte-level Unigram vocabulary.

    Args:
        texts: training documents; their order does not matter.
        config: vocabulary size, pre-tokenizer, special tokens, ``max_piece_bytes``.

    Returns:
        A tokenizer of at most ``config.vocab_size`` ids: pieces by falling probability, bytes that the sample lacks,
        then special tokens. They are not part of the model, so no text can produce them.
    """
    word_counts = count_words(texts, config)
    seen = set().union(*word_counts)
    missing = [byte for byte in byte_alphabet() if byte not in seen]
    num_pieces = config.vocab_size - len(config.all_special_tokens) - len(missing)
    pieces = _learn_pieces(word_counts, num_pieces, config.max_piece_bytes) if word_counts else []
    penalised = min((score for _, score in pieces), default=0.0) - _MISSING_BYTE_PENALTY
    tokenizer = Tokenizer(models.Unigram([*pieces, *((byte, penalised) for byte in missing)], None, False))
    tokenizer.pre_tokenizer = make_pre_tokenizer(config)
    tokenizer.decoder = make_decoder()
    tokenizer.add_special_tokens(list(config.all_special_tokens))
    return tokenizer


def count_words(texts: Iterable[str], config: TokenizerConfig) -> Counter[str]:
    """How often each word occurs, in the byte alphabet."""
    pre_tokenizer = make_pre_tokenizer(config)
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word for word, _ in pre_tokenizer.pre_tokenize_str(text))
    return counts


def _learn_pieces(word_counts: Counter[str], num_pieces: int, max_piece_bytes: int) -> list[tuple[str, float]]:
    """At most ``num_pieces`` pieces with their log probabilities, most probable first; all bytes seen among them."""
    with tempfile.TemporaryDirectory(prefix="unigram-") as folder:
        words_path, model_path = os.path.join(folder, "words.tsv"), os.path.join(folder, "model")
        with open(words_path, "w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(f"{word}\t{count}\n" for word, count in sorted(word_counts.items()))
        sentencepiece.SentencePieceTrainer.train(
            input=words_path,
            input_format="tsv",
            model_prefix=model_path,
            model_type="unigram",
            vocab_size=num_pieces + 1,  # its unknown token, which a byte-level vocabulary never needs
            hard_vocab_limit=False,
            character_coverage=1.0,
            max_sentencepiece_length=max_piece_bytes,
            max_sentence_length=_MAX_WORD_BYTES,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            split_by_unicode_script=False,
            split_by_number=False,
            split_by_whitespace=False,
            shuffle_input_sentence=False,
            num_threads=_NUM_THREADS,
            unk_id=0,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            minloglevel=_ERRORS_ONLY,
        )
        model = sentencepiece.SentencePieceProcessor(model_file=f"{model_path}.model")
    pieces = [(model.id_to_piece(piece_id), model.get_score(piece_id)) for piece_id in range(1, len(model))]
    return sorted(pieces, key=lambda piece: (-piece[1], piece[0]))
