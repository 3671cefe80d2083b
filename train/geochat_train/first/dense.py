"""Training heads on the tower's patch tokens: the scene's class, and at each patch the object it lies on.

They give the tower a direct signal, which the language model's loss alone is too faint for at this size, and are
thrown away afterwards.
"""

import math
from collections.abc import Sequence

import torch
from shapely import Point, Polygon
from torch import Tensor, nn
from torch.nn import functional

from geochat.regions import OrientedBox
from geochat_data.records import LabelledImage

CATEGORIES = ("airplane", "storage tank", "tennis court", "baseball diamond", "building", "car", "ship")
UNKNOWN = -100
_BACKGROUND = 0
_GEOMETRY = 6  # centre offset (2), log sides (2), direction of the long side (2)


class TutorHeads(nn.Module):
    """Scene class from the mean patch token, category and box from each."""

    def __init__(self, width: int, scenes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.scene = nn.Linear(width, scenes)
        self.cell = nn.Linear(width, 1 + len(CATEGORIES) + _GEOMETRY)

    def forward(self, patches: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        """Losses of patch tokens (B, N, D) against `scene` (B,), `category` (B, N) and `geometry` (B, N, 6)."""
        patches = self.norm(patches)
        scene = functional.cross_entropy(
            self.scene(patches.mean(1)), targets["scene"], ignore_index=UNKNOWN, label_smoothing=0.1, reduction="sum"
        )
        cells = self.cell(patches)  # (B, N, 1 + C + 6)
        category = functional.cross_entropy(
            cells[..., :-_GEOMETRY].flatten(0, 1), targets["category"].flatten(), ignore_index=UNKNOWN
        )
        on_object = targets["category"] > _BACKGROUND  # (B, N)
        geometry = functional.smooth_l1_loss(
            cells[..., -_GEOMETRY:][on_object], targets["geometry"][on_object], beta=0.1, reduction="sum"
        )
        known = (targets["scene"] != UNKNOWN).sum().clamp(min=1)
        return {
            "scene": scene / known,
            "category": category if (targets["category"] != UNKNOWN).any() else cells.sum() * 0,
            "geometry": geometry / on_object.sum().clamp(min=1),
        }


def tutor_targets(image: LabelledImage, scenes: Sequence[str], grid: int) -> dict[str, Tensor]:
    """What the heads should say of a square `image` cut into `grid` x `grid` patches.

    Returns:
        `scene` (), `category` (grid²,) and `geometry` (grid², 6), -100 where nothing is known.
    """
    # With one category labelled or none, an empty patch may hold any of the others.
    blank = _BACKGROUND if image.objects or len(image.labelled) > 1 else UNKNOWN
    category = torch.full((grid, grid), blank)
    geometry = torch.zeros((grid, grid, _GEOMETRY))
    cell = image.width / grid
    for doubtful in image.ignore:
        for row, column in _cells_under(Polygon(doubtful.polygon), cell, grid):
            category[row, column] = UNKNOWN
    for thing in sorted(image.objects, key=lambda o: -o.area):  # the smaller of two on a patch wins
        box = OrientedBox.from_polygon(thing.polygon)
        for row, column in _cells_under(Polygon(thing.polygon), cell, grid):
            category[row, column] = 1 + CATEGORIES.index(thing.category)
            geometry[row, column] = _describe(box, (column + 0.5) * cell, (row + 0.5) * cell, image.width)
    scene = scenes.index(image.scene) if image.scene in scenes else UNKNOWN
    return {
        "scene": torch.tensor(scene),
        "category": category.flatten(),
        "geometry": geometry.flatten(0, 1),
    }


def _cells_under(shape: Polygon, cell: float, grid: int) -> set[tuple[int, int]]:
    """The patches whose centre is on `shape`, and the one that holds its centre."""
    left, top, right, bottom = (int(min(grid - 1, max(0, edge // cell))) for edge in shape.bounds)
    cells = {
        (row, column)
        for row in range(top, bottom + 1)
        for column in range(left, right + 1)
        if shape.contains(Point((column + 0.5) * cell, (row + 0.5) * cell))
    }
    column, row = int(shape.centroid.x // cell), int(shape.centroid.y // cell)
    if 0 <= row < grid and 0 <= column < grid:
        cells.add((row, column))
    return cells


def _describe(box: OrientedBox, x: float, y: float, side: float) -> Tensor:
    """A box as seen from the patch at (x, y): where its centre is, how long its sides, which way the long one runs."""
    center_x, center_y = box.center
    turn = box.angle if box.width >= box.height else box.angle + 90
    long, short = max(box.width, box.height, 1.0), max(min(box.width, box.height), 1.0)
    double = math.radians(2 * turn)
    return torch.tensor(
        [
            8 * (center_x - x) / side,
            8 * (center_y - y) / side,
            math.log(8 * long / side),
            math.log(8 * short / side),
            math.cos(double),
            math.sin(double),
        ]
    )
