"""Figures on the parts kept for validation, by which choices are made: `python -m geochat_mini.validation`.

Every source is asked about under its own class names and under others for them, with objects that are there and that
are not. The figures are shares of right answers, with how many were asked. Test parts are not read.
"""

import argparse
import json
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from geochat import Answer, GeoChat, Question
from geochat.errors import GeoChatError
from geochat.geometry import OrientedBox
from geochat.prompts import Task
from geochat.prompts.phrases import plural, with_article
from geochat_data.readers import Report
from geochat_data.records import LabelledImage, LabelledObject
from geochat_mini.classes import SCENES, SOURCE_SCENES, classes_of
from geochat_mini.sources import read_photographs, source_of

_CLASSIFY = "Classify the image within one of the given classes: {}. Answer with one word or short phrase."
_ASKED = ("airplane", "storage tank", "ship", "swimming pool", "car", "vehicle", "ground track field", "tennis court",
          "baseball diamond", "overpass", "solar panel")  # fmt: skip
_BARE = frozenset({"desert", "forest", "mountain", "meadow", "bare land", "farmland", "chaparral"})
Score = Callable[[Answer], dict[str, tuple[float, float]]]
"""Of an answer, for each figure the right ones and how many there could be."""


@dataclass(frozen=True)
class Asked:
    """One question about a photograph, and how its answer counts."""

    image: LabelledImage
    question: Question
    score: Score


def questions(images: Sequence[LabelledImage], rng: random.Random) -> Iterator[Asked]:
    """The questions about each photograph."""
    for image in images:
        if image.scene:
            yield from _scenes(image, rng)
        yield from _objects(image, rng)
        yield from _absent(image, rng)


def _scenes(image: LabelledImage, rng: random.Random) -> Iterator[Asked]:
    source = source_of(image)
    assert source is not None
    assert image.scene is not None
    names = SOURCE_SCENES[source]
    yield _classified(image, names, image.scene, f"scene, {source}")
    mine = set(classes_of(image.scene))
    renamed = {name: rng.choice(SCENES[classes_of(name)[0]]) for name in names if len(classes_of(name)) == 1}
    right = renamed.get(image.scene)
    if right is not None and list(renamed.values()).count(right) == 1:
        others = [new for name, new in renamed.items() if not mine & set(classes_of(name))]
        offered = [right, *rng.sample(others, min(9, len(others)))]
        rng.shuffle(offered)
        yield _classified(image, offered, right, f"scene renamed, {source}")


def _classified(image: LabelledImage, names: Sequence[str], right: str, figure: str) -> Asked:
    question = Question(_CLASSIFY.format(", ".join(names)), task=Task.SCENE, choices=tuple(names))
    return Asked(image, question, lambda answer: {figure: (float(answer.choice == right), 1)})


def _objects(image: LabelledImage, rng: random.Random) -> Iterator[Asked]:
    source = _folder(image)
    doubtful = {thing.category for thing in image.ignore}
    for category in sorted({thing.category for thing in image.objects} - doubtful):
        if category not in _ASKED:
            continue
        things = [thing for thing in image.objects if thing.category == category]
        if len(things) == 1:
            yield Asked(image, Question(f"[refer] the {category}"), _first(things, f"refer single, {category}"))
        elif len(things) <= 12:
            yield Asked(image, Question(f"[refer] all {plural(category)}"), _every(things, f"refer all, {category}"))
        if category in image.labelled:
            yield _short(image, f"Is there {with_article(category)} in the image?", "yes", f"presence yes, {source}")
            if len(things) <= 12:
                many = f"How many {plural(category)} are there in the image?"
                yield _short(image, many, str(len(things)), f"count, {source}")


def _absent(image: LabelledImage, rng: random.Random) -> Iterator[Asked]:
    source = _folder(image)
    held = {thing.category for thing in (*image.objects, *image.ignore)}
    absent = sorted((image.labelled & set(_ASKED)) - held)
    if absent:
        category = rng.choice(absent)
        yield Asked(image, Question(f"[refer] {rng.choice(('the', 'all'))} {category}"), _nothing("absent, refer"))
        category = rng.choice(absent)
        yield _short(image, f"Is there {with_article(category)} in the image?", "no", f"presence no, {source}")
    if image.scene and set(classes_of(image.scene)) <= _BARE:
        grounded = Question("Describe the image in detail with the positions of the objects.", task=Task.GROUNDING)
        yield Asked(image, grounded, _nothing("absent, description"))


def _folder(image: LabelledImage) -> str:
    """The name of the source an image is from."""
    parts = (image.name or "").split("/")
    return parts[1] if parts[0] == "more" else parts[0]


def _short(image: LabelledImage, words: str, right: str, figure: str) -> Asked:
    def score(answer: Answer) -> dict[str, tuple[float, float]]:
        return {figure: (float(answer.plain_text.strip(" .").lower() == right), 1)}

    return Asked(image, Question(words, task=Task.VQA), score)


def _nothing(figure: str) -> Score:
    return lambda answer: {figure: (float(not answer.regions), 1)}


def _first(things: Sequence[LabelledObject], figure: str) -> Score:
    """The overlap of the first box with the only object's, and how much longer it is."""
    truth = OrientedBox.from_polygon(things[0].polygon)

    def score(answer: Answer) -> dict[str, tuple[float, float]]:
        found = [region.geometry for region in answer.regions[:1]]
        overlap = found[0].iou(truth) if found else 0.0
        figures = {f"{figure} @0.5": (float(overlap >= 0.5), 1.0), f"{figure} @0.25": (float(overlap >= 0.25), 1.0)}
        if overlap > 0.1:
            figures[f"{figure}, area beside the true one"] = (found[0].area / truth.area, 1.0)
        return figures

    return score


def _every(things: Sequence[LabelledObject], figure: str) -> Score:
    """F1 of the boxes at an overlap of a half, greedily matched: right ones counted twice, found and true ones once."""
    truths = [OrientedBox.from_polygon(thing.polygon) for thing in things]

    def score(answer: Answer) -> dict[str, tuple[float, float]]:
        found = [region.geometry for region in answer.regions]
        pairs = sorted(((f.iou(t), i, j) for i, f in enumerate(found) for j, t in enumerate(truths)), reverse=True)
        left, right, hits = set(range(len(found))), set(range(len(truths))), 0
        for overlap, i, j in pairs:
            if overlap >= 0.5 and i in left and j in right:
                left.discard(i)
                right.discard(j)
                hits += 1
        return {f"{figure} F1@0.5": (2.0 * hits, float(len(found) + len(truths)))}

    return score


def measure(chat: GeoChat, images: Sequence[LabelledImage], seed: int = 0) -> dict[str, tuple[float, int]]:
    """The figures, each with what it is out of."""
    asked = list(questions(images, random.Random(seed)))
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    pairs = ((each.image.path or each.image.open(), each.question) for each in asked)
    for number, answer in chat.ask_each(pairs):
        if isinstance(answer, GeoChatError):
            raise answer
        for figure, (right, count) in asked[number].score(answer).items():
            sums[figure][0] += right
            sums[figure][1] += count
    return {figure: (right / max(count, 1), int(count)) for figure, (right, count) in sorted(sums.items())}


def main() -> None:
    """Measure a checkpoint."""
    parser = argparse.ArgumentParser(prog="python -m geochat_mini.validation", description=__doc__)
    parser.add_argument("--imagery", type=Path, required=True)
    parser.add_argument("--model", type=Path, help="default: the bundled one")
    parser.add_argument("--most", type=int, default=60, help="photographs of a source")
    parser.add_argument("--out", type=Path, help="a JSON file of the figures")
    args = parser.parse_args()
    images = read_photographs(args.imagery, "all", Report(), "val", turned=False)
    chosen: dict[str, list[LabelledImage]] = defaultdict(list)
    random.Random(0).shuffle(images)
    for image in images:
        folder = _folder(image)
        if len(chosen[folder]) < args.most:
            chosen[folder].append(image)
    chat, figures = GeoChat.from_pretrained(args.model), dict[str, tuple[float, int]]()
    for folder, part in chosen.items():  # told source by source, so that little is lost when it is stopped
        found = measure(chat, part)
        for figure, (value, count) in found.items():
            before, so_far = figures.get(figure, (0.0, 0))
            figures[figure] = ((before * so_far + value * count) / max(so_far + count, 1), so_far + count)
        sys.stdout.write(f"{folder}: {', '.join(f'{name} {value:.3f}' for name, (value, _) in found.items())}\n")
        sys.stdout.flush()
    for figure, (value, count) in sorted(figures.items()):
        sys.stdout.write(f"{figure:45} {value:6.3f}  n={count}\n")
    for kind in ("scene,", "scene renamed,", "presence", "count", "refer single"):
        some = [
            v for name, (v, _) in figures.items() if name.startswith(kind) and ("@0.5" in name or "refer" not in kind)
        ]
        sys.stdout.write(f"mean of {kind.strip(','):37} {sum(some) / max(len(some), 1):6.3f}\n")
    if args.out:
        args.out.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
