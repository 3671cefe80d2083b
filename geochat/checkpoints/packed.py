"""Matrices stored as packed integers of 4 or 8 bits, unpacked on loading.

compressed-tensors' format "pack-quantized", which transformers and vLLM read, stores a matrix (O, I) as three tensors:
`_packed`, its integers in int32, the first in the lowest bits and each raised by half its range; `_scale`, one for each
group of weights in a row; and `_shape`, the two numbers O and I. Zero points and reordered groups are refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from geochat.checkpoints.tensors import OpenTensors, Reader, Stored
from geochat.errors import CheckpointError

_BITS = (4, 8)
_PACKED, _SCALE, _SHAPE = "_packed", "_scale", "_shape"
_REFUSED = {"_zero_point": "zero points", "_g_idx": "groups in another order"}


@dataclass(frozen=True)
class Packed(Stored):
    """A matrix of packed integers.

    Attributes:
        scale: The scales, (O, G).
        bits: Bits of an integer.
    """

    scale: Stored
    bits: int

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        rows, columns = self.shape
        return 4 * rows * _words(columns, self.bits) + self.scale.nbytes

    def load(self, opened: OpenTensors) -> Tensor:
        """The matrix (O, I) in the scales' precision, as compressed-tensors computes it."""
        words = opened(self.file)(self.name)  # (O, I * bits / 32)
        shifts = torch.arange(0, 32, self.bits, dtype=torch.int32)
        raised = (words.unsqueeze(-1) >> shifts) & (2**self.bits - 1)  # (O, I * bits / 32, 32 / bits)
        integers = raised.flatten(1)[:, : self.shape[1]] - 2 ** (self.bits - 1)
        scales = self.scale.load(opened)
        grouped = integers.to(scales.dtype).unflatten(1, (scales.shape[1], -1))  # (O, G, I / G)
        matrix: Tensor = (grouped * scales.unsqueeze(-1)).flatten(1)
        return matrix


def is_packed(stated: object) -> bool:
    """Return whether a config's statement about quantisation names this format."""
    return (
        isinstance(stated, Mapping)
        and stated.get("quant_method") == "compressed-tensors"
        and stated.get("format") == "pack-quantized"
    )


def assembled(tensors: Mapping[str, Stored]) -> dict[str, Stored]:
    """The tensors with each packed matrix under its own name, in place of the tensors that it is stored as.

    Raises:
        CheckpointError: A part of a matrix is missing, does not fit the others, or is of a kind that is not read.
    """
    reader = Reader()
    found: dict[str, Stored] = {}
    taken: set[str] = set()
    for name, stored in tensors.items():
        refused = next((kind for end, kind in _REFUSED.items() if name.endswith(end)), None)
        if refused:
            raise CheckpointError(f"{stored.file}: {stored.name}: packed weights with {refused} are not read")
        if name.endswith(_PACKED):
            matrix = name.removesuffix(_PACKED)
            if matrix in tensors:
                raise CheckpointError(f"{stored.file} holds both {stored.name} and {matrix}; convert the model again")
            found[matrix] = _matrix(tensors, matrix, reader)
            taken |= {name, matrix + _SCALE, matrix + _SHAPE}
    return {**{name: stored for name, stored in tensors.items() if name not in taken}, **found}


def _matrix(tensors: Mapping[str, Stored], name: str, reader: Reader) -> Packed:
    words = tensors[name + _PACKED]
    lacking = next((end for end in (_SCALE, _SHAPE) if name + end not in tensors), None)
    if lacking:
        raise CheckpointError(f"{words.file}: {words.name} lies there without {name}{lacking}; the copy is incomplete")
    scale, shape = tensors[name + _SCALE], tensors[name + _SHAPE]
    sides: list[Any] = reader.read(shape).tolist() if shape.shape == (2,) else []
    if len(sides) != 2 or shape.dtype != torch.int64 or words.dtype != torch.int32 or min(sides) < 1:
        raise _damaged(words)
    rows, columns = sides
    bits = [bits for bits in _BITS if words.shape == (rows, _words(columns, bits))]
    fitting = len(scale.shape) == 2 and scale.shape[0] == rows and scale.shape[1] > 0 and columns % scale.shape[1] == 0
    if len(bits) != 1 or not fitting:
        raise _damaged(words)
    return Packed(words.file, words.name, (rows, columns), scale.dtype, scale, bits[0])


def _words(columns: int, bits: int) -> int:
    """Integers of 32 bits that a row takes."""
    return -(-columns * bits // 32)


def _damaged(words: Stored) -> CheckpointError:
    return CheckpointError(
        f"{words.file}: {words.name} of shape {words.shape} and its scale and shape do not make a matrix of "
        f"{' or '.join(map(str, _BITS))} bits; copy the checkpoint again"
    )
