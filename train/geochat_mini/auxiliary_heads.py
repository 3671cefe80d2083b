"""Auxiliary heads on the tower's patch tokens, used only in training.

They predict from each patch the category of its object and the position of the object's box in the image, in the
numbers that the language model will write, and from the mean patch the scene class and the teacher's features. The
language model's loss alone is too weak a signal for a tower of this size, and contrastive training does not require
positions.

Sources label different things. A patch may be of any category that its image does not label exhaustively, and an
image's scene is contrasted only with the classes that its label excludes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from geochat.geometry import OrientedBox
from geochat_data.records import LabelledImage
from geochat_mini.classes import NAMES, against, classes_of
from geochat_mini.number_tokens import MINI, curve, index_of, nearly
from geochat_mini.orientation import LOOSE
from geochat_mini.sources import source_of

CATEGORIES = (
    "airplane", "storage tank", "tennis court", "baseball diamond", "building", "car", "ship", "solar panel",
    "swimming pool", "overpass", "ground track field", "lake",
)  # fmt: skip
HEAD_OF: Mapping[str, str] = MappingProxyType(
    {**{name: name for name in CATEGORIES}, **dict.fromkeys(("vehicle", "van", "bus", "truck"), "car")}
)
"""The category of a patch by the category of its object; vehicles of all kinds are one."""
UNKNOWN = -100
TEACHER_VECTOR, TEACHER_MAP = 256, 64
_BACKGROUND = 0
_COORDINATES = 5  # x1, y1, x2, y2, θ
_CURVE = 64


@dataclass(frozen=True)
class Weights:
    """Weights of the parts of the heads' loss."""

    scene: float = 1.0
    category: float = 1.0
    box: float = 0.25
    teacher: float = 2.0
    small: float = 0.0  # 0: every patch on an object counts alike; 1: every object does; between, small ones count more


class AuxiliaryHeads(nn.Module):
    """Heads: scene class and teacher's vector from the mean patch token; category, box and teacher's map from each."""

    curve: Tensor
    nearly: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.scene = nn.Linear(width, len(NAMES))
        self.category = nn.Linear(width, 1 + len(CATEGORIES))
        self.box = nn.Linear(width, _COORDINATES * _CURVE)
        self.vector = nn.Linear(width, TEACHER_VECTOR)
        self.map = nn.Linear(width, TEACHER_MAP)
        self.register_buffer("curve", curve(_CURVE), persistent=False)
        self.register_buffer("nearly", nearly(), persistent=False)

    def forward(self, patches: Tensor, targets: dict[str, Tensor], weights: Weights) -> dict[str, Tensor]:
        """Return weighted losses of patch tokens (B, N, D) against the targets of `head_targets`, stacked."""
        patches = self.norm(patches)
        whole = patches.mean(1)  # (B, D)
        shares = targets["extent"].clamp(min=1).float() ** -weights.small  # (B, N)
        losses = {
            "scene": weights.scene * self._scene(whole, targets),
            "category": weights.category * self._category(patches, targets, shares),
            "box": weights.box * self._box(patches, targets, shares),
        }
        if "teacher_vector" in targets:
            losses["teacher"] = weights.teacher * self._teacher(whole, patches, targets)
        return losses

    def coordinates(self, patches: Tensor) -> Tensor:
        """Return logits over the numbers for each coordinate at normalised patches (..., D): (..., 5, numbers)."""
        asked: Tensor = self.box(patches).unflatten(-1, (_COORDINATES, _CURVE))
        return 0.3 * asked.float() @ self.curve.T

    def _scene(self, whole: Tensor, targets: dict[str, Tensor]) -> Tensor:
        """Compute cross-entropy of the classes that the label may mean against those that it excludes."""
        mine, others = targets["scene"], targets["against"]  # (B, C) each
        known = mine.any(1)
        logits = self.scene(whole).float()
        logits = logits[known].masked_fill(~(mine | others)[known], -math.inf)
        logs = logits.log_softmax(-1).masked_fill(~mine[known], -math.inf).logsumexp(-1)
        smooth = logits.log_softmax(-1).masked_fill(torch.isinf(logits), 0).sum(-1) / (mine | others)[known].sum(-1)
        loss: Tensor = -(0.93 * logs + 0.07 * smooth).sum() / known.sum().clamp(min=1)
        return loss

    def _category(self, patches: Tensor, targets: dict[str, Tensor], shares: Tensor) -> Tensor:
        """Compute the category loss; objects and background have equal weight, however few patches hold objects.

        An empty patch is one of the background or of any category the image does not label exhaustively.
        """
        category = targets["category"]  # (B, N)
        logs = self.category(patches).float().log_softmax(-1)  # (B, N, 1 + C)
        holding = logs.gather(-1, category.clamp(min=0)[..., None])[..., 0]
        possible = targets["possible"][:, None, :]  # (B, 1, 1 + C)
        empty = logs.masked_fill(~possible, -math.inf).logsumexp(-1)
        on_object, off = category > _BACKGROUND, category == _BACKGROUND
        return -(_mean(holding, on_object * shares) + _mean(empty, off))

    def _box(self, patches: Tensor, targets: dict[str, Tensor], shares: Tensor) -> Tensor:
        boxed = targets["boxed"]  # (B, N)
        logits = self.coordinates(patches[boxed])  # (K, 5, numbers)
        wanted = self.nearly[targets["box"][boxed]]  # (K, 5, numbers)
        loss = -(wanted * logits.log_softmax(-1)).sum((-2, -1))  # (K,)
        share = shares[boxed]  # (K,)
        return (loss * share).sum() / share.sum().clamp(min=1e-3)

    def _teacher(self, whole: Tensor, patches: Tensor, targets: dict[str, Tensor]) -> Tensor:
        taught = targets["taught"]  # (B,)
        vector = functional.cosine_similarity(self.vector(whole).float(), targets["teacher_vector"], dim=-1)
        cells = functional.cosine_similarity(self.map(patches).float(), targets["teacher_map"], dim=-1).mean(1)
        return _mean(2 - vector - cells, taught)


def head_targets(image: LabelledImage, grid: int) -> dict[str, Tensor]:
    """Return the heads' targets for a square `image` cut into `grid` x `grid` patches.

    Returns:
        `scene` and `against` (C,), the classes that the label may mean and those it excludes; `category` (grid²,),
        -100 where nothing is known; `box` (grid², 5), rows of the numbers, true where `boxed` (grid²,) says so;
        `extent` (grid²,), of how many patches the object is; `possible` (1 + C,), what an empty patch may be.
    """
    category = np.zeros((grid, grid), np.int64)
    box = np.zeros((grid, grid, _COORDINATES), np.int64)
    boxed = np.zeros((grid, grid), np.bool_)
    extent = np.zeros((grid, grid), np.int64)
    for doubtful in image.ignore:
        category[under(OrientedBox.from_polygon(doubtful.polygon), image.width, grid)] = UNKNOWN
    for thing in sorted(image.objects, key=lambda item: -item.area):  # the smaller of two on a patch wins
        found = OrientedBox.from_polygon(thing.polygon)
        cells = under(found, image.width, grid)
        category[cells] = 1 + CATEGORIES.index(HEAD_OF[thing.category])
        written = found.normalized(MINI.angles.angle_range)
        percent = [100 * v / image.width for v in (written.x1, written.y1, written.x2, written.y2)]
        extent[cells] = cells.sum()
        boxed[cells] = LOOSE not in thing.attributes
        box[cells] = [index_of(number) for number in (*percent, written.angle)]
    all_marked = {HEAD_OF[name] for name in image.labelled if name in HEAD_OF}
    return {
        **_scene_targets(image),
        "category": torch.from_numpy(category.ravel()),
        "box": torch.from_numpy(box.reshape(-1, _COORDINATES)),
        "boxed": torch.from_numpy(boxed.ravel()),
        "extent": torch.from_numpy(extent.ravel()),
        "possible": torch.tensor([True, *(name not in all_marked for name in CATEGORIES)]),
    }


def _scene_targets(image: LabelledImage) -> dict[str, Tensor]:
    mine = classes_of(image.scene) if image.scene else ()
    others = against(image.scene, source_of(image)) if image.scene else frozenset[str]()
    return {
        "scene": torch.tensor([name in mine for name in NAMES]),
        "against": torch.tensor([name in others for name in NAMES]),
    }


def under(box: OrientedBox, side: float, grid: int) -> NDArray[np.bool_]:
    """Return the patches (grid, grid) whose centre lies on a box, or that contain its centre."""
    ticks = (np.arange(grid) + 0.5) * side / grid
    x, y = ticks[None, :] - box.center[0], ticks[:, None] - box.center[1]
    turn = math.radians(box.angle)
    along, across = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    under = (np.abs(along) <= box.width / 2) & (np.abs(across) <= box.height / 2)
    half = side / grid / 2
    return np.asarray(under | ((np.abs(x) <= half) & (np.abs(y) <= half)))


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean, 0 if all weights are."""
    return (values.masked_fill(weights == 0, 0) * weights).sum() / weights.sum().clamp(min=1e-3)
