"""Eight bytes of a buffer as one number, and the white space among them: words found and hashed by the eight bytes.

The first byte is the lowest eight bits, wherever the machine keeps it, so hashes are the same on every machine. Numba
reads arrays by item, at aligned places; the intrinsics are one instruction each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import extending, types

from pipeline.kernels.byte_masks import eight_bytes_there
from pipeline.kernels.compilation import inlined_kernel

_ALL_HIGH, _ALL_LOW = np.uint64(0x8080808080808080), np.uint64(0x7F7F7F7F7F7F7F7F)
_BLANKS = np.uint64(0x2020202020202020)
_TO_9, _TO_14 = np.uint64(0x7777777777777777), np.uint64(0x7272727272727272)  # added, they carry from 9 and from 14 on
_ALL, _EIGHT, _BYTE, _BITS = np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(8), np.uint64(3), np.uint64(64)

Codegen = Callable[[Any, Any, Any, Any], Any]
_intrinsic: Any = extending.intrinsic  # typed as what takes all arguments of its codegen


@_intrinsic
def _trailing_zeros(typing_context: Any, value: Any) -> tuple[Any, Codegen]:
    """Zero bits below the lowest one; 64 for 0."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), codegen


@_intrinsic
def count_bits(typing_context: Any, value: Any) -> tuple[Any, Codegen]:
    """How many bits of a uint64 are set."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), codegen


@_intrinsic
def fetch_ahead(typing_context: Any, array: Any, item: Any) -> tuple[Any, Codegen]:
    """Ask for the cache line of ``array``'s item (uint64, counted over all axes): who reads it later need not wait."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        integer, place = ir.IntType(32), ir.IntType(8).as_pointer()
        prefetch = builder.module.declare_intrinsic(
            "llvm.prefetch", [place], ir.FunctionType(ir.VoidType(), [place, integer, integer, integer])
        )
        address = builder.bitcast(builder.gep(data, [arguments[1]]), place)
        to_read, keep_close, into_data_cache = (ir.Constant(integer, value) for value in (0, 3, 1))
        builder.call(prefetch, [address, to_read, keep_close, into_data_cache])
        return context.get_dummy_value()

    return types.none(array, types.uint64), codegen


@inlined_kernel
def eight_bytes(data, position):
    """``data[position:position + 8]`` as a uint64, its first byte lowest; zeros stand in behind the end of ``data``."""
    if position + 8 <= len(data):
        return eight_bytes_there(data, position)
    value = np.uint64(0)
    for i in range(len(data) - 1, position - 1, -1):
        value = value << _EIGHT | np.uint64(data[i])
    return value


@inlined_kernel
def first_bytes(value, count):
    """The lowest ``count`` bytes of ``value`` (uint64, 0 to 8); the others 0."""
    return value & (_ALL >> (_BITS - (count << _BYTE))) if count else np.uint64(0)


@inlined_kernel
def before_white_space(value):
    """How many bytes of ``value`` stand before one of the seven that fastText takes for white space; 8 if none is one.

    No sum carries from one byte to the next, so each byte's high bit speaks for that byte alone.
    """
    low = value & _ALL_LOW
    is_control = (low + _TO_9) & ~(low + _TO_14)  # 9 to 13
    is_other = (low + _ALL_LOW) & ((low ^ _BLANKS) + _ALL_LOW)  # neither 0 nor a blank
    return _trailing_zeros((is_control | ~is_other) & ~value & _ALL_HIGH) >> _BYTE
