"""Attention to a beginning that several sequences share.

The rows of a batch that ask about one image begin with the same tokens. Their keys and values are held once, and all
those rows' queries meet them in one matrix product; what each row says of its own lies in the ordinary cache. The parts
of a softmax over disjoint keys are exact when put together with their weights (Milakov & Gimelshein 2018), as
cascade inference does on GPUs (Juravsky et al. 2024, "Hydragen"). So an image's keys are neither copied for a
question nor read once a row: a decoding step reads them once for the whole batch.

Spans travel as a keyword argument of the model's forward pass, which transformers hands on to the attention function.
Without them the function is transformers' own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from geochat.engines.keyvalues import KeyValues

_NAME = "sdpa_shared_beginnings"
_QUERIES = 1024  # at once over the batch; bounds the memory that scores take


@dataclass(frozen=True, eq=False, slots=True)
class Span:
    """Keys and values that the rows from `start` to `stop` of a batch attend to, all of them."""

    start: int
    stop: int
    keyvalues: KeyValues


def share_beginnings(model: PreTrainedModel) -> None:
    """Let the language model of `model` take `spans`; without them it computes as before."""
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
    """Attention of queries to the spans and to their rows' own keys.

    Args:
        module: The layer's attention, which knows its number and scale.
        query: (B, Hq, T, D).
        key: (B, Hkv, N, D), the rows' own.
        value: As `key`.
        attention_mask: Which of the own keys a query sees, boolean (B, 1, T, N); None for all, or causal without spans.
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
    """(B, Hq, T, D) for scaled queries."""
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
    """Over the last axis of scores, overwritten: peak, sum of w = exp(score - peak), and sum of w times value."""
    peak = scores.amax(-1, keepdim=True)
    weights = scores.sub_(peak).exp_()
    return peak, weights.sum(-1, keepdim=True), (weights.to(values.dtype) @ values).float()
