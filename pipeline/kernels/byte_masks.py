"""Which of 32 bytes are of some kind, as a number with a bit for each: text searched 32 bytes at a time.

Masks are put together with ``|``; LLVM joins what they are made of before it takes the bits out, so on x86-64 with AVX2
a comparison is one instruction or two, and the bits are one more. Other processors get what they have. Nothing here
looks whether the bytes are there: callers see to it, mostly by what they put behind a buffer's end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import extending, types

WINDOW_BYTES = 32

Codegen = Callable[[Any, Any, Any, Any], Any]
_intrinsic: Any = extending.intrinsic  # typed as what takes all arguments of its codegen
_WINDOW, _MASK = ir.VectorType(ir.IntType(8), WINDOW_BYTES), ir.IntType(WINDOW_BYTES)
_LANE, _LONG = ir.IntType(32), ir.IntType(64)


def _load(context: Any, builder: Any, signature: Any, arguments: Any, as_type: Any) -> Any:
    """What stands in the first argument at the place that the second says."""
    data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
    place = builder.bitcast(builder.gep(data, [arguments[1]]), as_type.as_pointer())
    return builder.load(place, align=1)


def _compare(operator: str) -> Codegen:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        window = _load(context, builder, signature, arguments, _WINDOW)
        undefined = ir.Constant(_WINDOW, ir.Undefined)
        byte = builder.insert_element(undefined, arguments[2], ir.Constant(_LANE, 0))
        lanes = ir.Constant(ir.VectorType(_LANE, WINDOW_BYTES), [0] * WINDOW_BYTES)
        found = builder.icmp_unsigned(operator, window, builder.shuffle_vector(byte, undefined, lanes))
        mask = builder.bitcast(found, _MASK)
        return builder.zext(mask if sys.byteorder == "little" else builder.bitreverse(mask), _LONG)

    return codegen


@_intrinsic
def equal_to(typing_context: Any, data: Any, position: Any, byte: Any) -> tuple[Any, Codegen]:
    """Bit ``i`` (of a uint64) says whether ``data[position + i] == byte``, for 32 bytes, which ``data`` must all have.

    Args:
        data: bytes, or a uint8 array; ``position``: uint64; ``byte``: uint8.
    """
    return types.uint64(data, types.uint64, types.uint8), _compare("==")


@_intrinsic
def at_most(typing_context: Any, data: Any, position: Any, byte: Any) -> tuple[Any, Codegen]:
    """As ``equal_to``: whether ``data[position + i] <= byte``."""
    return types.uint64(data, types.uint64, types.uint8), _compare("<=")


@_intrinsic
def eight_bytes_there(typing_context: Any, data: Any, position: Any) -> tuple[Any, Codegen]:
    """``data[position:position + 8]`` as a uint64, its first byte lowest; ``data`` must have all of them."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = _load(context, builder, signature, arguments, _LONG)
        return value if sys.byteorder == "little" else builder.bswap(value)

    return types.uint64(data, types.uint64), codegen


@_intrinsic
def lowest_bit(typing_context: Any, mask: Any) -> tuple[Any, Codegen]:
    """Number of the lowest bit set in a uint64 that is not 0."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), codegen
