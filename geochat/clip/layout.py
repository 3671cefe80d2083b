"""Prompts as token embeddings: learned vectors, a class's tokens, a full stop and the end token, for the text tower.

CoOp (Zhou et al. 2022, arXiv 2109.01134), with the class at the end, in the middle or in front:
[V]_1 .. [V]_M [CLASS], [V]_1 .. [V]_M/2 [CLASS] [V]_M/2+1 .. [V]_M, [CLASS] [V]_1 .. [V]_M.

If the tower is causal, as CLIP's is, the common prefix of several prompts is read once: the prompts share a row, each
attending to the prefix and to itself, at the positions it would have alone. With 16 vectors and 21 classes this needs a
quarter of the computation, and the features are the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional
from transformers import SiglipModel

from geochat.clip.encoder import DualEncoder
from geochat.clip.templates import spoken
from geochat.errors import SettingsError

Position = Literal["end", "middle", "front"]
_TOGETHER = 64  # prompts in a row at most: attention grows with the square of its length
_OUTSIDE = -1


@dataclass(frozen=True)
class PromptSettings:
    """Layout of a learned prompt.

    Attributes:
        vectors: Number of learned vectors, M.
        words: Initial words, which set the number of vectors to their tokens; empty for random vectors.
        position: Position of the class's name: "end", "middle" or "front".
        class_specific: Whether each class has vectors of its own.
    """

    vectors: int = 16
    words: str = ""
    position: Position = "end"
    class_specific: bool = False

    def __post_init__(self) -> None:
        if self.vectors < 1:
            raise SettingsError(f"{self.vectors} context vectors leave nothing to learn; give at least 1")
        if self.position not in get_args(Position):
            raise SettingsError(f"position {self.position!r} is unknown; choose one of {', '.join(get_args(Position))}")


@dataclass(frozen=True, eq=False)
class PromptLayout:
    """K prompts in R rows of T positions.

    Attributes:
        index: (R, T), content of each position: a row of the vectors, then of `fixed`.
        positions: (R, T), position of each token in its prompt.
        mask: (R, 1, T, T), 0 where attention is allowed, else the lowest number; None if all is allowed.
        ends: (K, 2), row and position at which each prompt's feature is read.
        fixed: (U, W), embeddings of the fixed tokens.
    """

    index: Tensor
    positions: Tensor
    mask: Tensor | None
    ends: Tensor
    fixed: Tensor


def lay_out(encoder: DualEncoder, classes: Sequence[str], settings: PromptSettings) -> PromptLayout:
    """Arrange the prompts of `classes` for an encoder's text tower.

    Raises:
        SettingsError: There are no classes, one is there twice or has no name, or a prompt does not fit the context.
    """
    names = check_classes(classes)
    looks_back = not isinstance(encoder.model, SiglipModel)
    prompts = [_prompt(encoder, name, number, settings) for number, name in enumerate(names)]
    for name, prompt in zip(names, prompts, strict=True):
        if len(prompt) > encoder.context_length:
            raise SettingsError(
                f"{settings.vectors} vectors and {name!r} make {len(prompt)} tokens and {encoder.name} reads "
                f"{encoder.context_length}; take fewer vectors"
            )
    together = _TOGETHER if looks_back and not settings.class_specific else 1
    rows = [_Row(prompts[start : start + together]) for start in range(0, len(prompts), together)]
    if not looks_back:
        for row in rows:
            row.fill(encoder.context_length, int(encoder.tokenizer.pad_token_id))
    return _as_tensors(encoder, rows, settings.vectors * (len(names) if settings.class_specific else 1), looks_back)


def check_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """Check that the classes are valid and distinct, and return them.

    Raises:
        SettingsError: There are none, one is there twice, or one has no name.
    """
    names = tuple(classes)
    if not names:
        raise SettingsError("there are no classes; name at least one")
    if not all(name.strip() for name in names):
        raise SettingsError("a class has an empty name; leave it out or name it")
    if twice := [name for name in names if names.count(name) > 1]:
        raise SettingsError(f"the class {twice[0]!r} is named twice; name it once")
    return names


def encode_prompts(encoder: DualEncoder, layout: PromptLayout, vectors: Tensor) -> Tensor:
    """Return the features g(t_i) of prompts with these vectors; gradients flow to the vectors.

    Args:
        encoder: Its text tower reads them.
        layout: Layout of that encoder.
        vectors: (B, V, W): of V rows each, in the tower's token space.

    Returns:
        (B, K, D), of length 1, in the dtype of `vectors`.
    """
    tower: Any = encoder.model.text_model
    batch, (rows, places) = vectors.shape[0], layout.index.shape
    pool = torch.cat([vectors.to(layout.fixed.dtype), layout.fixed.expand(batch, -1, -1)], 1)  # (B, V + U, W)
    embedded = pool[:, layout.index.flatten()].reshape(batch * rows, places, -1)  # (B R, T, W)
    # rows may hold more places than a prompt has positions, so that the embeddings' own forward would refuse them
    hidden = embedded + tower.embeddings.position_embedding(layout.positions).repeat(batch, 1, 1)
    mask = None if layout.mask is None else layout.mask.repeat(batch, 1, 1, 1)
    hidden = tower.encoder(inputs_embeds=hidden, attention_mask=mask).last_hidden_state
    ends = hidden.view(batch, rows, places, -1)[:, layout.ends[:, 0], layout.ends[:, 1]]  # (B, K, W)
    project = tower.head if isinstance(encoder.model, SiglipModel) else encoder.model.text_projection
    return functional.normalize(project(tower.final_layer_norm(ends)).to(vectors.dtype), dim=-1)


_Item = tuple[str, int]  # ("vector", row) or ("token", id)


def _prompt(encoder: DualEncoder, name: str, number: int, settings: PromptSettings) -> list[_Item]:
    first = number * settings.vectors if settings.class_specific else 0
    context: list[_Item] = [("vector", first + place) for place in range(settings.vectors)]
    before = {"end": settings.vectors, "middle": settings.vectors // 2, "front": 0}[settings.position]
    head, tail = _special(encoder)
    name_ids, stop = word_ids(encoder, spoken(name)), _tokens(_full_stop(encoder))
    if not name_ids:
        raise SettingsError(f"the class {name!r} has no letter that {encoder.name} knows; name it in other words")
    return [*head, *context[:before], *_tokens(name_ids), *context[before:], *stop, *tail]


def word_ids(encoder: DualEncoder, words: str) -> list[int]:
    """Return the ids of words within a text, without start and end tokens."""
    return encoder.ids([f" {words}"], add_special_tokens=False)[0]


def _full_stop(encoder: DualEncoder) -> list[int]:
    """Return the ids of a full stop after a word; for a full stop alone, some tokenizers add a space before it."""
    word, ended = word_ids(encoder, "a"), word_ids(encoder, "a.")
    return ended[len(word) :] if ended[: len(word)] == word else word_ids(encoder, ".")


def _special(encoder: DualEncoder) -> tuple[list[_Item], list[_Item]]:
    """Return the ids that the tokenizer puts before and after a text."""
    (whole,), (bare,) = encoder.ids(["a"]), encoder.ids(["a"], add_special_tokens=False)
    start = next(place for place in range(len(whole)) if whole[place : place + len(bare)] == bare)
    tail = whole[start + len(bare) :]
    if not tail:
        raise SettingsError(
            f"{encoder.name}'s tokenizer ends no text with an end token; prompts cannot be learned for it"
        )
    return _tokens(whole[:start]), _tokens(tail)


def _tokens(ids: Sequence[int]) -> list[_Item]:
    return [("token", number) for number in ids]


class _Row:
    """Prompts in one row: their common prefix, then the rest of each."""

    def __init__(self, prompts: list[list[_Item]]) -> None:
        alike = takewhile(lambda items: len(set(items)) == 1, zip(*prompts, strict=False))
        shared = min(sum(1 for _ in alike), min(map(len, prompts)) - 1)
        self.items = prompts[0][:shared]
        self.positions = list(range(shared))
        self.owners = [0] * shared  # 0 is everybody
        self.ends = []
        for owner, prompt in enumerate(prompts, 1):
            rest = prompt[shared:]
            self.items += rest
            self.positions += range(shared, len(prompt))
            self.owners += [owner] * len(rest)
            self.ends.append(len(self.items) - 1)

    def fill(self, length: int, token: int) -> None:
        """Pad the row's one prompt so that its last position is the one that is read."""
        missing = length - len(self.items)
        self.items += [("token", token)] * missing
        self.positions = list(range(length))
        self.owners += [1] * missing
        self.ends = [length - 1]


def _as_tensors(encoder: DualEncoder, rows: list[_Row], vectors: int, looks_back: bool) -> PromptLayout:
    ids = sorted({number for row in rows for kind, number in row.items if kind == "token"})
    place_of = {("token", number): vectors + place for place, number in enumerate(ids)}
    length = max(len(row.items) for row in rows)
    index, positions, owners = (torch.zeros(len(rows), length, dtype=torch.long) for _ in range(3))
    owners += _OUTSIDE
    for number, row in enumerate(rows):
        held = len(row.items)
        index[number, :held] = torch.tensor([place_of.get(item, item[1]) for item in row.items])
        positions[number, :held] = torch.tensor(row.positions)
        owners[number, :held] = torch.tensor(row.owners)
    ends = torch.tensor([(number, end) for number, row in enumerate(rows) for end in row.ends])
    device, tower = encoder.device, encoder.model.text_model
    with torch.no_grad():
        fixed = tower.embeddings.token_embedding(torch.tensor(ids, device=device))
    mask = _mask(positions, owners, encoder.model.dtype).to(device) if looks_back else None
    return PromptLayout(index.to(device), positions.to(device), mask, ends.to(device), fixed)


def _mask(positions: Tensor, owners: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a mask in which each position attends to itself and to earlier positions of its own prompt."""
    earlier = positions[:, None, :] <= positions[:, :, None]  # (R, T, T): asked, attended
    own = (owners[:, None, :] == 0) | (owners[:, None, :] == owners[:, :, None])
    closed = torch.full(own.shape, torch.finfo(dtype).min, dtype=dtype)
    return closed.masked_fill(earlier & own, 0.0)[:, None]
