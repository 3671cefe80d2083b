"""Cached keys and values, and attention to a prefix that several sequences share.

Rows of a batch about one image begin with the same tokens. Their keys and values are stored once, and the queries of
all these rows attend to them in one matrix product; each row's own tokens are in the ordinary cache. The parts of a
softmax over disjoint keys are combined exactly by their weights (Milakov & Gimelshein 2018), as in cascade inference on
GPUs (Juravsky et al. 2024, "Hydragen"). Therefore an image's keys are neither copied for each question nor read once
per row: a decoding step reads them once for the whole batch.

Spans are a keyword argument of the model's forward pass, which transformers passes on to the attention function.
Without them the function is transformers' own.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    Cache,
    LlavaForConditionalGeneration,
    PreTrainedModel,
)
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_MODEL_TAKES = inspect.signature(LlavaForConditionalGeneration.forward).parameters
CACHE = "cache" if "cache" in _MODEL_TAKES else "past_key_values"
"""Name of the cache argument of a model's forward pass; transformers renamed it in 5.24."""

_ROOM = 64  # tokens; `torch.cat` for each token would copy everything for each token
_NAME = "sdpa_shared_beginnings"
_QUERIES = 1024  # at once over the batch; bounds the memory that scores take


@dataclass(frozen=True, eq=False, slots=True)
class KeyValues:
    """Keys and values of a run of tokens of one sequence; immutable.

    Attributes:
        layers: For each layer the keys and the values, both (1, H, T, D).
    """

    layers: tuple[tuple[Tensor, Tensor], ...]

    @classmethod
    def of(cls, cache: Cache) -> Self:
        """Wrap the cache of one sequence, sharing its memory."""
        layers: Any = cache.layers
        return cls(tuple((layer.keys, layer.values) for layer in layers))

    @classmethod
    def taken(cls, cache: Cache, row: int, start: int, stop: int) -> Self:
        """Copy the positions from `start` to `stop` of one row of a cache."""
        layers: Any = cache.layers
        part = (slice(row, row + 1), slice(None), slice(start, stop))
        return cls(tuple((layer.keys[part].clone(), layer.values[part].clone()) for layer in layers))

    def view(self, length: int) -> Self:
        """Return the first `length` tokens, sharing memory."""
        return type(self)(tuple((keys[:, :, :length], values[:, :, :length]) for keys, values in self.layers))

    def copy(self, start: int, stop: int) -> Self:
        """Copy the tokens from `start` to `stop`."""
        part = (slice(None), slice(None), slice(start, stop))
        return type(self)(tuple((keys[part].clone(), values[part].clone()) for keys, values in self.layers))

    def __len__(self) -> int:
        return int(self.layers[0][0].shape[2])

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return sum(keys.nbytes + values.nbytes for keys, values in self.layers)


class GrowingLayer(DynamicLayer):
    """One layer of a batch: its buffer grows by many tokens at a time, and rows can be removed."""

    keys: Any  # a view of the first buffer's used part; None before the first update
    values: Any

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._buffers: tuple[Tensor, ...] = ()

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:  # noqa: ANN401 - transformers' interface
        """Append (B, H, T, D) keys and values; return all so far, as views."""
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
        """Keep some rows, from position `start` on."""
        index = torch.tensor(rows, device=self.keys.device)
        self._buffers = tuple(held[:, :, start:].index_select(0, index) for held in (self.keys, self.values))
        self.keys, self.values = self._buffers

    def join(self, other: "GrowingLayer", length: int) -> None:
        """Append the rows of another layer; both are left-padded with zeros to `length`."""
        pairs = ((self.keys, other.keys), (self.values, other.values))
        self._buffers = tuple(
            torch.cat([pad(held, (0, 0, length - held.shape[2], 0)) for held in pair]) for pair in pairs
        )
        self.keys, self.values = self._buffers


class GrowingCache(Cache):
    """Keys and values of a batch of separate sequences, (B, H, T, D) in each layer."""

    layers: list[Any]

    def __init__(self) -> None:
        super().__init__(layer_class_to_replicate=GrowingLayer)

    def keep(self, rows: Sequence[int], start: int) -> None:
        """Keep some rows, from position `start` on."""
        for layer in self.layers:
            layer.keep(rows, start)

    def join(self, other: "GrowingCache", length: int) -> None:
        """Append the rows of another cache; both are left-padded with zeros to `length`."""
        for layer, joining in zip(self.layers, other.layers, strict=True):
            layer.join(joining, length)


@dataclass(frozen=True, eq=False, slots=True)
class Span:
    """Keys and values shared by the rows from `start` to `stop` of a batch."""

    start: int
    stop: int
    keyvalues: KeyValues


def bytes_per_token(model: PreTrainedModel) -> int:
    """Return the bytes that the keys and values of one token take."""
    config: Any = model.config.get_text_config()
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * size * model.dtype.itemsize)


def share_beginnings(model: PreTrainedModel) -> None:
    """Let the language model of `model` use `spans`; without them it computes as before."""
    AttentionInterface.register(_NAME, attend)
    AttentionMaskInterface.register(_NAME, sdpa_mask)
    model.set_attn_implementation({"text_config": _NAME})


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    spans: Sequence[Span] = (),
    **options: Any,  # noqa: ANN401 - transformers' interface
) -> tuple[Tensor, None]:
    """Compute attention of queries to the spans and to their rows' own keys.

    Args:
        module: The layer's attention, which knows its number and scale.
        query: (B, Hq, T, D).
        key: (B, Hkv, N, D), the rows' own.
        value: As `key`.
        attention_mask: Mask of own keys that a query sees, boolean (B, 1, T, N); None: all, or causal without spans.
        spans: Further keys and values.
        options: For transformers' function.

    Returns:
        (B, T, Hq, D), and no weights.
    """
    if not spans:
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return output, None
    layer: Any = module
    shared = [(slice(span.start, span.stop), *span.keyvalues.layers[layer.layer_idx]) for span in spans]
    step = max(1, _QUERIES // query.shape[0])
    parts = []
    for start in range(0, query.shape[2], step):
        asked = slice(start, start + step)
        mask = None if attention_mask is None else attention_mask[:, :, asked]
        parts.append(_attend(query[:, :, asked] * layer.scaling, (key, value), mask, shared))
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


def _attend(
    query: Tensor, own: tuple[Tensor, Tensor], mask: Tensor | None, shared: Sequence[tuple[slice, Tensor, Tensor]]
) -> Tensor:
    """Compute (B, Hq, T, D) for scaled queries."""
    key, value = own
    batch, heads, length, size = query.shape
    groups = query.reshape(batch, key.shape[1], -1, size)  # (B, Hkv, G T, D): one key head serves G heads
    scores = (groups @ key.transpose(2, 3)).float()  # (B, Hkv, G T, N)
    if mask is not None:
        by_head = scores.view(batch, key.shape[1], -1, length, key.shape[2])
        scores = by_head.masked_fill(~mask[:, :, None], torch.finfo(scores.dtype).min).flatten(2, 3)
    peak, total, summed = _softmax_parts(scores, value)
    for rows, keys, values in shared:
        folded = groups[rows].transpose(0, 1).reshape(key.shape[1], -1, size)  # (Hkv, b G T, D)
        found = _softmax_parts((folded @ keys[0].transpose(1, 2)).float(), values[0])
        other_peak, other_total, other_summed = (
            part.view(key.shape[1], -1, heads // key.shape[1] * length, part.shape[-1]).transpose(0, 1)
            for part in found
        )
        highest = torch.maximum(peak[rows], other_peak)
        weight, other_weight = (peak[rows] - highest).exp(), (other_peak - highest).exp()
        total[rows] = total[rows] * weight + other_total * other_weight
        summed[rows] = summed[rows] * weight + other_summed * other_weight
        peak[rows] = highest
    return (summed / total).to(query.dtype).view(batch, heads, length, size)


def _softmax_parts(scores: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return, over the last axis of scores (overwritten): peak, sum of w = exp(score - peak), and sum of w * value."""
    peak = scores.amax(-1, keepdim=True)
    weights = scores.sub_(peak).exp_()
    return peak, weights.sum(-1, keepdim=True), (weights.to(values.dtype) @ values).float()


def _enlarged(buffer: Tensor, used: int, length: int) -> Tensor:
    """Return a buffer for `length` tokens that starts with the `used` ones of another."""
    batch, heads, _, size = buffer.shape
    larger = buffer.new_empty(batch, heads, length, size)
    larger[:, :, :used] = buffer[:, :, :used]
    return larger
