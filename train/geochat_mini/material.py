"""The images the model is made from: photographs of UC Merced, composites and mosaics of them, rendered scenes."""

import logging
import random
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from shapely import Polygon, box

from geochat.geometry import OrientedBox
from geochat_data.augment import Augmentation, augment
from geochat_data.mosaic import TILES, mosaic
from geochat_data.pasting import Cutout, compose, cut_ground, cut_out
from geochat_data.readers import Report, read_ucm
from geochat_data.readers.boxes import read_boxes, write_boxes
from geochat_data.readers.source import Source
from geochat_data.readers.ucm import UCM_CATEGORIES
from geochat_data.records import LabelledImage, as_polygon
from geochat_data.scenes import render_scene
from geochat_data.splits import read_names

_LOG = logging.getLogger(__name__)
SIDE = 256  # of composites and rendered scenes, pixels
PHOTOGRAPH = Augmentation(zoom=(0.6, 1.0), tilt=10)
COMPOSED = Augmentation(zoom=(0.75, 1.0))
MOSAIC = Augmentation(zoom=(0.6, 1.0))
RENDERED = Augmentation(zoom=(0.5, 1.05))
_PART = 50  # images written and read at a time, by one process each
_TILE = 176  # side of a mosaic's photographs, pixels
_TURNED = Augmentation(zoom=(0.8, 1.0), tilt=10, colour=0.1)
# Scenes that hold none of the four categories, and none that contrastive training must not see.
_BACKGROUNDS = frozenset({"beach", "forest", "river", "harbor", "parking lot", "intersection", "buildings"})


@dataclass(frozen=True)
class Material:
    """What training draws from, in memory.

    Attributes:
        photographs: UC Merced's train split less its validation part and what overlaps its test photographs.
        boxed: Those with boxes.
        composites: Objects of these set into others of these.
        mosaics: Four of these, two by two.
        rendered: Synthetic scenes.
        scenes: The scene classes, sorted.
    """

    photographs: tuple[LabelledImage, ...]
    boxed: tuple[LabelledImage, ...]
    composites: tuple[LabelledImage, ...]
    mosaics: tuple[LabelledImage, ...]
    rendered: tuple[LabelledImage, ...]
    scenes: tuple[str, ...]


def read_photographs(imagery: Path, report: Report) -> list[LabelledImage]:
    """The photographs that may be trained on; `imagery` holds `ucm/`."""
    left_out = read_names("ucm_val") | read_names("ucm_overlap")
    return [clipped(image) for image in read_ucm(imagery / "ucm", "train", leave_out=left_out, report=report)]


def gather(
    imagery: Path, work: Path, *, composites: int, mosaics: int, rendered: int, seed: int
) -> tuple[Material, Report]:
    """Read the photographs, and compose and render the rest into `work` unless it is there already.

    Raises:
        DataError: Labels cannot be read or images not written.
    """
    report = Report()
    files = read_photographs(imagery, report)
    composed = _made(work / "composites", lambda: partial(_compose, _Kit.of(files, seed), seed), composites)
    joined = _made(work / "mosaics", lambda: partial(_put_together, files, _by_category(files), seed), mosaics)
    drawn = _made(work / "rendered", lambda: partial(_render, seed), rendered)
    photographs = [replace(image, pixels=np.asarray(image.open())) for image in files]
    boxed = tuple(image for image in photographs if image.objects)
    scenes = tuple(sorted({image.scene for image in photographs if image.scene}))
    return Material(tuple(photographs), boxed, composed, joined, drawn, scenes), report


def clipped(image: LabelledImage) -> LabelledImage:
    """The image with the boxes of truncated objects fitted to the part that shows: what lies outside cannot be seen."""
    frame = box(0, 0, image.width, image.height)
    shown = [
        replace(
            thing, polygon=as_polygon(OrientedBox.from_polygon(Polygon(thing.polygon).intersection(frame)).corners())
        )
        if thing.truncated or not frame.contains(Polygon(thing.polygon))
        else thing
        for thing in image.objects
    ]
    return replace(image, objects=tuple(shown))


@dataclass(frozen=True)
class _Kit:
    """What composites are made of."""

    cutouts: dict[str, list[Cutout]]
    ground: list[Cutout]
    backgrounds: list[LabelledImage]

    @classmethod
    def of(cls, photographs: list[LabelledImage], seed: int) -> "_Kit":
        backgrounds = [image for image in photographs if image.scene in _BACKGROUNDS]
        cutouts: dict[str, list[Cutout]] = {}
        for piece in cut_out(photographs):
            cutouts.setdefault(str(piece.category), []).append(piece)
        return cls(cutouts, cut_ground(backgrounds, 400, random.Random(seed)), backgrounds)


def _compose(kit: _Kit, seed: int, index: int) -> LabelledImage:
    """One composite: of one category mostly, else of two or three."""
    rng = random.Random(f"{seed}/composite/{index}")
    kinds = rng.sample(sorted(kit.cutouts), rng.choice((1, 1, 1, 2, 2, 3)))
    most = 5 if len(kinds) == 1 else 3
    counts = [min(rng.randint(1, most), rng.randint(1, most)) for _ in kinds]
    objects = [rng.choice(kit.cutouts[kind]) for kind, count in zip(kinds, counts, strict=True) for _ in range(count)]
    ground = rng.sample(kit.ground, rng.randint(0, 3))
    return compose(rng.choice(kit.backgrounds), objects, ground, rng, UCM_CATEGORIES)


def _by_category(photographs: list[LabelledImage]) -> dict[str, list[LabelledImage]]:
    """The photographs that hold objects, by what they hold."""
    found: dict[str, list[LabelledImage]] = {}
    for image in photographs:
        for category in sorted({item.category for item in image.objects}):
            found.setdefault(category, []).append(image)
    return found


def _put_together(
    photographs: list[LabelledImage], by_category: dict[str, list[LabelledImage]], seed: int, index: int
) -> LabelledImage:
    """One mosaic: two to four tiles with objects, of different categories where there are so many, the rest any."""
    rng = random.Random(f"{seed}/mosaic/{index}")
    kinds = rng.sample(sorted(by_category), min(len(by_category), rng.choice((2, 3, 3, 4))))
    chosen = [rng.choice(by_category[kind]) for kind in kinds]
    chosen += rng.choices(photographs, k=TILES - len(chosen))
    rng.shuffle(chosen)
    return mosaic([clipped(augment(image, _TILE, _TURNED, rng)) for image in chosen], "mosaic")


def _render(seed: int, index: int) -> LabelledImage:
    return render_scene(seed + index, SIDE)


def _made(folder: Path, maker: Callable[[], Callable[[int], LabelledImage]], count: int) -> tuple[LabelledImage, ...]:
    """`count` images, written to `folder` whole before they are used; `maker` is asked only where they are missing."""
    with ProcessPoolExecutor() as workers:
        if not folder.is_dir():
            draft = folder.with_name(f"{folder.name}.draft")
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            list(workers.map(partial(_write, draft, maker(), count), range(0, count, _PART)))
            draft.rename(folder)
            _LOG.info("wrote %d images to %s", count, folder)
        return tuple(image for part in workers.map(_read, sorted(folder.iterdir())) for image in part)


def _write(folder: Path, make: Callable[[int], LabelledImage], count: int, start: int) -> None:
    """Write the part of the images that begins with number `start`."""
    write_boxes(folder / f"{start:06d}", map(make, range(start, min(count, start + _PART))))


def _read(folder: Path) -> list[LabelledImage]:
    """One part of the images, with their pixels."""
    images = read_boxes(Source(path=folder, report=Report()))
    return [clipped(replace(image, pixels=np.asarray(image.open()))) for image in images]
