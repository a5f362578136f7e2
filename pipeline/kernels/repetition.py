"""Repeated word n-grams of a text, exact, in about two table look-ups a word instead of nine.

Words become small numbers by order of first occurrence (equality by 64-bit hash; odds of a collision in
``hash_table``). An n-gram that occurs twice consists of two (n-1)-grams that each occur twice; so the candidates for
n are the neighbouring pairs of repeated (n-1)-grams, and the pair of their numbers is a key without any collision. On
ordinary text the candidates melt away: what is repeated at n = 4 is a few per cent of the words. The worst case, a
text that is one paragraph over and over, costs one look-up a word for each n.

What other implementations do is hash every n-gram for every n, 2 to 10.

Source: Rae et al. 2021, Table A1, as datatrove computes it. Deviation: it compares duplicated n-grams as strings
joined without spaces ("a bc" equals "ab c"); here they are sequences of words.
"""

from __future__ import annotations

import numpy as np

from pipeline.kernels.compilation import kernel
from pipeline.kernels.hash_table import clear_table, hash_codes, intern

TOP_NGRAMS = (2, 3, 4)
DUPLICATED_NGRAMS = (5, 6, 7, 8, 9, 10)
REPETITION_SIGNALS = (
    *(f"top_{n}gram_char_fraction" for n in TOP_NGRAMS),
    *(f"duplicated_{n}gram_char_fraction" for n in DUPLICATED_NGRAMS),
)

_FIRST_DUPLICATED = DUPLICATED_NGRAMS[0]
_MAX_N = DUPLICATED_NGRAMS[-1]
_HALF_WORD = np.uint64(32)
_ONE = np.uint64(1)


@kernel
def intern_words(codes, starts, ends, num_words, table_keys, table_numbers, numbers, counts):
    """Number the words by first occurrence and count them.

    Args:
        numbers: int32, shape (num_words,) or longer; receives each word's number.
        counts: int32 likewise; receives the occurrences of each number.

    Returns:
        The table's mask, to look further words up with ``find_slot``.
    """
    mask = clear_table(table_keys, num_words)
    num_distinct = 0
    for i in range(num_words):
        number = intern(hash_codes(codes, starts[i], ends[i]), num_distinct, table_keys, table_numbers, mask)
        if number == num_distinct:
            counts[number] = 0
            num_distinct += 1
        numbers[i] = number
        counts[number] += 1
    return mask


@kernel
def measure_repetition(starts, ends, num_words, num_chars, numbers, counts, positions, table_keys, table_numbers, out):
    """Signals of repeated n-grams.

    Args:
        numbers, counts: as ``intern_words`` left them; overwritten.
        positions: int32, shape (num_words,) or longer; scratch.
        num_chars: characters of the whole text, the denominator.
        out: float64, receives ``REPETITION_SIGNALS``.
    """
    out[:] = 0.0
    num_candidates = 0
    for i in range(num_words):
        if counts[numbers[i]] > 1:
            positions[num_candidates] = i
            num_candidates += 1
    for n in range(2, _MAX_N + 1):
        if num_words < n:
            break
        num_pairs = _join_neighbours(positions, num_candidates, numbers, counts, table_keys, table_numbers)
        if n < _FIRST_DUPLICATED:
            out[n - 2] = _top_chars(starts, ends, positions, num_pairs, numbers, counts, n) / num_chars
        else:
            out[n - 2] = _duplicated_chars(starts, ends, positions, num_pairs, numbers, table_numbers, n) / num_chars
        num_candidates = 0
        for i in range(num_pairs):
            if counts[numbers[positions[i]]] > 1:
                positions[num_candidates] = positions[i]
                num_candidates += 1


@kernel
def _join_neighbours(positions, num_candidates, numbers, counts, table_keys, table_numbers):
    """Turn repeated (n-1)-grams into candidate n-grams, in place.

    ``numbers`` of position p becomes the number of the n-gram at p, for those p whose neighbour p + 1 is a candidate
    too; their count is returned and they move to the front of ``positions``.
    """
    mask = clear_table(table_keys, num_candidates)
    num_pairs = 0
    num_distinct = 0
    for i in range(num_candidates - 1):
        position = positions[i]
        if positions[i + 1] != position + 1:
            continue
        key = ((np.uint64(numbers[position]) << _HALF_WORD) | np.uint64(numbers[position + 1])) + _ONE
        number = intern(key, num_distinct, table_keys, table_numbers, mask)
        if number == num_distinct:
            counts[number] = 0
            num_distinct += 1
        counts[number] += 1
        numbers[position] = number
        positions[num_pairs] = position
        num_pairs += 1
    return num_pairs


@kernel
def _chars_of(starts, ends, first, n):
    """Characters of ``n`` words, without what stands between them."""
    num_chars = 0
    for i in range(first, first + n):
        num_chars += ends[i] - starts[i]
    return num_chars


@kernel
def _top_chars(starts, ends, positions, num_pairs, numbers, counts, n):
    """Characters covered by the most frequent n-gram, joined with spaces; the first one among equals."""
    top = 0  # if nothing repeats, the first n-gram of the text is the most frequent, with one occurrence
    top_count = 1
    for i in range(num_pairs):
        count = counts[numbers[positions[i]]]
        if count > top_count:
            top_count = count
            top = positions[i]
    return (_chars_of(starts, ends, top, n) + n - 1) * top_count


@kernel
def _duplicated_chars(starts, ends, positions, num_pairs, numbers, seen, n):
    """Characters of the n-grams met before, reading on behind each one; ``seen`` is scratch of a flag a number."""
    for i in range(num_pairs):
        seen[numbers[positions[i]]] = 0
    num_chars = 0
    next_position = 0
    for i in range(num_pairs):
        position = positions[i]
        if position < next_position:
            continue
        if seen[numbers[position]]:
            num_chars += _chars_of(starts, ends, position, n)
            next_position = position + n
        else:
            seen[numbers[position]] = 1
    return num_chars
