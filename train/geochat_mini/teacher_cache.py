"""The teacher's features of the fixed views, computed once and cached."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from geochat.files import atomic_draft
from geochat_data.records import LabelledImage
from geochat_mini.auxiliary_heads import TEACHER_MAP, TEACHER_VECTOR
from geochat_mini.teacher import Projection, Teacher
from geochat_mini.views import FixedViews

_LOG = logging.getLogger(__name__)
_SIDE = 160  # pixels: a 5 x 5 map, at half the price of the teacher's own 224
_BATCH = 32
_FITTED = 4000  # views the projections are fitted to
_PART = 2000  # views per file


@dataclass(frozen=True)
class TeacherFeatures:
    """Projected features of the fixed views.

    Attributes:
        vectors: (N, V) unit vectors.
        maps: (N, 5, 5, M) unit vectors.
    """

    vectors: Tensor
    maps: Tensor

    def targets(self, number: int | None, grid: int) -> dict[str, Tensor]:
        """Return the heads' targets on `grid` x `grid` patches; for a view that is not fixed, zeros marked as such."""
        vector = torch.zeros(self.vectors.shape[1])
        cells = torch.zeros(grid * grid, self.maps.shape[-1])
        if number is not None:
            vector = self.vectors[number].float()
            coarse = self.maps[number].float().permute(2, 0, 1)[None]  # (1, M, 5, 5)
            fine = functional.interpolate(coarse, size=(grid, grid), mode="bilinear")
            cells = fine[0].flatten(1).T  # (grid², M)
        return {"teacher_vector": vector, "teacher_map": cells, "taught": torch.tensor(number is not None)}


def prepare(fixed: FixedViews, package: Path, folder: Path) -> TeacherFeatures:
    """Read the features from `folder`; compute missing ones with the teacher in `package`.

    Raises:
        DataError: The teacher's package is not whole.
    """
    starts = range(0, fixed.count, _PART)
    missing = [start for start in starts if not _part(folder, start).is_file()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        teacher = Teacher(package)
        whole, part = _projections(teacher, fixed, folder / "projections.pt")
        for start in missing:
            numbers = range(start, min(start + _PART, fixed.count))
            seen = [(whole(vectors), part(maps)) for vectors, maps in _features(teacher, fixed, numbers)]
            vectors, maps = (torch.cat(each).half().numpy() for each in zip(*seen, strict=True))
            with atomic_draft(_part(folder, start)) as draft, draft.open("wb") as file:
                np.savez(file, vectors=vectors, maps=maps)
            _LOG.info("the teacher has seen %d of %d views", numbers.stop, fixed.count)
    parts = [np.load(_part(folder, start)) for start in starts]
    return TeacherFeatures(
        *(torch.from_numpy(np.concatenate([each[name] for each in parts])) for name in ("vectors", "maps"))
    )


def _part(folder: Path, start: int) -> Path:
    return folder / f"{start:06d}.npz"


def _projections(teacher: Teacher, fixed: FixedViews, file: Path) -> tuple[Projection, Projection]:
    """Return the projections of vectors and map cells, fitted once to the first views."""
    if not file.is_file():
        seen = list(_features(teacher, fixed, range(min(_FITTED, fixed.count))))
        vectors = torch.cat([part for part, _ in seen])
        cells = torch.cat([part.flatten(0, 2)[::5] for _, part in seen])
        fitted = Projection.fit(vectors, TEACHER_VECTOR), Projection.fit(cells, TEACHER_MAP)
        with atomic_draft(file) as draft:
            torch.save([(each.mean, each.matrix) for each in fitted], draft)
    whole, part = (Projection(*each) for each in torch.load(file, weights_only=True))
    return whole, part


def _features(teacher: Teacher, fixed: FixedViews, numbers: range) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield vectors (B, 2048) and maps (B, 5, 5, 2048) of some views, batch by batch."""
    for batch in DataLoader(_Shown(fixed, numbers), batch_size=_BATCH, num_workers=1):
        vectors, maps = teacher(batch.numpy())
        yield vectors, maps.permute(0, 2, 3, 1)


class _Shown(torch.utils.data.Dataset[Tensor]):
    """Some of the fixed views as uint8 (S, S, 3)."""

    def __init__(self, fixed: FixedViews, numbers: range) -> None:
        self.fixed = fixed
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Tensor:
        return pixels(self.fixed.view(self.numbers[index], _SIDE))


def pixels(view: LabelledImage) -> Tensor:
    """Return a view's pixels, uint8 (S, S, 3)."""
    assert view.pixels is not None
    return torch.from_numpy(np.array(view.pixels))
