"""What the teacher sees in the taught views, computed once and kept."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from geochat_data.records import LabelledImage
from geochat_mini.pools import Taught
from geochat_mini.teacher import Projection, Teacher
from geochat_mini.tutor import TEACHER_MAP, TEACHER_VECTOR

_LOG = logging.getLogger(__name__)
_SIDE = 160  # pixels: a 5 x 5 map, at half the price of the teacher's own 224
_BATCH = 32
_FITTED = 20_000  # map cells the projection is fitted to


@dataclass(frozen=True)
class Lessons:
    """Projected features of the taught views.

    Attributes:
        vectors: (N, V) unit vectors.
        maps: (N, 5, 5, M) unit vectors.
    """

    vectors: Tensor
    maps: Tensor

    def targets(self, number: int | None, grid: int) -> dict[str, Tensor]:
        """The tutor's targets for a view on `grid` x `grid` patches; zeros, marked as such, where it was not taught."""
        vector = torch.zeros(self.vectors.shape[1])
        cells = torch.zeros(grid * grid, self.maps.shape[-1])
        if number is not None:
            vector = self.vectors[number].float()
            coarse = self.maps[number].float().permute(2, 0, 1)[None]  # (1, M, 5, 5)
            fine = functional.interpolate(coarse, size=(grid, grid), mode="bilinear")
            cells = fine[0].flatten(1).T  # (grid², M)
        return {"teacher_vector": vector, "teacher_map": cells, "taught": torch.tensor(number is not None)}


def prepare(taught: Taught, package: Path, file: Path) -> Lessons:
    """Read the lessons from `file`, or show the teacher in `package` every taught view and write them there.

    Raises:
        DataError: The teacher's package is not whole.
    """
    if not file.is_file():
        teacher = Teacher(package)
        _LOG.info("showing %d views to the teacher", taught.count)
        views = DataLoader(_Shown(taught), batch_size=_BATCH, num_workers=1)
        seen = [tuple(part.half() for part in teacher(batch.numpy())) for batch in views]
        vectors, maps = (torch.cat(parts) for parts in zip(*seen, strict=True))  # (N, 2048), (N, 2048, 5, 5)
        maps = maps.permute(0, 2, 3, 1)  # (N, 5, 5, 2048)
        cells = maps.flatten(0, 2)
        some = cells[torch.linspace(0, len(cells) - 1, min(_FITTED, len(cells))).long()].float()
        whole, part = Projection(vectors.float(), TEACHER_VECTOR), Projection(some, TEACHER_MAP)
        vectors = whole(vectors.float()).half()
        maps = torch.stack([part(each.float()).half() for each in maps])
        draft = file.with_suffix(".draft.npz")
        np.savez(draft, vectors=vectors.numpy(), maps=maps.numpy())
        draft.rename(file)
    with np.load(file) as kept:
        return Lessons(torch.from_numpy(kept["vectors"]), torch.from_numpy(kept["maps"]))


class _Shown(torch.utils.data.Dataset[Tensor]):
    """The taught views as uint8 (S, S, 3)."""

    def __init__(self, taught: Taught) -> None:
        self.taught = taught

    def __len__(self) -> int:
        return self.taught.count

    def __getitem__(self, number: int) -> Tensor:
        return pixels(self.taught.view(number, _SIDE))


def pixels(view: LabelledImage) -> Tensor:
    """A view's pixels, uint8 (S, S, 3)."""
    assert view.pixels is not None
    return torch.from_numpy(np.array(view.pixels))
