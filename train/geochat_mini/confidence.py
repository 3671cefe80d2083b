"""Calibration of the boxes of a search: `python -m geochat_mini.confidence`.

    python -m geochat_mini.confidence search --imagery DIR --out boxes.jsonl [--model MODEL]
    python -m geochat_mini.confidence fit boxes.jsonl [--write MODEL]

`search` finds the labelled categories of validation photographs, in windows and in the whole photograph, and records
for each box whether it overlaps a true one by half. An interrupted run resumes. `fit` fits a logistic function to them,
prints figures of two-fold cross-validation over photographs, and writes it into the `geochat.json` of MODEL.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from geochat import GeoChat
from geochat.errors import SettingsError
from geochat.geometry import OrientedBox
from geochat.models import SETTINGS_FILE, BoxConfidence, read_settings, write_settings
from geochat.prompts.phrases import category_of, plural
from geochat_data.readers import Report
from geochat_data.readers.json_files import read_jsonl
from geochat_data.records import LabelledImage
from geochat_mini.measure import photographs
from geochat_mini.sources import folder_of
from geochat_mini.trials import ASKED, as_labelled, true_boxes

_LARGEST = 0.4  # of the view; larger boxes are right as often
_RIDGE = 1.0  # on the terms of the categories, few of which have many boxes
_STEPS = 50
_LEAST = [round(0.05 * step, 2) for step in range(11)]
_FEW = 5  # true boxes below which a group gives no figure


@dataclass(frozen=True)
class Searched:
    """Boxes of one category that a search of one photograph found.

    Attributes:
        image: Name of the photograph.
        source: Its source.
        label: The category in the labels.
        category: The same as the model knows it.
        windowed: Whether it was searched in windows.
        true: Number of true boxes.
        boxes: Of each box that was found, whether it is right, its score, and its longer side as a share of the view.
    """

    image: str
    source: str
    label: str
    category: str
    windowed: bool
    true: int
    boxes: list[tuple[bool, float, float]] = field(default_factory=list)

    @property
    def half(self) -> int:
        """The half of the photographs it belongs to, 0 or 1."""
        return crc32(self.image.encode()) % 2


def search(chat: GeoChat, image: LabelledImage, *, windowed: bool) -> Iterator[Searched]:
    """Search a photograph with a file for each of its labelled categories that the model knows.

    Boxes are matched in the order of their scores; those on objects that the labels mark as doubtful are left out.
    """
    assert image.path is not None
    doubtful = [OrientedBox.from_polygon(thing.polygon) for thing in image.ignore]
    known = chat.engine.info.settings.categories
    for label in sorted({thing.category for thing in image.objects} & set(ASKED)):
        category = category_of(label, known)
        if category is None:
            continue
        truths = true_boxes(image, label)
        result = Searched(image.name or "", folder_of(image), label, category, windowed, len(truths))
        window = None if windowed else max(image.width, image.height)
        found = chat.find(image.path, plural(label), window=window)
        for each in sorted(found, key=lambda each: -(each.score or 0)):
            box = as_labelled(image, each.box)
            if any(box.iou(other) >= 0.5 for other in doubtful):
                continue
            match = max(truths, key=box.iou, default=None)
            right = match is not None and box.iou(match) >= 0.5
            if right and match is not None:
                truths.remove(match)
            side = max(each.box.width, each.box.height) / max(each.window.width, each.window.height)
            result.boxes.append((right, float(each.score or 0.0), side))
        yield result


def fit(searches: Sequence[Searched]) -> BoxConfidence:
    """Fit a logistic function to the boxes by Newton's method, with a ridge on the categories' terms."""
    categories = sorted({each.category for each in searches})
    rows, right = [], []
    for each in searches:
        for hit, score, side in each.boxes:
            if score > 0 and side > 0:
                own = [float(each.category == name) for name in categories]
                rows.append([1.0, np.log(score), np.log(min(side, _LARGEST)), *own])
                right.append(float(hit))
    if not rows:
        raise SettingsError("the searches found no box; there is nothing to fit")
    features, hits = np.array(rows), np.array(right)  # (N, 3 + C), (N,)
    ridge = np.full(features.shape[1], _RIDGE)
    ridge[:3] = 1e-2
    weights = np.zeros(features.shape[1])
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-features @ weights))
        curvature = (features * (chance * (1 - chance))[:, None]).T @ features + np.diag(ridge)
        weights = weights - np.linalg.solve(curvature, features.T @ (chance - hits) + ridge * weights)
    bias, score, size, *terms = (round(float(weight), 4) for weight in weights)
    return BoxConfidence(bias, score, size, _LARGEST, dict(zip(categories, terms, strict=True)))


def f1(searches: Sequence[Searched], confidence: Mapping[int, BoxConfidence], least: float) -> dict[str, float]:
    """Return F1 in percent of each source's categories in windows, of boxes with at least some probability.

    Args:
        searches: The searches.
        confidence: The calibration of each half of the photographs.
        least: Minimum probability.
    """
    right: Counter[str] = Counter()
    out_of: Counter[str] = Counter()
    true: Counter[str] = Counter()
    for each in searches:
        if each.windowed:
            group = f"{each.source}, {each.label}"
            kept = [
                hit
                for hit, score, side in each.boxes
                if confidence[each.half].probability(score, side, each.category) >= least
            ]
            right[group] += 2 * sum(kept)
            out_of[group] += len(kept) + each.true
            true[group] += each.true
    return {group: 100 * right[group] / of for group, of in out_of.items() if true[group] >= _FEW}


def calibrate(searches: Sequence[Searched]) -> tuple[BoxConfidence, str]:
    """Return the calibration with the minimum of the best mean F1, and the figures of cross-validation as text."""
    crossed = {half: fit([each for each in searches if each.half != half]) for half in (0, 1)}
    scored = {least: f1(searches, crossed, least) for least in _LEAST}
    best = max(scored, key=lambda least: float(np.mean(list(scored[least].values()))))
    pairs = [
        (crossed[each.half].probability(score, side, each.category), hit)
        for each in searches
        for hit, score, side in each.boxes
    ]
    chances, hits = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs], float)
    lines = [
        f"{len(pairs)} boxes, {hits.mean():.1%} right; squared error of the probability "
        f"{np.mean((chances - hits) ** 2):.4f}, of that share {hits.var():.4f}",
        "mean F1 in windows by minimum: "
        + ", ".join(f"{least:.2f} {np.mean(list(found.values())):.1f}" for least, found in scored.items()),
    ]
    lines += [f"{group}: {before:.1f} -> {scored[best][group]:.1f}" for group, before in sorted(scored[0.0].items())]
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 1.01)):
        inside = (chances >= low) & (chances < high)
        if inside.any():
            lines.append(
                f"probability {low:.1f} to {min(high, 1):.1f}: {inside.sum()} boxes, {hits[inside].mean():.1%} right"
            )
    return replace(fit(searches), minimum=best), "\n".join(lines)


def _search(args: argparse.Namespace) -> None:
    chat = GeoChat.from_pretrained(args.model)
    if chat.engine.info.settings.box_confidence is not None:
        raise SettingsError(f"the model is calibrated already; delete box_confidence from its {SETTINGS_FILE}")
    done = {each.image for each in _read(args.out)}
    with args.out.open("a", encoding="utf-8") as file:
        for image in photographs(args.imagery, "val", args.most):
            if image.path is None or image.name in done:
                continue
            found = [each for windowed in (True, False) for each in search(chat, image, windowed=windowed)]
            file.writelines(f"{json.dumps(asdict(each))}\n" for each in found)
            file.flush()


def _read(path: Path) -> list[Searched]:
    rows: list[dict[str, Any]] = [row for _, row in read_jsonl(path, Report())] if path.exists() else []
    return [Searched(**{**row, "boxes": [tuple(box) for box in row["boxes"]]}) for row in rows]


def _fit(args: argparse.Namespace) -> None:
    confidence, told = calibrate(_read(args.boxes))
    sys.stdout.write(f"{told}\n{json.dumps(asdict(confidence))}\n")
    if args.write is not None:
        settings = replace(read_settings(args.write), box_confidence=confidence)
        write_settings(settings, args.write)


def main(arguments: Sequence[str] | None = None) -> None:
    """Search photographs, or fit what was found."""
    parser = argparse.ArgumentParser(prog="python -m geochat_mini.confidence", description=__doc__)
    commands = parser.add_subparsers(required=True)
    searching = commands.add_parser("search", help="search validation photographs")
    searching.add_argument("--imagery", type=Path, required=True)
    searching.add_argument("--out", type=Path, required=True, help="file of the boxes that were found")
    searching.add_argument("--model", type=Path, help="default: the bundled one")
    searching.add_argument("--most", type=int, default=60, help="photographs of a source")
    searching.set_defaults(run=_search)
    fitting = commands.add_parser("fit", help="fit the calibration")
    fitting.add_argument("boxes", type=Path)
    fitting.add_argument("--write", type=Path, metavar="MODEL", help="folder of the model that receives it")
    fitting.set_defaults(run=_fit)
    args = parser.parse_args(arguments)
    args.run(args)


if __name__ == "__main__":
    main()
