"""The weights in an ONNX file, in the order of their use, without the `onnx` package.

Only what is needed for that is read of the file, a message of protocol buffers: the nodes of its graph and
the tensors that they name.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cadenza_remix.errors import WeightsError

# Numbers of fields in onnx.proto.
GRAPH = 7
NODE, INITIALIZER = 1, 5
INPUT, OPERATOR = 1, 4
DIMENSIONS, DATA_TYPE, FLOAT_DATA, NAME, RAW_DATA = 1, 2, 4, 8, 9
FLOAT = 1  # a data type
# How a field is coded.
VARINT, EIGHT_BYTES, COUNTED, FOUR_BYTES = 0, 1, 2, 5

Step = tuple[str, list[Tensor]]


def read_steps(path: Path) -> list[Step]:
    """The operators that have weights, such as `Conv` and `MatMul`, with these, as the graph applies them.

    Raises:
        WeightsError: if the file is none of ONNX, or holds no floats of 32 bits.
    """
    try:
        (graph,) = _messages(memoryview(path.read_bytes()), GRAPH)
        tensors = dict(_tensor(message) for message in _messages(graph, INITIALIZER))
        steps = [
            (
                bytes(next(_messages(node, OPERATOR))).decode(),
                [tensors[name] for name in map(bytes, _messages(node, INPUT)) if name in tensors],
            )
            for node in _messages(graph, NODE)
        ]
    except Exception as error:  # as many kinds as there are ways to be damaged
        raise WeightsError(
            f"{path} cannot be read as ONNX ({type(error).__name__}); fetch it again."
        ) from error
    return [(operator, weights) for operator, weights in steps if weights]


def _tensor(message: memoryview) -> tuple[bytes, Tensor]:
    """Name and values."""
    fields = list(_fields(message))
    data_type = [value for number, value in fields if number == DATA_TYPE]
    if data_type != [FLOAT]:
        return b"", torch.zeros(0)  # such as a shape
    (name,) = _messages(message, NAME)
    (data,) = [value for number, value in fields if number in (RAW_DATA, FLOAT_DATA)]
    dimensions: list[int] = []
    for number, value in fields:
        if number == DIMENSIONS:
            dimensions += [value] if isinstance(value, int) else _varints(value)
    values = np.frombuffer(data, "<f4").reshape(dimensions)  # type: ignore[arg-type]
    return bytes(name), torch.from_numpy(values.copy())


def _messages(message: memoryview, wanted: int) -> Iterator[memoryview]:
    """What stands in the fields of a number, each a message, a text or bytes."""
    for number, value in _fields(message):
        if number == wanted and not isinstance(value, int):
            yield value


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and content of every field."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, coded = key >> 3, key & 7
        if coded == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if coded == COUNTED:
            size, at = _varint(message, at)
        else:
            size = {EIGHT_BYTES: 8, FOUR_BYTES: 4}[coded]
        if at + size > len(message):
            raise EOFError
        yield number, message[at : at + size]
        at += size


def _varints(packed: memoryview) -> list[int]:
    values, at = [], 0
    while at < len(packed):
        value, at = _varint(packed, at)
        values.append(value)
    return values


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value, shift = 0, 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
