"""What a processor does with LANES pixels at once and numba has no words for. Places in arrays are not checked."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

LANES = 16  # pixels, or cells of the cover, that are changed at once
PIXEL_VALUES = 3 * LANES  # of LANES pixels, their reds first, then their greens, then their blues
_FLOATS, _INTS, _BYTES = (ir.VectorType(scalar, LANES) for scalar in (ir.FloatType(), ir.IntType(32), ir.IntType(8)))


def _place(context: Any, builder: Any, kind: Any, array: Any, index: list[Any]) -> Any:
    """Pointer to an element of a matrix, unchecked."""
    whole = context.make_array(kind)(context, builder, array)
    return cgutils.get_item_pointer(context, builder, kind, whole, index)


def _all_lanes(builder: Any, value: Any) -> Any:
    """A number in each lane."""
    one = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), value, ir.IntType(32)(0))
    return builder.shuffle_vector(one, one, ir.Constant(_INTS, [0] * LANES))


def _lowest_bit(typing_context: Any, word: Any) -> Any:
    """Index of the lowest set bit of a uint64 that is not zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


lowest_bit: Any = intrinsic(_lowest_bit)


def _window(typing_context: Any, array: Any, row: Any, column: Any, size: Any) -> Any:
    """`size` values of a row of a matrix from `column` on, unchecked: a slice costs more than what is done with it."""
    view = types.Array(array.dtype, 1, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(context, builder, array, arguments[0], arguments[1:3])
        part = context.make_array(view)(context, builder)
        width = ir.Constant(ir.IntType(64), context.get_abi_sizeof(context.get_data_type(array.dtype)))
        populate_array(
            part, data=place, shape=[arguments[3]], strides=[width], itemsize=width, meminfo=None, parent=None
        )
        return part._getvalue()

    return view(array, types.int64, types.int64, types.int64), generate


window: Any = intrinsic(_window)


def _sum_up(typing_context: Any, cells: Any, row: Any, column: Any, share: Any) -> Any:
    """Turn LANES changes of the share from `column` on into the shares, which begin at `share`; the last of them."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.bitcast(_place(context, builder, cells, arguments[0], arguments[1:3]), _FLOATS.as_pointer())
        total = builder.load(place, align=4)
        zeros = ir.Constant(_FLOATS, [0.0] * LANES)
        shift = 1
        while shift < LANES:
            lanes = [LANES + i if i < shift else i - shift for i in range(LANES)]
            total = builder.fadd(total, builder.shuffle_vector(total, zeros, ir.Constant(_INTS, lanes)))
            shift *= 2
        total = builder.fadd(total, _all_lanes(builder, arguments[3]))
        builder.store(total, place, align=4)
        return builder.extract_element(total, ir.IntType(32)(LANES - 1))

    return types.float32(cells, types.int64, types.int64, types.float32), generate


sum_up: Any = intrinsic(_sum_up)


def _flood(typing_context: Any, colours: Any, row: Any, column: Any, red: Any, green: Any, blue: Any) -> Any:
    """Give LANES pixels, whose values begin at `column`, one colour."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.bitcast(_place(context, builder, colours, arguments[0], arguments[1:3]), _FLOATS.as_pointer())
        for k in range(3):
            at = builder.gep(place, [ir.IntType(32)(k)])
            builder.store(_all_lanes(builder, arguments[3 + k]), at, align=4)
        return context.get_dummy_value()

    return types.none(colours, types.int64, types.int64, types.float32, types.float32, types.float32), generate


flood: Any = intrinsic(_flood)


def _expose(
    typing_context: Any, image: Any, row: Any, column: Any, colours: Any, from_row: Any, from_column: Any,
    noise: Any, grain: Any, strength: Any,
) -> Any:  # fmt: skip
    """Bytes of LANES pixels: their colours and `strength` times the noise from number `grain` of its sequence on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        seen = builder.bitcast(_place(context, builder, colours, arguments[3], arguments[4:6]), _FLOATS.as_pointer())
        scale, three = _all_lanes(builder, arguments[8]), ir.IntType(64)(3)
        found = []
        for k in range(3):
            number = builder.add(arguments[7], ir.IntType(64)(k))
            index = [builder.urem(number, three), builder.udiv(number, three)]
            grains = builder.bitcast(_place(context, builder, noise, arguments[6], index), _BYTES.as_pointer())
            moved = builder.sitofp(builder.load(grains, align=1), _FLOATS)
            moved = builder.fadd(moved, ir.Constant(_FLOATS, [0.5] * LANES))
            value = builder.load(builder.gep(seen, [ir.IntType(32)(k)]), align=4)
            value = builder.fadd(value, builder.fmul(scale, moved))
            for sign, bound in ((">", 0.0), ("<", 255.0)):
                limit = ir.Constant(_FLOATS, [bound] * LANES)
                value = builder.select(builder.fcmp_ordered(sign, value, limit), value, limit)
            found.append(builder.trunc(builder.fptosi(value, _INTS), _BYTES))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), 2 * LANES), list(range(2 * LANES)))
        first = builder.shuffle_vector(found[0], found[1], lanes)
        last = builder.shuffle_vector(found[2], found[2], lanes)
        order = [i // 3 + LANES * (i % 3) for i in range(3 * LANES)]
        order = ir.Constant(ir.VectorType(ir.IntType(32), 3 * LANES), order)
        woven = builder.shuffle_vector(first, last, order)
        stored = _place(context, builder, image, arguments[0], arguments[1:3])
        builder.store(woven, builder.bitcast(stored, woven.type.as_pointer()), align=1)
        return context.get_dummy_value()

    int64 = types.int64
    return types.none(image, int64, int64, colours, int64, int64, noise, int64, types.float32), generate


expose: Any = intrinsic(_expose)
