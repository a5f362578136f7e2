"""Words of one text by the segmentation kernel, for its own tests and for those of what is counted in words."""

from __future__ import annotations

import numpy as np

from pipeline.kernels.hash_table import hash_codes
from pipeline.kernels.special_words import special_word_table
from pipeline.kernels.unicode_tables import character_flags, decode_utf8
from pipeline.kernels.word_segmentation import segment_words


def kernel_words(text: str, mode: int) -> list[str]:
    """Words of ``text`` in their order.

    Args:
        text: any.
        mode: ``UNICODE_MODE`` or ``DATATROVE_MODE``.
    """
    data = np.frombuffer(text.encode(), dtype=np.uint8)
    room = len(data) + 3
    codes, flags = np.zeros(room, np.uint32), np.zeros(room, np.uint32)
    starts, ends, cuts = (np.zeros(2 * room, np.int32) for _ in range(3))
    words = (starts, ends, np.zeros(room, np.uint64), np.zeros(room, np.uint32))
    num_chars = decode_utf8(data, 0, len(data), *character_flags(), codes, flags)
    assert num_chars == len(text)
    num_words = segment_words(codes, flags, num_chars, mode, special_word_table(), words, 0, cuts)
    spans = list(zip(starts[:num_words].tolist(), ends[:num_words].tolist(), strict=True))
    assert [int(hash_codes(codes, *span)) for span in spans[:9]] == words[2][:num_words].tolist()[:9]
    return [text[start:end] for start, end in spans]
