"""String columns as plain arrays that compiled kernels can walk, without a copy of the text."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import RecordError, SchemaError

MAX_TEXT_BYTES = (1 << 31) - 1  # kernels keep positions within one text as int32


class TextBuffers(NamedTuple):
    """A string column, row ``i`` being ``data[offsets[i]:offsets[i + 1]]``.

    Args:
        data: UTF-8 bytes of the whole buffer, uint8, read-only, shape (num_bytes,).
        offsets: int64, shape (num_rows + 1,), into ``data``; they need not begin at 0.
        is_valid: bool, shape (num_rows,); false for a null row, whose bytes mean nothing.
    """

    data: np.ndarray
    offsets: np.ndarray
    is_valid: np.ndarray


def text_buffers(text: pa.Array) -> TextBuffers:
    """Views of ``text``: string or large_string, any slice, with or without nulls.

    Raises:
        SchemaError: for a column of another type.
        RecordError: for a text of 2 GiB or more.
    """
    wide = pa.types.is_large_string(text.type)
    if not wide and not pa.types.is_string(text.type):
        raise SchemaError(f"column of text has type {text.type}; expected string or large_string; cast it")
    _, offset_buffer, data_buffer = text.buffers()
    if len(text) == 0 or offset_buffer is None:
        return TextBuffers(_view(None, np.uint8), np.zeros(len(text) + 1, dtype=np.int64), np.zeros(len(text), bool))
    all_offsets = _view(offset_buffer, np.int64 if wide else np.int32)
    offsets = all_offsets[text.offset : text.offset + len(text) + 1].astype(np.int64)
    longest_bytes = int(np.diff(offsets).max())
    if longest_bytes > MAX_TEXT_BYTES:
        raise RecordError(f"one text has {longest_bytes} bytes; expected at most {MAX_TEXT_BYTES}; split the document")
    is_valid = pc.is_valid(text).to_numpy(zero_copy_only=False)
    return TextBuffers(_view(data_buffer, np.uint8), offsets, is_valid)


def _view(buffer: pa.Buffer | None, dtype: type) -> np.ndarray:
    """Read-only array over a buffer; always read-only, so that a kernel compiles for one array type only."""
    array: np.ndarray = np.empty(0, dtype=dtype) if buffer is None else np.frombuffer(buffer, dtype=dtype)
    array.flags.writeable = False
    return array
