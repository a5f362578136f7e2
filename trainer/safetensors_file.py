"""The safetensors format: eight bytes of header length, a JSON header, and the bare arrays.

That little is written without its library; the tests read it back with transformers.
"""

from __future__ import annotations

import json
import struct

import numpy as np

from pipeline import storage


def write_safetensors(location: str, arrays: dict[str, np.ndarray]) -> None:
    """Write ``arrays`` as float32, in the order of their names."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    pieces, offset = [], 0
    for name, array in sorted(arrays.items()):
        data = np.ascontiguousarray(array, dtype="<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [offset, offset + len(data)]}
        pieces.append(data)
        offset += len(data)
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    storage.write_bytes(location, b"".join([struct.pack("<Q", len(encoded)), encoded, *pieces]))
