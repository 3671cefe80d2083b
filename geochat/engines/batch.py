"""Batched decoding: one forward pass computes the next token of each row.

The rows' own tokens are padded on the left, so that all answers grow at the right edge; padding is masked, and
positions count each row's tokens. Shared tokens are not repeated (see `attention`). An ended row is removed from every
tensor and needs no further computation. New rows join as a batch that has read its prompts.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import LlavaForConditionalGeneration

from geochat.engines.attention import CACHE, GrowingCache, KeyValues, Span
from geochat.engines.prefix import Beginning
from geochat.engines.rows import Row


class Batch:
    """Rows in generation.

    Attributes:
        rows: In the order of the logits. Those that share a beginning are neighbours.
    """

    def __init__(self, model: LlavaForConditionalGeneration, rows: Sequence[Row], suppressed: Tensor) -> None:
        self.rows = sorted(rows, key=lambda row: _identity(row.beginning))
        self._model = model
        self._suppressed = suppressed
        self._cache = GrowingCache()
        self._spans = list(_spans([row.beginning for row in self.rows]))
        self._seen = torch.empty(
            len(rows), 0, dtype=torch.bool
        )  # (B, T) boolean: which positions of the cache are a row's own tokens

    @torch.inference_mode()
    def forward(self) -> Tensor:
        """Read the prompts, or later each row's newest token; return logits (B, V) on the CPU."""
        return self._read_newest() if self._seen.shape[1] else self._read_prompts()

    def _read_prompts(self) -> Tensor:
        length = max(len(row.own) for row in self.rows)
        ids = torch.tensor([[0] * (length - len(row.own)) + list(row.own) for row in self.rows])
        absent = torch.tensor([[length - len(row.own)] for row in self.rows])
        before = torch.tensor([[len(row.beginning)] for row in self.rows])
        steps = torch.arange(length)
        self._seen = steps >= absent
        mask = None  # transformers' own causal one
        if self._spans or len(self.rows) > 1:
            causal = steps[:, None] >= steps[None, :]
            mask = causal & self._seen[:, None, None, :]  # (B, 1, T, T)
            mask = mask | torch.eye(length, dtype=torch.bool)  # padding sees itself: a softmax over nothing is NaN
        return self._forward(ids, (before + steps - absent).clamp(min=0), mask)

    def _read_newest(self) -> Tensor:
        ids = torch.tensor([[row.generated[-1]] for row in self.rows])
        positions = torch.tensor([[len(row.job.prompt.ids) + len(row.generated) - 1] for row in self.rows])
        self._seen = torch.cat([self._seen, torch.ones(len(self.rows), 1, dtype=torch.bool)], dim=1)
        mask = None if bool(self._seen.all()) else self._seen[:, None, None, :]
        return self._forward(ids, positions, mask)

    def keyvalues(self, index: int) -> KeyValues:
        """Copy the keys and values of one row's own tokens, which must have been read."""
        seen = self._seen[index]
        return KeyValues.taken(self._cache, index, len(seen) - int(seen.sum()), len(seen))

    @torch.inference_mode()
    def keep(self, indices: Sequence[int]) -> None:
        """Continue with some rows only."""
        self.rows = [self.rows[index] for index in indices]
        if not self.rows:
            return
        seen = self._seen[list(indices)]
        start = int(seen.any(0).int().argmax())  # the padding that only longer rows needed
        self._seen = seen[:, start:]
        self._cache.keep(indices, start)
        self._spans = list(_spans([row.beginning for row in self.rows]))

    @torch.inference_mode()
    def join(self, other: "Batch") -> None:
        """Append the rows of another batch; both must have been read."""
        if not self.rows or not other.rows:
            joined = other if other.rows else self
            self.rows, self._cache, self._seen, self._spans = joined.rows, joined._cache, joined._seen, joined._spans
            return
        length = max(self._seen.shape[1], other._seen.shape[1])
        self._seen = torch.cat([pad(seen, (length - seen.shape[1], 0)) for seen in (self._seen, other._seen)])
        self._cache.join(other._cache, length)
        self.rows = [*self.rows, *other.rows]
        self.keep(sorted(range(len(self.rows)), key=lambda index: _identity(self.rows[index].beginning)))

    def _forward(self, ids: Tensor, positions: Tensor, mask: Tensor | None) -> Tensor:
        device = self._model.device
        output = self._model(
            input_ids=ids.to(device),
            position_ids=positions.to(device),
            attention_mask=None if mask is None else mask.to(device),
            use_cache=True,
            logits_to_keep=1,
            spans=self._spans,
            **{CACHE: self._cache},
        )
        logits: Tensor = output.logits[:, -1].float().cpu()
        return logits.index_fill(-1, self._suppressed, -math.inf)


def _identity(beginning: Beginning) -> tuple[tuple[int, int], ...]:
    return tuple((id(keyvalues), length) for keyvalues, length in beginning.pieces)


def _spans(beginnings: Sequence[Beginning]) -> Iterator[Span]:
    """Yield one span for each piece and each run of neighbouring rows that share it and all before it."""
    identities = [_identity(beginning) for beginning in beginnings]
    for depth in range(max(map(len, identities), default=0)):
        heads = [identity[: depth + 1] for identity in identities]
        for head, group in groupby(range(len(heads)), key=heads.__getitem__):
            rows = list(group)
            if len(head) > depth:
                keyvalues, length = beginnings[rows[0]].pieces[depth]
                yield Span(rows[0], rows[-1] + 1, keyvalues if length == len(keyvalues) else keyvalues.view(length))
