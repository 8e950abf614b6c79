"""Vectors of a few float64 values as one value in compiled code: what the compiler does not find by itself.

It does so where loops have no dependence from one sample to the next and where it can tell that arrays do not
overlap. A recursion that runs on two signals side by side, or a Fourier transform in place, needs to say it.
Each lane is computed by the same IEEE operations as a single number would be, on any machine.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from llvmlite import ir
from numba.core import types
from numba.core.errors import TypingError
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

WIDE = 8  # lanes of a whole AVX-512 register; elsewhere it takes two or four


class Lanes(Protocol):
    """Some float64 values; `+`, `-` and `*` work lane by lane."""

    def __add__(self, other: "Lanes") -> "Lanes":
        """Sums."""
        ...

    def __sub__(self, other: "Lanes") -> "Lanes":
        """Differences."""
        ...

    def __mul__(self, other: "Lanes") -> "Lanes":
        """Products."""
        ...


class LanesType(types.Type):
    """What numba calls them."""

    def __init__(self, count: int) -> None:
        """Types are equal if their names are."""
        self.count = count
        super().__init__(name=f"Lanes({count})")


@register_model(LanesType)
class LanesModel(models.PrimitiveModel):
    """How the compiler keeps lanes: in a vector register."""

    def __init__(self, manager: Any, lanes: LanesType) -> None:
        """Numba makes it."""
        super().__init__(manager, lanes, ir.VectorType(ir.DoubleType(), lanes.count))


def define(operation: Callable[..., Any], instruction: str) -> None:
    """Let an operator work on lanes."""

    @infer_global(operation)
    class OnLanes(AbstractTemplate):
        """Which operands it takes."""

        def generic(self, args: tuple[Any, ...], _keywords: Any) -> Any:
            """The type of the result."""
            alike = len(args) == 2 and isinstance(args[0], LanesType) and args[0] == args[1]
            return signature(args[0], *args) if alike else None

    @lower_builtin(operation, LanesType, LanesType)
    def lower(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return getattr(builder, instruction)(*args)


def instruction(build: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function for compiled code of one that types its arguments and builds its instructions."""
    made: Callable[..., Any] = intrinsic(build)
    return made


define(operator.add, "fadd")
define(operator.sub, "fsub")
define(operator.mul, "fmul")


@instruction
def pair(_typing: Any, _first: Any, _second: Any) -> Any:
    """Two numbers as lanes."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        vector = ir.Constant(ir.VectorType(ir.DoubleType(), 2), ir.Undefined)
        for i, value in enumerate(args):
            vector = builder.insert_element(vector, value, ir.Constant(ir.IntType(32), i))
        return vector

    return LanesType(2)(types.float64, types.float64), build


def pick(builder: Any, first: Any, second: Any, lanes: Sequence[int]) -> Any:
    """Lanes of two vectors, counted through."""
    return builder.shuffle_vector(
        first, second, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), [*lanes])
    )


@instruction
def join(_typing: Any, first: Any, second: Any) -> Any:
    """Two pairs side by side."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return pick(builder, args[0], args[1], range(4))

    return LanesType(4)(first, second), build


@instruction
def first_pair(_typing: Any, four: Any) -> Any:
    """The former half of four lanes."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return pick(builder, args[0], args[0], range(2))

    return LanesType(2)(four), build


@instruction
def last_pair(_typing: Any, four: Any) -> Any:
    """The latter half of four lanes."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return pick(builder, args[0], args[0], range(2, 4))

    return LanesType(2)(four), build


@instruction
def splat(_typing: Any, _number: Any) -> Any:
    """One number in eight lanes."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        alone = ir.Constant(ir.VectorType(ir.DoubleType(), WIDE), ir.Undefined)
        first = builder.insert_element(alone, args[0], ir.Constant(ir.IntType(32), 0))
        return pick(builder, first, alone, [0] * WIDE)

    return LanesType(WIDE)(types.float64), build


@instruction
def lane(_typing: Any, lanes: Any, _index: Any) -> Any:
    """The number in one lane."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.extract_element(*args)

    return types.float64(lanes, types.intp), build


def address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Of the lanes that begin at an index of a contiguous array."""
    data = context.make_array(array_type)(context, builder, array).data
    vector = ir.VectorType(ir.DoubleType(), WIDE)
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


def check_array(array: Any) -> None:
    """Refuse an array whose neighbours in memory are not its float64 neighbours.

    Raises:
        TypingError: when the kernel is compiled.
    """
    if array.dtype != types.float64 or array.layout != "C":
        raise TypingError(f"Lanes are loaded from {array}; give a contiguous array of float64.")


@instruction
def load(_typing: Any, array: Any, _index: Any) -> Any:
    """Eight neighbours from a contiguous array."""
    check_array(array)

    def build(context: Any, builder: Any, types_: Any, args: Any) -> Any:
        return builder.load(address(context, builder, types_.args[0], *args), align=8)

    return LanesType(WIDE)(array, types.intp), build


@instruction
def store(_typing: Any, array: Any, _index: Any, lanes: Any) -> Any:
    """Write lanes to eight neighbours in a contiguous array."""
    check_array(array)

    def build(context: Any, builder: Any, types_: Any, args: Any) -> Any:
        builder.store(args[2], address(context, builder, types_.args[0], *args[:2]), align=8)
        return context.get_dummy_value()

    return types.none(array, types.intp, lanes), build
