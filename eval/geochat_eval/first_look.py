"""Two figures that tell whether a model sees anything: scene accuracy and [refer] on real boxes of UC Merced.

    python -m geochat_eval.first_look --imagery DIR --split val|test [--model MODEL] [--out FILE]

Scenes are asked for as the published evaluation does, all 21 classes in the question, and scored as its scene
scorer does (lower case, no spaces or full stops). [refer] asks for single objects: for each labelled object that some
referring expression selects alone, by that expression ("the airplane", "the leftmost storage tank"). An answer counts
when its first region overlaps the labelled box, clipped to the image, with a rotated IoU of at least 0.5. The figures
for the only object of its kind in an image, mostly large and central, are given apart. Beside each stands the best
constant box: of all labelled boxes the one that, given as the answer to every question, would score highest on the
very images scored, so the baseline has seen the answers and the model has not.
"""

import argparse
import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geochat import GeoChat
from geochat.engines import GenerationSettings
from geochat.prompts import Task
from geochat_data.questions import Subject, expressions
from geochat_data.readers import UCM_SCENES, read_ucm
from geochat_data.records import LabelledImage, LabelledObject
from geochat_data.splits import read_names
from geochat_eval.overlaps import iou_matrix
from geochat_eval.scorers.labels import plain

_GENERATION = GenerationSettings(max_new_tokens=64)


@dataclass(frozen=True)
class Share:
    """A share of successes among n questions."""

    hits: int
    n: int

    def to_dict(self) -> dict[str, float]:
        """Percent, with the 95 % Wilson interval."""
        p, z = self.hits / self.n, 1.96
        middle = (p + z * z / (2 * self.n)) / (1 + z * z / self.n)
        half = z * math.sqrt(p * (1 - p) / self.n + z * z / (4 * self.n**2)) / (1 + z * z / self.n)
        return {
            "percent": round(100 * p, 1),
            "low": round(100 * (middle - half), 1),
            "high": round(100 * (middle + half), 1),
            "n": self.n,
        }


def scene_accuracy(chat: GeoChat, images: list[LabelledImage]) -> dict[str, Any]:
    """Share of `images` whose scene the model names, and the same by class."""
    question = ", ".join(UCM_SCENES)
    right: dict[str, list[bool]] = {}
    for image in images:
        answer = chat.ask(image.open(), question, task=Task.SCENE, generation=_GENERATION)
        right.setdefault(str(image.scene), []).append(plain(answer.text) == plain(str(image.scene)))
    hits = [hit for of_class in right.values() for hit in of_class]
    by_class = {name: Share(sum(found), len(found)).to_dict()["percent"] for name, found in sorted(right.items())}
    return {**Share(sum(hits), len(hits)).to_dict(), "by_class": by_class}


@dataclass(frozen=True)
class Referred:
    """One [refer] question: what was asked, the labelled box, the box answered; both clipped to the image."""

    phrase: str
    category: str
    truth: shapely.Polygon
    found: shapely.Polygon
    size: tuple[int, int]

    @property
    def only_one(self) -> bool:
        """Whether the category alone says which object is meant."""
        return self.phrase == f"the {self.category}"


def refer_accuracy(chat: GeoChat, images: list[LabelledImage]) -> dict[str, Any]:
    """acc@0.5 of [refer] for single objects, mean IoU, and the best constant box."""
    asked = [
        Referred(
            phrase,
            thing.category,
            shapely.Polygon(thing.polygon),
            _first_region(chat, image, phrase),
            (image.width, image.height),
        )
        for image, phrase, thing in _single_objects(images)
    ]
    return {**_summary(asked), "only_one_of_its_kind": _summary([r for r in asked if r.only_one])}


def _summary(asked: list[Referred]) -> dict[str, Any]:
    overlaps = [_overlap(r.found, r.truth, r.size) for r in asked]
    constant = max(sum(_overlap(box.truth, r.truth, r.size) >= 0.5 for r in asked) for box in asked)
    return {
        **Share(sum(overlap >= 0.5 for overlap in overlaps), len(asked)).to_dict(),
        "mean_iou": round(sum(overlaps) / len(overlaps), 3),
        "best_constant_box": Share(constant, len(asked)).to_dict(),
    }


def _first_region(chat: GeoChat, image: LabelledImage, phrase: str) -> shapely.Polygon:
    answer = chat.ask(image.open(), phrase, task=Task.REFER, generation=_GENERATION)
    return shapely.Polygon(answer.regions[0].pixels) if answer.regions else shapely.Polygon()


def _single_objects(images: list[LabelledImage]) -> Iterator[tuple[LabelledImage, str, LabelledObject]]:
    """Each labelled object once, by the first expression that selects it alone."""
    for image in images:
        chosen: dict[LabelledObject, str] = {}
        for expression in expressions(Subject(image, random.Random(0))):
            if len(expression.objects) == 1:
                chosen.setdefault(expression.objects[0], expression.phrase)
        for thing, phrase in chosen.items():
            yield image, phrase, thing


def _overlap(found: shapely.Polygon, truth: shapely.Polygon, size: tuple[int, int]) -> float:
    """IoU of the parts inside the image."""
    frame = shapely.box(0, 0, *size)
    seen, real = found.buffer(0).intersection(frame), truth.intersection(frame)
    return float(iou_matrix(np.array([seen], dtype=object), np.array([real], dtype=object))[0, 0])


def _images(imagery: Path, split: str) -> list[LabelledImage]:
    """The test split, or the part of train kept for validation."""
    if split == "test":
        return list(read_ucm(imagery / "ucm", "test"))
    kept = read_names("ucm_val") - read_names("ucm_overlap")
    return [i for i in read_ucm(imagery / "ucm", "train") if i.path is not None and i.path.name in kept]


def main() -> None:
    """Parse, ask, report."""
    parser = argparse.ArgumentParser(prog="python -m geochat_eval.first_look", description=__doc__)
    parser.add_argument("--imagery", type=Path, required=True, help="folder with ucm/")
    parser.add_argument("--split", choices=("val", "test"), default="val")
    parser.add_argument("--model", help="checkpoint; the bundled model when left out")
    parser.add_argument("--out", type=Path, help="write the report here too")
    args = parser.parse_args()
    chat = GeoChat.from_pretrained(args.model)
    images = _images(args.imagery, args.split)
    report = {
        "model": chat.engine.name,
        "sha256": chat.engine.sha256,
        "split": args.split,
        "scene": scene_accuracy(chat, images),
        "refer": refer_accuracy(chat, images),
    }
    text = json.dumps(report, indent=2)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")
    print(text)  # noqa: T201 - the report is what this program is for


if __name__ == "__main__":
    main()
