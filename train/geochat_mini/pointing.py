"""Supervision of attention: where the language model attends while it writes a box or is asked about one.

Writing a coordinate takes two steps that are useless without each other: finding the object's patches, and reading the
number from them. Next-token loss alone learns neither in the available time. Therefore one head in each of two layers
is supervised for the first step: while the numbers of a box are written, and at the end of a question about a region,
as much as possible of its attention should lie on the patches of that box, in any distribution among them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from geochat.geometry import OrientedBox
from geochat_data.encoding import IGNORED
from geochat_mini.auxiliary_heads import under
from geochat_train.tuning.packing import Packed

LAYERS = (1, 2)
_HEAD = 0
_NUMBERS = 5  # of a box: four, a bar, one


@dataclass(frozen=True)
class Pointing:
    """Positions in a row of tokens, and the patches to attend to at each.

    Attributes:
        at: (P,) positions.
        cells: (P, N) the patches, true on the box.
        share: (P,) how much each counts; a box counts one.
    """

    at: Tensor
    cells: Tensor
    share: Tensor


def pointing(row: Packed, boxes: Sequence[OrientedBox], numbers: range, grid: int) -> Pointing:
    """Return the positions of a row that write or follow a box, and its patches.

    Args:
        row: Packed turns.
        boxes: All boxes of its text, in order, in percent.
        numbers: Ids of the number tokens.
        grid: Patches per side.
    """
    ids, labels = row.input_ids.tolist(), row.labels.tolist()
    starts, place = [], 0
    while place < len(ids):
        if ids[place] in numbers:
            starts.append(place)
            place += _NUMBERS + 1
        else:
            place += 1
    if len(starts) != len(boxes):  # a box that is not written in the usual way
        boxes, starts = [], []
    at: list[int] = []
    cells: list[Tensor] = []
    share: list[float] = []
    for start, box in zip(starts, boxes, strict=True):
        if labels[start] != IGNORED:
            positions = list(range(start - 1, start + _NUMBERS))
        else:
            answer = next(p for p in range(start, len(ids)) if labels[p] != IGNORED)
            positions = [start + _NUMBERS, answer - 1]
        at += positions
        share += [1 / len(positions)] * len(positions)
        cells += [torch.from_numpy(under(box, 100, grid).ravel())] * len(positions)
    return Pointing(
        torch.tensor(at, dtype=torch.long),
        torch.stack(cells) if cells else torch.zeros(0, grid * grid, dtype=torch.bool),
        torch.tensor(share),
    )


def join(rows: Sequence[Pointing]) -> dict[str, Tensor]:
    """Return a batch: `point_row` (P,), `point_at` (P,), `point_cells` (P, N), `point_share` (P,)."""
    return {
        "point_row": torch.cat([torch.full_like(row.at, number) for number, row in enumerate(rows)]),
        "point_at": torch.cat([row.at for row in rows]),
        "point_cells": torch.cat([row.cells for row in rows]),
        "point_share": torch.cat([row.share for row in rows]),
    }


def pointing_loss(
    language: Any,  # noqa: ANN401 - a LlamaModel, whose layers are typed as modules
    states: Sequence[Tensor],
    position_ids: Tensor,
    attention_mask: Tensor,
    *,
    image: slice,
    points: dict[str, Tensor],
) -> Tensor:
    """Return the mean over boxes of the negative log of the attention on the target patches.

    Args:
        language: The language model.
        states: Its hidden states, the input of layer l at index l, (B, T, D) each.
        position_ids: (B, T).
        attention_mask: (B, 1, T, T), true where attention is allowed.
        image: Positions of the image's tokens in every row.
        points: See `join`.
    """
    row, at, cells, share = (points[f"point_{name}"] for name in ("row", "at", "cells", "share"))
    allowed = attention_mask[row, 0, at]  # (P, T)
    losses: list[Tensor] = []
    for number in LAYERS:
        layer = language.layers[number]
        width = layer.self_attn.head_dim
        mine = slice(_HEAD * width, (_HEAD + 1) * width)
        normed = layer.input_layernorm(states[number])
        query = functional.linear(normed, layer.self_attn.q_proj.weight[mine])  # (B, T, d)
        key = functional.linear(normed, layer.self_attn.k_proj.weight[mine])
        cos, sin = language.rotary_emb(normed, position_ids)
        query, key = (part[:, 0] for part in apply_rotary_pos_emb(query[:, None], key[:, None], cos, sin))
        scores = torch.einsum("pd,ptd->pt", query[row, at].float(), key[row].float()) / width**0.5  # (P, T)
        logs = scores.masked_fill(~allowed, -torch.inf).log_softmax(-1)
        losses.append(-logs[:, image].masked_fill(~cells, -torch.inf).logsumexp(-1) @ share)
    return torch.stack(losses).mean() / share.sum().clamp(min=1)
