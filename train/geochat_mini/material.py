"""The training images: photographs, composites and mosaics of them, rendered scenes."""

import logging
import os
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from geochat_data.augment import MOSAIC_TILES, Augmentation, augment, mosaic
from geochat_data.copy_paste import Cutout, cut_background, cut_objects, paste_cutouts
from geochat_data.readers import Report
from geochat_data.readers.scene_folders import UCM_CATEGORIES
from geochat_data.records import LabelledImage
from geochat_data.synthetic import render_scene
from geochat_mini.cache import cached
from geochat_mini.orientation import LOOSE
from geochat_mini.sources import Terms, clipped, distinct, held_back, read_photographs

_LOG = logging.getLogger(__name__)
SIDE = 256  # of composites and rendered scenes, pixels
_PART = 500  # made images a part of a cache
_TILE = 176  # side of a mosaic's photographs, pixels
_SHORTEST = 28  # pixels of an object that is cut out
_TURNED = Augmentation(zoom=(0.8, 1.0), tilt=10, colour=0.1)
# Scenes that hold none of the four categories, and none that contrastive training must not see.
_BACKGROUNDS = frozenset({"beach", "forest", "river", "harbor", "parking lot", "intersection", "buildings"})


@dataclass(frozen=True)
class Material:
    """Training images, mapped from their caches.

    Attributes:
        photographs: Photographs of all permitted sources.
        composites: Objects of these set into others of these.
        mosaics: Four of UC Merced's, two by two.
        rendered: Synthetic scenes.
    """

    photographs: tuple[LabelledImage, ...]
    composites: tuple[LabelledImage, ...]
    mosaics: tuple[LabelledImage, ...]
    rendered: tuple[LabelledImage, ...]

    def of(self, *folders: str) -> list[LabelledImage]:
        """Return the photographs of some sources, by their folders below the imagery."""
        return [image for image in self.photographs if (image.name or "").startswith(tuple(f"{f}/" for f in folders))]


def gather(
    imagery: Path, work: Path, *, terms: Terms, composites: int, mosaics: int, rendered: int, seed: int
) -> Material:
    """Read the photographs and generate the other images, into caches below `work` unless they exist.

    Raises:
        DataError: Labels cannot be read or images not written.
    """
    photographs = cached(work / f"photographs-{terms}", 1, lambda _: _read(imagery, terms), what="photographs")
    mine = [image for image in photographs if (image.name or "").startswith("ucm/")]
    pieces = [image for image in photographs if (image.name or "").startswith(("ucm/", "more/rsod/"))]
    return Material(
        photographs,
        _made(work / "composites", composites, lambda: partial(_compose, _Kit.of(mine, pieces, seed), seed)),
        _made(work / "mosaics", mosaics, lambda: partial(_put_together, mine, _by_category(mine), seed)),
        _made(work / "rendered", rendered, lambda: partial(_render, seed), workers_pay=True),
    )


def _read(imagery: Path, terms: Terms) -> Iterable[LabelledImage]:
    report = Report()
    found = read_photographs(imagery, terms, report)
    kept = distinct(found, held_back(imagery), report)
    _LOG.info("photographs: %s", report)
    _LOG.info(
        "%d photographs of %s", len(kept), dict(Counter((image.name or "").split("/train/")[0] for image in kept))
    )
    return kept


@dataclass(frozen=True)
class _Kit:
    """The parts of composites."""

    cutouts: dict[str, list[Cutout]]
    ground: list[Cutout]
    backgrounds: list[LabelledImage]

    @classmethod
    def of(cls, photographs: list[LabelledImage], pieces: list[LabelledImage], seed: int) -> "_Kit":
        backgrounds = [image for image in photographs if image.scene in _BACKGROUNDS]
        cutouts: dict[str, list[Cutout]] = {}
        for piece in cut_objects(_exact(image) for image in pieces):
            if piece.category in UCM_CATEGORIES and max(piece.size) >= _SHORTEST:
                cutouts.setdefault(piece.category, []).append(piece)
        return cls(cutouts, cut_background(backgrounds, 400, random.Random(seed)), backgrounds)


def _exact(image: LabelledImage) -> LabelledImage:
    """Return the image without objects whose boxes are larger than the objects."""
    return replace(image, objects=tuple(o for o in image.objects if LOOSE not in o.attributes))


def _compose(kit: _Kit, seed: int, index: int) -> LabelledImage:
    """Make one composite, mostly of one category, else of two or three."""
    rng = random.Random(f"{seed}/composite/{index}")
    kinds = rng.sample(sorted(kit.cutouts), min(len(kit.cutouts), rng.choice((1, 1, 1, 2, 2, 3))))
    most = 5 if len(kinds) == 1 else 3
    counts = [min(rng.randint(1, most), rng.randint(1, most)) for _ in kinds]
    objects = [rng.choice(kit.cutouts[kind]) for kind, count in zip(kinds, counts, strict=True) for _ in range(count)]
    ground = rng.sample(kit.ground, rng.randint(0, 3))
    return paste_cutouts(rng.choice(kit.backgrounds), objects, ground, rng, UCM_CATEGORIES)


def _by_category(photographs: list[LabelledImage]) -> dict[str, list[LabelledImage]]:
    """Group the photographs with objects by the categories in them."""
    found: dict[str, list[LabelledImage]] = {}
    for image in photographs:
        for category in sorted({item.category for item in image.objects}):
            found.setdefault(category, []).append(image)
    return found


def _put_together(
    photographs: list[LabelledImage], by_category: dict[str, list[LabelledImage]], seed: int, index: int
) -> LabelledImage:
    """Make one mosaic: two to four tiles with objects, of different categories if possible, the rest any."""
    rng = random.Random(f"{seed}/mosaic/{index}")
    kinds = rng.sample(sorted(by_category), min(len(by_category), rng.choice((2, 3, 3, 4))))
    chosen = [rng.choice(by_category[kind]) for kind in kinds]
    chosen += rng.choices(photographs, k=MOSAIC_TILES - len(chosen))
    rng.shuffle(chosen)
    return mosaic([clipped(augment(image, _TILE, _TURNED, rng)) for image in chosen], "mosaic")


def _render(seed: int, index: int) -> LabelledImage:
    return render_scene(seed + index, SIDE)


def _made(
    folder: Path, count: int, maker: Callable[[], Callable[[int], LabelledImage]], *, workers_pay: bool = False
) -> tuple[LabelledImage, ...]:
    """Return `count` images in parts of a cache; `maker` is called only for missing ones.

    Processes are worthwhile if making an image takes long and its inputs are small.
    """
    make = cache(maker)

    def part(number: int) -> Iterator[LabelledImage]:
        numbers = range(number * _PART, min(count, (number + 1) * _PART))
        if workers_pay:
            with ProcessPoolExecutor(max_workers=os.cpu_count()) as workers:
                yield from map(clipped, workers.map(make(), numbers, chunksize=16))
        else:
            yield from map(clipped, map(make(), numbers))

    return cached(folder, -(-count // _PART), part, what=folder.name)
