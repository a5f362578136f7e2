"""Repeated word n-grams of a text, exact, in one walk over its words: a trie of all n-grams that stores nothing twice.

Each position goes down the trie of the n-grams that began before it, from two words to ten. A node of the trie is the
position where its n-gram was first met: as long as the words here are those that followed there, nothing is looked up
and nothing stored. Where they part, at the n-th word, one look-up in a hash table tells where this n-gram was first
met, or that it is new; then it is entered, and the walk ends, for all longer ones are new as well. So a position costs
one look-up for its pair of words and one more for each parting of ways, and enters one item at most: 1.7 look-ups and
0.8 items a word on technical documentation, where one word in four begins ten that stood before. Other implementations
hash every n-gram of nine lengths. The slot of a pair is asked for twelve words ahead: waiting for it was a third of the
walk's time.

The table holds positions with what bits they leave free as a tag, and an item is compared with the text itself, by the
64-bit hashes of its words (odds of a collision in ``hash_table``). The item of as many equal words that comes first in
a row of slots is the right one: the n-gram's own, entered before any that might be mistaken for it, comes before them.

The most frequent n-grams follow from counts at the first positions. Duplicated ones are read as datatrove reads them:
an n-gram that has been read before counts and is jumped over whole, and what begins within the jump has not been read.
So each position notes for which lengths it was jumped over, until a later copy is read; six bits a word are enough.

Source: Rae et al. 2021, Table A1, as datatrove computes it. Deviation: it compares duplicated n-grams as strings
joined without spaces ("a bc" equals "ab c"); here they are sequences of words.
"""

from __future__ import annotations

import numpy as np

from pipeline.kernels.compilation import inlined_kernel, kernel
from pipeline.kernels.eight_bytes import fetch_ahead

TOP_NGRAMS = (2, 3, 4)
DUPLICATED_NGRAMS = (5, 6, 7, 8, 9, 10)
REPETITION_SIGNALS = (
    *(f"top_{n}gram_char_fraction" for n in TOP_NGRAMS),
    *(f"duplicated_{n}gram_char_fraction" for n in DUPLICATED_NGRAMS),
)

_MIN_N, _MAX_N = TOP_NGRAMS[0], DUPLICATED_NGRAMS[-1]
_NUM_TOPS, _NUM_DUPLICATED = len(TOP_NGRAMS), len(DUPLICATED_NGRAMS)

# The node of a position: copies of the pair, the triple and the quadruple that were first met there, then the set of
# duplicated lengths for which it was jumped over. Four items behind each other come into the cache together.
NODE_ITEMS = 4
_JUMPED = np.uint64(3)
SLOTS_PER_WORD = 4
NUM_TALLIES = 2 * _NUM_TOPS + (1 << _NUM_DUPLICATED)

_PAIR_MULTIPLIER, _PATH_MULTIPLIER = np.uint64(0xD6E8FEB86659FD93), np.uint64(0xA0761D6478BD642F)
_SLOT_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_FREE = np.uint32(0)
_ZERO, _ONE, _N_BITS = np.uint64(0), np.uint64(1), np.uint64(4)
_AHEAD = np.uint64(12)
_SET_BITS, _SET_MASK = np.uint64(_NUM_DUPLICATED), np.uint64((1 << _NUM_DUPLICATED) - 1)

_UP_TO = np.array(
    [sum(1 << i for i, n in enumerate(DUPLICATED_NGRAMS) if n <= longest) for longest in range(_MAX_N + 1)],
    dtype=np.uint64,
)
"""For 0 to 10: the set of the duplicated lengths up to it, a bit each."""

_LANDINGS = np.array(
    [
        sum(1 << (_NUM_DUPLICATED * (n - 1) + i) for i, n in enumerate(DUPLICATED_NGRAMS) if jumped >> i & 1)
        for jumped in range(1 << _NUM_DUPLICATED)
    ],
    dtype=np.uint64,
)
"""For a set of lengths that jump here, the sets of those that land on each of the next ten words, six bits each."""


@kernel
def measure_repetition(words, num_words, num_chars, scratch, out):
    """Signals of repeated n-grams.

    Args:
        words: as ``segment_words`` left them.
        num_chars: characters of the whole text, the denominator.
        scratch: slots (uint32, ``SLOTS_PER_WORD`` a word, rounded up to a power of two), nodes (uint32, ``NODE_ITEMS``
            a word) and tallies (int64, ``NUM_TALLIES``).
        out: float64, receives ``REPETITION_SIGNALS``.
    """
    starts, ends, _, _ = words
    slots, nodes, tallies = scratch
    tallies[:] = 0
    chars_jumped = tallies[2 * _NUM_TOPS :]
    _walk(words, num_words, slots, nodes, tallies, chars_jumped)
    out[:] = 0.0
    for i in range(_NUM_TOPS):
        n = _MIN_N + i
        if num_words >= n:  # if nothing repeats, the first n-gram of the text is the most frequent, with one occurrence
            num_top_chars = n - 1
            for word in range(tallies[_NUM_TOPS + i], tallies[_NUM_TOPS + i] + n):
                num_top_chars += ends[word] - starts[word]
            out[i] = num_top_chars * (tallies[i] + 1) / num_chars
    for i in range(_NUM_DUPLICATED):
        num_duplicated = 0
        for jumped in range(1 << _NUM_DUPLICATED):
            num_duplicated += chars_jumped[jumped] * (jumped >> i & 1)
        out[_NUM_TOPS + i] = num_duplicated / num_chars


@kernel
def _walk(words, num_words, slots, nodes, tallies, chars_jumped):
    """Read all n-grams.

    Args:
        tallies: int64, 0; receives the copies of the most frequent 2-, 3- and 4-gram, then their positions.
        chars_jumped: int64, 0, shape (64,); receives the characters of words by the set of lengths in whose duplicated
            n-grams they stand.
    """
    starts, ends, hashes, _ = words
    bits = 4
    while (1 << bits) < SLOTS_PER_WORD * num_words:
        bits += 1
    slots[: 1 << bits] = _FREE
    shift = np.uint64(64 - bits)
    jumped = landing = _ZERO  # the lengths that jump over this word; those that land on the next ones
    size = np.uint64(num_words)
    position = _ZERO
    while position < size:  # unsigned: Numba asks of a signed index, at each access, if it is negative
        jumped &= ~landing & _SET_MASK
        landing >>= _SET_BITS
        node = position * np.uint64(NODE_ITEMS)
        for i in range(_NUM_TOPS):
            nodes[node + np.uint64(i)] = 0
        nodes[node + _JUMPED] = jumped
        ahead = min(position + _AHEAD, size - _ONE)
        key_ahead = hashes[ahead] * _PAIR_MULTIPLIER + hashes[ahead + _ONE]
        fetch_ahead(slots, (key_ahead * _SLOT_MULTIPLIER) >> shift)
        longest = min(np.uint64(_MAX_N), size - position)
        n = np.uint64(_MIN_N)
        key = hashes[position] * _PAIR_MULTIPLIER + hashes[position + _ONE]
        while n <= longest:
            first, num_same = _find(hashes, key, n, position, longest, slots, shift)
            if num_same == 0:
                break
            node = first * np.uint64(NODE_ITEMS)
            _count_copy(nodes, first, n, num_same, tallies)
            read = _UP_TO[num_same] & ~_UP_TO[n - _ONE] & ~jumped
            not_read = np.uint64(nodes[node + _JUMPED])
            nodes[node + _JUMPED] = not_read & ~read
            duplicated = read & ~not_read
            jumped |= duplicated
            landing |= _LANDINGS[duplicated]
            n = num_same + _ONE
            key = (first << _N_BITS | n) * _PATH_MULTIPLIER + hashes[position + num_same]
        if jumped:
            chars_jumped[jumped] += ends[position] - starts[position]
        position += _ONE


@inlined_kernel
def _find(hashes, key, n, position, longest, slots, shift):
    """Where the n-gram at ``position`` was first met, entered if it is new.

    Returns:
        That position, and how many words are the same there and here, up to ``longest``: 0 for a new n-gram.
    """
    mask = (_ONE << (np.uint64(64) - shift)) - _ONE
    place_mask = np.uint32(mask)
    mixed = key * _SLOT_MULTIPLIER
    slot = mixed >> shift
    item = (np.uint32(mixed) & ~place_mask) | np.uint32(position + _ONE)
    while True:
        found = slots[slot]
        if found == _FREE:
            slots[slot] = item
            return position, _ZERO
        if (found ^ item) & ~place_mask == 0:
            first = np.uint64(found & place_mask) - _ONE
            num_same = _ZERO
            while num_same < longest and hashes[first + num_same] == hashes[position + num_same]:
                num_same += _ONE
            if num_same >= n:
                return first, num_same
        slot = (slot + _ONE) & mask


@inlined_kernel
def _count_copy(nodes, first, shortest, longest, tallies):
    """Count one more copy of the n-grams at ``first``, ``shortest`` to ``longest``; of equals, the first one leads."""
    for i in range(_NUM_TOPS):
        n = np.uint64(i + _MIN_N)
        place = first * np.uint64(NODE_ITEMS) + np.uint64(i)
        nodes[place] += np.uint32((n >= shortest) & (n <= longest))
        num_copies = np.int64(nodes[place])
        if num_copies >= tallies[i] and (num_copies > tallies[i] or np.int64(first) < tallies[_NUM_TOPS + i]):
            tallies[i] = num_copies
            tallies[_NUM_TOPS + i] = np.int64(first)
