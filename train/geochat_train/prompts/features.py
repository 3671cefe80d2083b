"""Labelled scenes, a few per class drawn by a seed, and the features of their views, each encoded once.

The published augmentation is a random crop, resized, and a random flip (torchvision's RandomResizedCrop with its usual
scale 0.08-1 and ratio 3/4-4/3), drawn anew every epoch. Here a few such views of each image are drawn beforehand.
"""

import math
import random
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor

from geochat.clip import DualEncoder
from geochat.clip.templates import letters
from geochat.errors import DataError
from geochat.imagery import open_image
from geochat_data.readers import DataSource, Report, read


@dataclass(frozen=True)
class SceneImages:
    """Image files with their classes.

    Attributes:
        classes: Names, as prompts say them.
        files: The images.
        labels: The number of each image's class.
    """

    classes: tuple[str, ...]
    files: tuple[Path, ...]
    labels: tuple[int, ...]

    def few(self, shots: int, seed: int) -> "SceneImages":
        """Return `shots` images of each class; with the same seed, smaller samples are subsets of larger ones.

        Raises:
            DataError: A class has fewer.
        """
        chosen: list[int] = []
        for number, name in enumerate(self.classes):
            places = [place for place, label in enumerate(self.labels) if label == number]
            if len(places) < shots:
                raise DataError(f"the class {name!r} has {len(places)} images and {shots} were asked for")
            random.Random(f"{seed} {name}").shuffle(places)
            chosen += places[:shots]
        return self._at(chosen, self.classes)

    def of(self, classes: Sequence[str]) -> "SceneImages":
        """Return the images of these classes, with labels among these alone."""
        kept = [place for place, label in enumerate(self.labels) if self.classes[label] in classes]
        return self._at(kept, tuple(classes))

    def without(self, names: Collection[str]) -> "SceneImages":
        """Return the images except those whose file name is among `names`."""
        return self._where(lambda file: file.name not in names)

    def only(self, names: Collection[str]) -> "SceneImages":
        """Return the images whose file name is among `names`."""
        return self._where(lambda file: file.name in names)

    def _where(self, wanted: Callable[[Path], bool]) -> "SceneImages":
        return self._at([place for place, file in enumerate(self.files) if wanted(file)], self.classes)

    def _at(self, places: Sequence[int], classes: tuple[str, ...]) -> "SceneImages":
        labels = tuple(classes.index(self.classes[self.labels[place]]) for place in places)
        return SceneImages(classes, tuple(self.files[place] for place in places), labels)


def read_scenes(folder: Path, classes: Sequence[str] = (), report: Report | None = None) -> SceneImages:
    """Read a folder with one folder of images per class.

    Args:
        folder: Holds a folder for each class.
        classes: Names of the classes to read; `golfcourse` matches "golf course". Other folders are skipped. Empty
            uses the folders' names.
        report: Counts used and skipped items.

    Raises:
        DataError: There are no folders of images, or a class has none.
    """
    source = DataSource(folder, report=Report() if report is None else report)
    found = [(record.path, record.scene) for record in read("folders", source) if record.path and record.scene]
    names = tuple(classes) or tuple(sorted({scene for _, scene in found}))
    numbers = {letters(name): number for number, name in enumerate(names)}
    kept = [(path, numbers[letters(scene)]) for path, scene in found if letters(scene) in numbers]
    if missing := set(range(len(names))) - {number for _, number in kept}:
        raise DataError(f"{folder} has no images of {names[min(missing)]!r}; its folders are the classes")
    return SceneImages(names, tuple(path for path, _ in kept), tuple(number for _, number in kept))


_SCALE = (0.08, 1.0)
_RATIO = (3 / 4, 4 / 3)
_TRIES = 10
_BATCH = 32


class Features:
    """Features of image files, each view of each file encoded once."""

    def __init__(self, encoder: DualEncoder, seed: int = 0) -> None:
        """Create an empty store of an encoder's features; the seed is that of the views."""
        self.encoder = encoder
        self._seed = seed
        self._kept: dict[tuple[Path, int], Tensor] = {}

    def plain(self, files: Sequence[Path]) -> Tensor:
        """Return features of the images as they are classified, (N, D).

        Raises:
            ImageError: An image cannot be read.
        """
        return self.views(files, 1)[0]

    def views(self, files: Sequence[Path], count: int) -> Tensor:
        """Return features of views of the images, (count, N, D); the first is the image as it is classified.

        Raises:
            ImageError: An image cannot be read.
        """
        missing = [file for file in dict.fromkeys(files) if (file, count) not in self._kept]
        for file, features in zip(missing, self._encoded(missing, count), strict=True):
            self._kept[file, count] = features
        return torch.stack([self._kept[file, count] for file in files], 1)

    def _encoded(self, files: Sequence[Path], count: int) -> Iterator[Tensor]:
        """Yield the encoded views of each file, (count, D)."""

        def pixels(file: Path) -> Tensor:  # (count, 3, S, S)
            image = open_image(file).pil()
            return self.encoder.pixels(
                [image, *random_views(image, self.encoder.image_size, count - 1, f"{self._seed} {file.name}")]
            )

        with ThreadPoolExecutor(1) as ahead:
            read = ahead.map(pixels, files)
            while batch := list(islice(read, max(_BATCH // count, 1))):
                yield from self.encoder.encode_pixels(torch.cat(batch)).split(count)


def random_views(image: Image.Image, side: int, count: int, seed: str) -> Iterator[Image.Image]:
    """Yield random crops of an image, `side` pixels square, half of them mirrored."""
    draw = random.Random(seed)
    for _ in range(count):
        view = image.resize((side, side), Image.Resampling.BICUBIC, box=_crop(image.size, draw))
        yield ImageOps.mirror(view) if draw.random() < 0.5 else view


def _crop(size: tuple[int, int], draw: random.Random) -> tuple[int, int, int, int]:
    width, height = size
    for _ in range(_TRIES):
        area = width * height * draw.uniform(*_SCALE)
        ratio = math.exp(draw.uniform(*map(math.log, _RATIO)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = draw.randint(0, width - w), draw.randint(0, height - h)
            return left, top, left + w, top + h
    side = min(width, height)  # an image too long for any of the ratios: its middle
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side
