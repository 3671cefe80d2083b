"""The images and conversations the first model is made from."""

import random
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from shapely import Polygon, box

from geochat.prompts import Message
from geochat.regions import OrientedBox
from geochat_data.augment import Augmentation
from geochat_data.questions import DEFAULT_SHARES, build_conversation
from geochat_data.readers import Report, read_tiles, read_ucm
from geochat_data.records import LabelledImage, as_polygon
from geochat_data.scenes import render_scene
from geochat_data.splits import read_names
from geochat_train.first.pools import Pool

_PHOTOGRAPH = Augmentation(zoom=(0.6, 1.0))
_TILE = Augmentation(zoom=(0.5, 1.0))
_RENDERED = Augmentation(zoom=(0.7, 1.0))


@dataclass(frozen=True)
class Material:
    """What training draws from.

    Attributes:
        scenes: The scene classes, sorted.
        pools: UC Merced photographs, map tiles with buildings, rendered scenes.
    """

    scenes: tuple[str, ...]
    pools: tuple[Pool, ...]


def gather(imagery: Path, rendered: int, seed: int) -> tuple[Material, Report]:
    """Read UC Merced's train split less its validation part and overlaps, the tiles, and render scenes.

    Args:
        imagery: Holds `ucm/` and `oam-buildings/`.
        rendered: How many scenes to render.
        seed: The first scene's seed.

    Returns:
        The material, and what was used and skipped.

    Raises:
        DataError: A label file cannot be read.
    """
    report = Report()
    photographs = read_ucm(
        imagery / "ucm", "train", leave_out=read_names("ucm_val") | read_names("ucm_overlap"), report=report
    )
    ucm = _in_memory(photographs)
    tiles = _in_memory(read_tiles(imagery / "oam-buildings", report=report))
    with ProcessPoolExecutor() as workers:
        scenes = list(workers.map(render_scene, range(seed, seed + rendered), chunksize=16))
    boxed = [image for image in ucm if image.objects]
    pools = (
        Pool(ucm, 0.5, _PHOTOGRAPH),
        Pool(boxed, 0.2, _PHOTOGRAPH),
        Pool(tiles, 0.05, _TILE),
        Pool(scenes, 0.25, _RENDERED),
    )
    return Material(tuple(sorted({image.scene for image in ucm if image.scene})), pools), report


def _in_memory(images: Iterable[LabelledImage]) -> list[LabelledImage]:
    return [replace(image, pixels=np.asarray(image.open())) for image in images]


def locating(material: Material) -> Material:
    """The same images, those with boxes drawn more often."""
    shares = (0.2, 0.4, 0.05, 0.35)  # photographs, those with boxes, tiles, rendered
    pools = tuple(replace(pool, weight=share) for pool, share in zip(material.pools, shares, strict=True))
    return replace(material, pools=pools)


def clipped(image: LabelledImage) -> LabelledImage:
    """The image with the boxes of truncated objects fitted to the part that shows.

    Coordinates outside 0-100 are several tokens that all begin with "<", which together outweigh any one number
    while the model is still unsure.
    """
    frame = box(0, 0, image.width, image.height)
    shown = [
        replace(
            thing, polygon=as_polygon(OrientedBox.from_polygon(Polygon(thing.polygon).intersection(frame)).corners())
        )
        if thing.truncated
        else thing
        for thing in image.objects
    ]
    return replace(image, objects=tuple(shown))


def converse(
    image: LabelledImage, rng: random.Random, *, turns: int = 6, shares: Mapping[str, float] = DEFAULT_SHARES
) -> list[tuple[Message, Message]]:
    """Up to `turns` independent questions about an image, each with its answer; none if its labels offer nothing."""
    made = build_conversation(image, rng, turns=turns, shares=shares).turns
    return [(Message("user", turn.question), Message("assistant", turn.answer)) for turn in made]
