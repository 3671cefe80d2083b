"""Keys and values of tokens already read, and the buffer in which those of a batch grow."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from transformers import Cache, LlavaForConditionalGeneration
from transformers.cache_utils import DynamicLayer

_MODEL_TAKES = inspect.signature(LlavaForConditionalGeneration.forward).parameters
CACHE = "cache" if "cache" in _MODEL_TAKES else "past_key_values"
"""Name of the cache argument of a model's forward pass; transformers renamed it in 5.24."""

_ROOM = 64  # tokens; `torch.cat` for each token would copy everything for each token


@dataclass(frozen=True, eq=False, slots=True)
class KeyValues:
    """Keys and values of a run of tokens of one sequence, never changed once made.

    Attributes:
        layers: For each layer the keys and the values, both (1, H, T, D).
    """

    layers: tuple[tuple[Tensor, Tensor], ...]

    @classmethod
    def of(cls, cache: Cache) -> Self:
        """All that a cache of one sequence holds, on the same memory."""
        layers: Any = cache.layers
        return cls(tuple((layer.keys, layer.values) for layer in layers))

    @classmethod
    def taken(cls, cache: Cache, row: int, start: int, stop: int) -> Self:
        """A copy of the positions from `start` to `stop` of one row of a cache."""
        layers: Any = cache.layers
        part = (slice(row, row + 1), slice(None), slice(start, stop))
        return cls(tuple((layer.keys[part].clone(), layer.values[part].clone()) for layer in layers))

    def view(self, length: int) -> Self:
        """The first `length` tokens, on the same memory."""
        return type(self)(tuple((keys[:, :, :length], values[:, :, :length]) for keys, values in self.layers))

    def copy(self, start: int, stop: int) -> Self:
        """The tokens from `start` to `stop`, on memory of their own."""
        part = (slice(None), slice(None), slice(start, stop))
        return type(self)(tuple((keys[part].clone(), values[part].clone()) for keys, values in self.layers))

    def __len__(self) -> int:
        return int(self.layers[0][0].shape[2])

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return sum(keys.nbytes + values.nbytes for keys, values in self.layers)


class GrowingLayer(DynamicLayer):
    """One layer of a batch: grows by many tokens at a time, and gives up rows."""

    keys: Any  # a view of the first buffer's used part; None before the first update
    values: Any

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._buffers: tuple[Tensor, ...] = ()

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:  # noqa: ANN401 - transformers' interface
        """Add (B, H, T, D) keys and values; give all so far, as views."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._buffers = (key_states[:, :, :0], value_states[:, :, :0])
            self.keys, self.values = self._buffers
        used = self.keys.shape[2]
        needed = used + key_states.shape[2]
        if needed > self._buffers[0].shape[2]:
            self._buffers = tuple(_enlarged(buffer, used, needed + _ROOM) for buffer in self._buffers)
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, used:needed] = states
        self.keys, self.values = (buffer[:, :, :needed] for buffer in self._buffers)
        return self.keys, self.values

    def keep(self, rows: Sequence[int], start: int) -> None:
        """Keep some rows, and of them what lies from position `start` on."""
        index = torch.tensor(rows, device=self.keys.device)
        self._buffers = tuple(held[:, :, start:].index_select(0, index) for held in (self.keys, self.values))
        self.keys, self.values = self._buffers


class GrowingCache(Cache):
    """Keys and values of a batch of sequences of their own, (B, H, T, D) in each layer."""

    layers: list[Any]

    def __init__(self) -> None:
        super().__init__(layer_class_to_replicate=GrowingLayer)

    def keep(self, rows: Sequence[int], start: int) -> None:
        """Keep some rows, and of them what lies from position `start` on."""
        for layer in self.layers:
            layer.keep(rows, start)


def _enlarged(buffer: Tensor, used: int, length: int) -> Tensor:
    """A buffer for `length` tokens that begins with the `used` ones of another."""
    batch, heads, _, size = buffer.shape
    larger = buffer.new_empty(batch, heads, length, size)
    larger[:, :, :used] = buffer[:, :, :used]
    return larger
