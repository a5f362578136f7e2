"""Steps over sixteen items at once, which the compiler would not make vector instructions of by itself.

Numba compiles loops over a fixed number of items without vectorising them. These few are written as LLVM's vectors of
sixteen, which it lowers to whatever registers the processor has; results are those of the same loop, bit by bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import extending, types
from numba.core import cgutils

LANES = 16

Codegen = Callable[[Any, Any, Any, Any], Any]
_intrinsic: Any = extending.intrinsic  # typed as what takes all arguments of its codegen
_BYTE, _WORD, _LONG = ir.IntType(8), ir.IntType(32), ir.IntType(64)


def _place(context: Any, builder: Any, array_type: Any, array: Any, item: Any, element: Any) -> Any:
    """Pointer to ``LANES`` items of an array, from number ``item`` on, counted over all axes."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [item]), ir.VectorType(element, LANES).as_pointer())


def _splat(builder: Any, value: Any) -> Any:
    """A vector of ``LANES`` times ``value``."""
    vector = ir.VectorType(value.type, LANES)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(_WORD, 0))
    zeros = ir.Constant(ir.VectorType(_WORD, LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), zeros)


@_intrinsic
def add_rows_of_16(typing_context: Any, rows: Any, numbers: Any, count: Any, out: Any) -> tuple[Any, Codegen]:
    """Add the rows ``numbers[:count]`` of ``rows`` (float32, 16 columns) to ``out``, one after the other.

    The sum stays in registers. A row is asked for some rows ahead, so that most have come when their turn is.

    Args:
        numbers: int32; ``count``: uint64; ``out``: float32, 16 items.
    """
    rows_ahead = 12

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row_type, number_type, _, out_type = signature.args
        rows_, numbers_, count_, out_ = arguments
        all_numbers = context.make_array(number_type)(context, builder, numbers_)
        sum_at = _place(context, builder, out_type, out_, ir.Constant(_LONG, 0), ir.FloatType())
        total = builder.alloca(ir.VectorType(ir.FloatType(), LANES))
        builder.store(builder.load(sum_at, align=4), total)
        last = builder.sub(all_numbers.nitems, ir.Constant(_LONG, 1))
        prefetch = builder.module.declare_intrinsic(
            "llvm.prefetch",
            [_BYTE.as_pointer()],
            ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), _WORD, _WORD, _WORD]),
        )
        to_read, keep_close, data_cache = (ir.Constant(_WORD, value) for value in (0, 3, 1))

        def row_at(position: Any) -> Any:
            number = builder.zext(builder.load(builder.gep(all_numbers.data, [position])), _LONG)
            first = builder.mul(number, ir.Constant(_LONG, LANES))
            return _place(context, builder, row_type, rows_, first, ir.FloatType())

        with cgutils.for_range(builder, count_, intp=_LONG) as loop:
            ahead = builder.add(loop.index, ir.Constant(_LONG, rows_ahead))
            ahead = builder.select(builder.icmp_unsigned("<", ahead, last), ahead, last)
            address = builder.bitcast(row_at(ahead), _BYTE.as_pointer())
            builder.call(prefetch, [address, to_read, keep_close, data_cache])
            row = builder.load(row_at(loop.index), align=4)
            builder.store(builder.fadd(builder.load(total), row), total)
        builder.store(builder.load(total), sum_at, align=4)
        return context.get_dummy_value()

    return types.none(rows, numbers, types.uint64, out), codegen


@_intrinsic
def hash_16(
    typing_context: Any, values: Any, data: Any, position: Any, multiplier: Any, zeros_too: Any
) -> tuple[Any, Codegen]:
    """Carry on the FNV-1a hashes ``values[:16]`` (uint32), each by one byte of ``data`` from ``position`` on.

    Args:
        data: uint8; bytes above 127 are extended by their sign; ``position``: uint64.
        multiplier: uint32.
        zeros_too: if false, a hash stays as it is where the byte is 0.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values_, data_, position_, multiplier_, zeros_too_ = arguments
        at = _place(context, builder, signature.args[0], values_, ir.Constant(_LONG, 0), _WORD)
        old = builder.load(at, align=4)
        byte = builder.load(_place(context, builder, signature.args[1], data_, position_, _BYTE), align=1)
        mixed = builder.xor(old, builder.sext(byte, ir.VectorType(_WORD, LANES)))
        new = builder.mul(mixed, _splat(builder, multiplier_))
        some = builder.icmp_unsigned("!=", byte, ir.Constant(ir.VectorType(_BYTE, LANES), [0] * LANES))
        builder.store(builder.select(builder.or_(some, _splat(builder, zeros_too_)), new, old), at, align=4)
        return context.get_dummy_value()

    return types.none(values, data, types.uint64, types.uint32, types.boolean), codegen


@_intrinsic
def remainder_16(
    typing_context: Any, values: Any, divisor: Any, inverse: Any, remainders: Any, item: Any
) -> tuple[Any, Codegen]:
    """Write ``values[:16] % divisor`` to ``remainders`` from its item ``item`` on; all uint32, the item uint64.

    Args:
        divisor: below 2**31.
        inverse: ``(2**32 - 1) // divisor``; the quotient taken with it is the true one or one less.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values_, divisor_, inverse_, remainders_, item_ = arguments
        longs = ir.VectorType(_LONG, LANES)
        at = _place(context, builder, signature.args[0], values_, ir.Constant(_LONG, 0), _WORD)
        value, divisors = builder.load(at, align=4), _splat(builder, divisor_)
        product = builder.mul(builder.zext(value, longs), builder.zext(_splat(builder, inverse_), longs))
        half = ir.Constant(longs, [32] * LANES)
        quotient = builder.trunc(builder.lshr(product, half), ir.VectorType(_WORD, LANES))
        rest = builder.sub(value, builder.mul(quotient, divisors))
        less = builder.sub(rest, divisors)
        rest = builder.select(builder.icmp_unsigned("<", rest, divisors), rest, less)
        builder.store(rest, _place(context, builder, signature.args[3], remainders_, item_, _WORD), align=4)
        return context.get_dummy_value()

    return types.none(values, types.uint32, types.uint32, remainders, types.uint64), codegen
