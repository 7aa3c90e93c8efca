"""Asking for memory ahead of its use: a hint to the processor that changes no result."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

__all__ = ["fetch"]


@intrinsic  # type: ignore[untyped-decorator]  # numba ships no types
def fetch(typing_context: Any, array: Any, row: Any) -> Any:  # numba's protocol
    """Ask for the cache line of row `row` (and the next, which a row may reach into) of a 1-d array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        view = context.make_array(kind)(context, builder, arguments[0])
        byte = ir.IntType(8).as_pointer()
        offset = builder.mul(arguments[1], builder.extract_value(view.strides, 0))
        at = builder.gep(builder.bitcast(view.data, byte), [offset])
        number = ir.IntType(32)
        shape = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        hint = builder.module.declare_intrinsic("llvm.prefetch", (byte,), shape)
        one, three, zero = (ir.Constant(number, value) for value in (1, 3, 0))
        builder.call(hint, [at, zero, three, one])
        builder.call(hint, [builder.gep(at, [ir.Constant(ir.IntType(64), 48)]), zero, three, one])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate
