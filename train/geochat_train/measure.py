"""Two figures for selection and reports: naming of objects in boxes, and scene classification.

    python -m geochat_train.measure identify boxes PATH --split test [--model MODEL] [--out FILE]
    python -m geochat_train.measure scene ucm PATH --split test [--model MODEL] [--out FILE]

[identify] questions are asked about labelled objects, at most `--most` per category. An answer is correct if it is the
category's name, ignoring case and full stop. Accuracy is the unweighted mean over the categories, so that a constant
answer scores one over their number however frequent it is; its interval is a bootstrap over images, since questions
about one image are not independent. Scene questions name all classes, as in the published evaluation. Words go to the
model unchanged.
"""

import argparse
import json
import logging
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from shapely import Polygon

from geochat import Answer, GeoChat, Task
from geochat.assistant import Question
from geochat.engines import GenerationSettings
from geochat_data.questions import wordings
from geochat_data.readers import UCM_SCENES, DataSource, read
from geochat_data.records import LabelledImage
from geochat_data.tiling import crop_around_objects, tile_images

_REPLICATES = 2000
_GENERATION = GenerationSettings(max_new_tokens=16)
_LOG = logging.getLogger(__name__)


def identify(
    chat: GeoChat,
    images: Iterable[LabelledImage],
    most: int,
    seed: int = 0,
    origins: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """Measure how often objects are named correctly.

    Args:
        chat: Names them.
        images: With their objects.
        most: Maximum number of objects per category.
        seed: Seed of the views.
        origins: The image a window is of, by the window's name.
    """
    by_category: dict[str, list[tuple[LabelledImage, Polygon]]] = defaultdict(list)
    for image in images:
        for thing in image.objects:
            by_category[thing.category].append((image, Polygon(thing.polygon)))
    asked: list[tuple[Any, Question]] = []
    truths: list[str] = []
    images_asked: list[str] = []
    rng = random.Random(seed)
    words = wordings.IDENTIFY.published[0]
    for category, things in sorted(by_category.items()):
        for image, shape in rng.sample(things, min(most, len(things))):
            asked.append((image.open(), Question(words, regions=shape, task=Task.IDENTIFY, raw=True)))
            truths.append(category)
            name = _name(image)
            images_asked.append(origins.get(name, name))
    return summary(truths, _answers(chat, asked), images_asked)


def scenes(chat: GeoChat, images: Iterable[LabelledImage], classes: Sequence[str]) -> dict[str, Any]:
    """Measure how often the scene is named correctly among `classes`."""
    labelled = [image for image in images if image.scene is not None]
    asked = [(image.open(), Question(", ".join(classes), task=Task.SCENE, raw=True)) for image in labelled]
    return summary([str(image.scene) for image in labelled], _answers(chat, asked), list(map(_name, labelled)))


def summary(truths: Sequence[str], answers: Sequence[str], images: Sequence[str]) -> dict[str, Any]:
    """Return accuracy over categories, equally weighted, in percent with its 95 % interval, and that of each category.

    Args:
        truths: The true category of each question.
        answers: The answers.
        images: The image each question is about, which the interval resamples; there is none where it is one image.
    """
    right: dict[str, list[bool]] = defaultdict(list)
    where: dict[str, list[int]] = defaultdict(list)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(images))}
    for truth, answer, image in zip(truths, answers, images, strict=True):
        right[truth].append(_plain(answer) == _plain(truth))
        where[truth].append(numbers[image])
    accuracy = np.mean([np.mean(hits) for hits in right.values()])
    low, high = _interval(right, where, len(numbers))
    return {
        "accuracy": round(100 * float(accuracy), 1),
        "low": low,
        "high": high,
        "questions": len(truths),
        "images": len(numbers),
        "by_category": {
            name: {"accuracy": round(100 * float(np.mean(hits)), 1), "questions": len(hits)}
            for name, hits in sorted(right.items())
        },
        "answers": _counted(answers),
    }


def _interval(
    right: Mapping[str, list[bool]], where: Mapping[str, list[int]], images: int
) -> tuple[float | None, float | None]:
    """Return the 95 % interval of the mean over categories, resampling images; Nones for a single image."""
    if images < 2:
        return None, None
    weights = np.random.default_rng(0).poisson(1.0, (_REPLICATES, images))  # the bootstrap for many images
    shares = []
    for category, hits in right.items():
        drawn = weights[:, where[category]]
        with np.errstate(invalid="ignore"):
            shares.append(drawn @ np.array(hits, float) / drawn.sum(axis=1))
    draws = np.ma.masked_invalid(np.stack(shares)).mean(axis=0).compressed()  # over the categories that were drawn
    low, high = np.percentile(draws, (2.5, 97.5))
    return round(100 * float(low), 1), round(100 * float(high), 1)


def _name(image: LabelledImage) -> str:
    """Return the key of an image, or of a window of one."""
    return str(image.path) if image.path is not None else str(image.name)


def _windows(
    images: Iterable[LabelledImage], tile: int | None, side: int | None
) -> Iterator[tuple[LabelledImage, str]]:
    """Yield the images, or their windows, each with the name of its whole image."""
    for image in images:
        parts: Iterable[LabelledImage] = [image]
        if tile:
            parts = tile_images(parts, tile)
        if side:
            parts = (replace(window, objects=window.objects[:1]) for window in crop_around_objects(parts, side))
        for part in parts:
            yield part, _name(image)


def _answers(chat: GeoChat, asked: Sequence[tuple[Any, Question]]) -> list[str]:
    said = [""] * len(asked)
    for done, (number, answer) in enumerate(chat.ask_each(asked, generation=_GENERATION), start=1):
        said[number] = answer.plain_text if isinstance(answer, Answer) else f"({answer})"
        if done % 100 == 0:
            _LOG.info("%d of %d questions", done, len(asked))
    return said


def _plain(text: str) -> str:
    return " ".join(text.lower().replace(".", "").split())


def _counted(answers: Sequence[str]) -> Mapping[str, int]:
    """Return the ten most frequent answers."""
    counts: dict[str, int] = defaultdict(int)
    for answer in answers:
        counts[_plain(answer)] += 1
    return dict(sorted(counts.items(), key=lambda item: -item[1])[:10])


def main() -> None:
    """Parse, ask, report."""
    parser = argparse.ArgumentParser(prog="python -m geochat_train.measure", description=__doc__)
    parser.add_argument("what", choices=("identify", "scene"))
    parser.add_argument("format", help="a reader of `geochat data build`")
    parser.add_argument("source", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--tile", type=int, help="cut images with longer sides into windows of about so many pixels")
    parser.add_argument("--around", type=int, help="ask about each object in a window of so many pixels around it")
    parser.add_argument("--model", help="checkpoint or adapter; the bundled model when left out")
    parser.add_argument("--most", type=int, default=150, help="objects of a category (default: 150)")
    parser.add_argument("--out", type=Path, help="write the report here too")
    args = parser.parse_args()
    if args.out and not args.out.resolve().parent.is_dir():
        parser.error(f"--out {args.out} cannot be written: there is no folder {args.out.parent}; create it first")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    chat = GeoChat.from_pretrained(args.model)
    images: Iterable[LabelledImage] = read(args.format, DataSource(args.source, args.images, args.split))
    if args.what == "identify":
        parts = list(_windows(images, args.tile, args.around))
        origins = {_name(part): whole for part, whole in parts}
        found = identify(chat, [part for part, _ in parts], args.most, origins=origins)
    else:
        found = scenes(chat, images, UCM_SCENES)
    report = {"model": chat.engine.info.name, "sha256": chat.engine.info.sha256, "split": args.split, args.what: found}
    text = json.dumps(report, indent=2)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")
    print(text)  # noqa: T201 - the report is what this program is for


if __name__ == "__main__":
    main()
