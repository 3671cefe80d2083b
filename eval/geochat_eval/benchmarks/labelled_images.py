"""Labelled images for generated questions: UC Merced's folder, the user's own labels, or synthetic scenes.

User labels (`Sources.reader`) are read by the reader of that name, as in `geochat data build`. `--images` with UC
Merced's `captions.jsonl` is read as UC Merced; `--questions boxes.jsonl` is read as labels of the images in `--images`;
with neither, scenes are rendered from seeds that no training run uses, different ones for each split. The order of
images is shuffled once, so that the first hundred are of all kinds.
"""

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from geochat.errors import DataError
from geochat.files import atomic_draft
from geochat_data.augment import MOSAIC_TILES, mosaic
from geochat_data.readers import DataSource, Report, read, read_ucm
from geochat_data.records import LabelledImage
from geochat_data.splits import read_list
from geochat_data.synthetic import render_scene
from geochat_eval.benchmarks.base import Sources

FIRST_SEED = 900_000_000  # far above those of training
_CHOOSING_SEED = 800_000_000  # of the validation split's scenes


def is_ucm(sources: Sources) -> bool:
    """Return whether the folder of images is UC Merced with its captions."""
    return sources.reader is None and sources.images is not None and (sources.images / "captions.jsonl").is_file()


def is_synthetic(sources: Sources) -> bool:
    """Return whether the images are synthetic scenes."""
    return sources.images is None and sources.questions is None


def reading_split(sources: Sources) -> str:
    """Return the split on disk: validation is a part of UC Merced's training photographs."""
    return "train" if sources.split == "val" else sources.split


def split_filter(sources: Sources) -> Callable[[str], bool]:
    """Return a test of whether a file name belongs to the split."""
    if sources.split == "test":
        return lambda _name: True
    held_out, overlap = read_list("ucm_val"), read_list("ucm_overlap")
    if sources.split == "val":
        return lambda name: name in held_out - overlap
    return lambda name: name not in held_out | overlap


def labelled_images(sources: Sources, report: Report) -> Iterator[LabelledImage]:
    """Read the images, in the same order for the same sources."""
    if is_synthetic(sources):
        first = _CHOOSING_SEED if sources.split == "val" else FIRST_SEED
        for seed in range(first, first + sources.scene_count):
            report.used += 1
            yield render_scene(seed)
        return
    if sources.questions is None and is_ucm(sources):
        kept = split_filter(sources)
        images = read_ucm(sources.folder("UC Merced"), reading_split(sources), report=report)
        found = [image for image in images if image.path is not None and kept(image.path.name)]
    elif sources.reader is not None:
        found = [_on_disk(image, sources) for image in read(sources.reader, user_source(sources, report))]
    else:
        path = sources.file("the labels, boxes.jsonl")
        found = list(read("boxes", DataSource(path, sources.images, sources.split, report=report)))
    random.Random(0).shuffle(found)
    yield from found


def training_images(sources: Sources) -> Iterator[LabelledImage]:
    """Read the training part of the same labels; for UC Merced without validation and overlapping photographs.

    Raises:
        DataError: The labels are the user's and have no training part.
    """
    training = replace(sources, split="train")
    if sources.reader is None:
        return labelled_images(training, Report())
    return iter(read(sources.reader, replace(user_source(training, Report()), split_asked=True)))


def user_source(sources: Sources, report: Report) -> DataSource:
    """Convert to the source that the user's reader takes.

    Raises:
        SettingsError: No path was given.
    """
    path = sources.file("the labels")
    return DataSource(path, sources.images, sources.split, sources.exhaustive, column=sources.column, report=report)


def _on_disk(image: LabelledImage, sources: Sources) -> LabelledImage:
    """Move the record's pixels to a file, so that memory does not hold those of a large raster."""
    if image.path is not None:
        return image
    return replace(image, path=_written(image, sources), pixels=None)


def image_path(image: LabelledImage, sources: Sources) -> str:
    """Return the name of a record's image for a question; an image that is generated is written first.

    Raises:
        DataError: The image cannot be written, or is not below the folder of images.
    """
    if image.path is not None and image.path.parent == sources.rendered:
        return _from_root(image.path, sources)
    if image.path is not None:
        root = sources.root
        if sources.reader is not None:
            return Path(os.path.relpath(image.path.resolve(), root.resolve())).as_posix()
        try:
            return image.path.resolve().relative_to(root.resolve()).as_posix()
        except ValueError:
            raise DataError(f"{image.path} is not below {root}; give a folder above it with --images") from None
    return _written(image, sources).name


def _from_root(path: Path, sources: Sources) -> str:
    """Return the name of one of the user's images that was written into the run's folder."""
    if generates_images(sources):
        return path.name
    return Path(os.path.relpath(path.resolve(), sources.root.resolve())).as_posix()


def generates_images(sources: Sources) -> bool:
    """Return whether all images are generated: synthetic scenes, or windows of a raster."""
    return is_synthetic(sources) or sources.reader == "geo"


def _written(image: LabelledImage, sources: Sources) -> Path:
    """Return the file of a generated image, written if it is missing.

    Raises:
        DataError: It cannot be written.
    """
    path = sources.rendered / f"{image.name}.png"
    if not path.exists():
        try:
            sources.rendered.mkdir(parents=True, exist_ok=True)
            with atomic_draft(path) as draft:
                image.open().save(draft, format="PNG")
        except OSError as error:
            raise DataError(f"{path} cannot be written: {error.strerror}; choose another --out") from error
    return path


def mosaics(images: Iterator[LabelledImage]) -> Iterator[LabelledImage]:
    """Combine photographs of one category each in mosaics of two by two, which hold several categories."""
    waiting: dict[str, list[LabelledImage]] = {}
    for image in images:
        categories = {item.category for item in image.objects}
        if len(categories) == 1:
            waiting.setdefault(categories.pop(), []).append(image)
    number = 0
    while len(waiting) > 1:
        fullest = sorted(waiting, key=lambda category: (-len(waiting[category]), category))[:MOSAIC_TILES]
        yield mosaic([_whole(waiting[category].pop()) for category in fullest], f"mosaic_{number:04d}")
        waiting = {category: left for category, left in waiting.items() if left}
        number += 1


def _whole(image: LabelledImage) -> LabelledImage:
    """Remove the objects that the border cuts."""
    return replace(image, objects=tuple(item for item in image.objects if not item.truncated))
