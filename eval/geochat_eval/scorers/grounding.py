"""Scoring of boxes by every published rule, in the common frame of `geochat_eval.boxes`.

Rules at IoU t, where one box reaches another when their intersection over union is at least t:

- `matched_boxes@t`: boxes are paired one to one, always the pair that overlaps most among those left; true boxes
  paired at t or more, out of all true boxes.
- `all_matched@t`: answers whose boxes all pair at t or more with none left over on either side (F1 = 1, the rule of
  GREC), out of all answers. Where there is no true box, an answer without boxes is right.
- `predicted_hit@t`: predicted boxes that reach any true box of their answer, out of all predicted boxes. A true box
  may be used again, and an answer without boxes counts nowhere.
- `f1@t`: twice the true boxes paired at t or more, out of predicted and true boxes together.
- `first_box@t`: answers to questions with one true box whose first box reaches it, out of such answers.
- `earthdial@t`: `predicted_hit` as EarthDial's scorer computes it: angles turn counter-clockwise on both sides, boxes
  that hold a negative number are dropped on both sides, and an answer is `single` when one true box is left.
- `earthdial_clockwise@t`, `earthdial_with_negatives@t`: the same with angles read clockwise, as they are written; the
  same with no box dropped. They show the effect of each of its two habits.

The first five come rotated and, as `..._aligned@t`, between the upright rectangles around the boxes. Where the line's
`clip` gives the image in the numbers of its truth, [x1, y1, x2, y2], they compare what of the boxes lies inside it.
Groups: the line's `size_group`, `single` where there is one true box and `multiple` otherwise, `refer` and `grounding`
by the line's `task_type` or `type`.

Baseline `constant_box`: of the true boxes (of 500 of them, evenly spread, where there are more) the one that, given as
the one box of every answer, makes most of them hit at 0.5; and the same among the questions with one true box. It has
seen the answers, a model has not.

Descriptions with boxes are scored by their boxes as here, by the words left when boxes and marks are taken out as in
`captions`, and by both together:

- `matched_and_named@t`: true boxes paired with a predicted one at an IoU of t or more whose phrases share a word, out
  of all true boxes. Words are compared stemmed (Porter), without numbers and without words of size and place. The
  phrase of a box is the marked one, or else the words since the last box or end of a clause.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray

from geochat.geometry import OrientedBox
from geochat.geometry.overlap import (
    SLACK,
    Array,
    Polygons,
    aligned,
    clipped,
    greedy_matches,
    iou_matrix,
    reaches,
    rotated,
)
from geochat_eval.bootstrap import Figure, Shares
from geochat_eval.boxes import clip_of, found_boxes, true_boxes
from geochat_eval.formats import AnswerRecord, GroundedText
from geochat_eval.scorers.base import Scored, ScorerSettings
from geochat_eval.scorers.captions import CaptionScorer

THRESHOLDS = (0.25, 0.5, 0.75)
_RULES = [
    f"{rule}{shape}@{threshold:g}"
    for shape in ("", "_aligned")
    for threshold in THRESHOLDS
    for rule in ("matched_boxes", "all_matched", "predicted_hit", "f1", "first_box")
]
_EARTHDIAL = {  # name of the reading: whether angles are mirrored, whether boxes with negative numbers are dropped
    "earthdial": (True, True),
    "earthdial_clockwise": (False, True),
    "earthdial_with_negatives": (True, False),
}
_KINDS = {"ref": "refer", "refer": "refer", "referring": "refer", "grounding": "grounding"}


class GroundingScorer:
    """Referring and grounding answers, scored by their boxes only."""

    def __init__(self, settings: ScorerSettings) -> None:
        self._images = settings.images
        self._shares = Shares(_RULES, replicates=settings.replicates, seed=settings.seed)
        self._earthdial = {
            reading: Shares(
                [f"{reading}@{threshold:g}" for threshold in THRESHOLDS],
                replicates=settings.replicates,
                seed=settings.seed,
            )
            for reading in _EARTHDIAL
        }
        self._constant, self._constant_single = ConstantBox(), ConstantBox()
        self._without_box = 0

    def add(self, answer: AnswerRecord) -> float:
        """Count one answer; returns the overlap of its boxes with the true ones."""
        return overlap(self.add_boxes(answer, found_boxes(answer, self._images), true_boxes(answer, self._images)))

    def add_boxes(self, answer: AnswerRecord, found: GroundedText, truth: GroundedText) -> Array:
        """Count the boxes of one answer; returns their rotated IoU, shape (predicted, true)."""
        clip = clip_of(answer, self._images)
        found_shapes, true_shapes = clipped(rotated(found.boxes), clip), clipped(rotated(truth.boxes), clip)
        iou = iou_matrix(found_shapes, true_shapes)
        shares = _shares(iou) + _shares(iou_matrix(aligned(found_shapes), aligned(true_shapes)))
        self._shares.add(shares, _groups(answer, truth.boxes), answer.unit_name)
        for reading in _EARTHDIAL:
            self._add_earthdial(reading, answer, found.boxes, truth.boxes)
        self._constant.add(truth.boxes, clip)
        if len(truth.boxes) == 1:
            self._constant_single.add(truth.boxes, clip)
        self._without_box += not found.boxes
        return iou

    def result(self) -> Scored:
        """Return figures, the best constant box, and the number of answers without a box."""
        never = {f"{rule}/multiple" for rule in _RULES if rule.startswith("first_box")}
        figures: dict[str, Figure] = {n: figure for n, figure in self._shares.figures().items() if n not in never}
        for shares in self._earthdial.values():
            figures |= shares.figures()
        box, hits, rows, boxes = self._constant.best()
        baselines = {"constant_box/predicted_hit@0.5": 100 * hits / rows, "constant_box/matched_boxes@0.5": 0.0}
        if boxes:
            baselines["constant_box/matched_boxes@0.5"] = 100 * hits / boxes
        _, hits, singles, _ = self._constant_single.best()
        if singles:
            baselines["constant_box/first_box@0.5"] = 100 * hits / singles
        details = {"answers_without_box": self._without_box, "constant_box": box}
        return Scored(figures, baselines, details)

    def _add_earthdial(
        self, reading: str, answer: AnswerRecord, found: Sequence[OrientedBox], truth: Sequence[OrientedBox]
    ) -> None:
        found, truth = _as_earthdial_reads(found, reading), _as_earthdial_reads(truth, reading)
        best = _best(iou_matrix(rotated(found), rotated(truth)))
        shares = [(float(reaches(best, threshold).sum()), float(len(found))) for threshold in THRESHOLDS]
        self._earthdial[reading].add(shares, _groups(answer, truth), answer.unit_name)


def _shares(iou: Array) -> list[tuple[float, float]]:
    """Return the count and the total of each rule for one answer, in the order of the rules."""
    found, truth = iou.shape
    matched = iou.ravel()[greedy_matches(iou)]
    best = _best(iou)
    single = float(truth == 1)
    shares: list[tuple[float, float]] = []
    for threshold in THRESHOLDS:
        pairs = int(reaches(matched, threshold).sum())
        hits = reaches(best, threshold)
        shares += [(pairs, truth), (pairs == found == truth, 1), (int(hits.sum()), found)]
        shares += [(2 * pairs, found + truth), (single * bool(hits[:1].any()), single)]
    return shares


def overlap(iou: Array) -> float:
    """Return the summed IoU of paired boxes over the number of boxes of the larger side; 1 without any boxes."""
    return float(iou.ravel()[greedy_matches(iou)].sum() / max(iou.shape)) if max(iou.shape) else 1.0


def _best(iou: Array) -> Array:
    """Return for each predicted box its greatest overlap, shape (P,)."""
    return np.asarray(iou.max(axis=1, initial=0.0))


def _as_earthdial_reads(boxes: Sequence[OrientedBox], reading: str) -> list[OrientedBox]:
    mirrored, positive = _EARTHDIAL[reading]
    kept = (b for b in boxes if not positive or min(b.x1, b.y1, b.x2, b.y2, b.angle) >= 0)
    return [replace(box, angle=-box.angle) if mirrored else box for box in kept]


def _groups(answer: AnswerRecord, truth: Sequence[OrientedBox]) -> list[str]:
    kind = _KINDS.get((answer.group("task_type", "type") or "").lower())
    size = answer.group("size_group") or ""
    names = (size if size.isalpha() else None, "single" if len(truth) == 1 else "multiple", kind)
    return list(dict.fromkeys(name for name in names if name))


_SAYS_LITTLE = re.compile(
    "a|an|and|are|at|be|by|close|each|few|from|in|image|is|it|large|left|located|lower|many|medium|middle|near|next|of|on|"
    "one|other|right|satellite|scene|small|some|the|there|these|this|to|top|bottom|center|centre|two|three|several|upper|"
    "with"
)
_WORD = re.compile(r"[^\W\d_]+")


class DescriptionScorer:
    """Descriptions that contain boxes."""

    def __init__(self, settings: ScorerSettings) -> None:
        self._images = settings.images
        self._boxes = GroundingScorer(settings)
        self._words = CaptionScorer(settings)
        self._rules = [f"matched_and_named@{threshold:g}" for threshold in THRESHOLDS]
        self._named = Shares(self._rules, replicates=settings.replicates, seed=settings.seed)
        from nltk.stem.porter import PorterStemmer  # noqa: PLC0415 - an extra, of the caption scorer too

        self._stemmer = PorterStemmer()

    def add(self, answer: AnswerRecord) -> float:
        """Count one answer; returns the overlap of its boxes with the true ones."""
        found, truth = found_boxes(answer, self._images), true_boxes(answer, self._images)
        if not truth.words:
            raise ValueError("its ground truth has no words")
        iou = self._boxes.add_boxes(answer, found, truth)
        self._words.add_text(found.words, [truth.words], [], answer.unit_name)
        pairs = [divmod(index, len(truth.boxes)) for index in greedy_matches(iou)]
        named = [pair for pair in pairs if self._stems(found.phrases[pair[0]]) & self._stems(truth.phrases[pair[1]])]
        counts = [sum(bool(reaches(iou[pair], threshold)) for pair in named) for threshold in THRESHOLDS]
        self._named.add([(count, len(truth.boxes)) for count in counts], (), answer.unit_name)
        return overlap(iou)

    def result(self) -> Scored:
        """Return figures of all three kinds."""
        boxes, words = self._boxes.result(), self._words.result()
        figures = {**self._named.figures(), **boxes.figures, **words.figures}
        return Scored(figures, boxes.baselines, boxes.details, words.not_computed)

    def _stems(self, phrase: str) -> set[str]:
        words = _WORD.findall(phrase.lower())
        return {self._stemmer.stem(word) for word in words if not _SAYS_LITTLE.fullmatch(word)}


_CANDIDATES = 500
_THRESHOLD = 0.5


class ConstantBox:
    """Collects true boxes and finds the one that matches most often as every answer."""

    def __init__(self) -> None:
        self._boxes: list[tuple[float, ...]] = []
        self._rows: list[int] = []
        self._clips: list[shapely.Polygon | None] = []
        self._count = 0

    def add(self, truth: Sequence[OrientedBox], clip: shapely.Polygon | None = None) -> None:
        """Collect the true boxes of one answer, and the rectangle inside which they are compared."""
        self._boxes += [(box.x1, box.y1, box.x2, box.y2, box.angle) for box in truth]
        self._rows += [self._count] * len(truth)
        self._clips += [clip] * len(truth)
        self._count += 1

    def best(self) -> tuple[list[float] | None, int, int, int]:
        """Return the best box, its matching answers at an IoU of 0.5, and the numbers of answers and true boxes."""
        distinct = sorted(set(self._boxes))
        candidates = distinct[:: max(1, -(-len(distinct) // _CANDIDATES))]
        if not candidates:
            return None, 0, self._count, 0
        shapes, rows = self._shapes(), np.array(self._rows)
        bounds, areas = shapely.bounds(shapes), shapely.area(shapes)
        hits = []
        for shape in rotated([OrientedBox(*candidate) for candidate in candidates]):
            near = np.flatnonzero(_may_reach(shape, bounds, areas))
            reached = reaches(iou_matrix(np.array([shape]), shapes[near])[0], _THRESHOLD)
            hits.append(len(np.unique(rows[near[reached]])))
        best = int(np.argmax(hits))
        return list(candidates[best]), hits[best], self._count, len(shapes)

    def _shapes(self) -> Polygons:
        shapes = rotated([OrientedBox(*box) for box in self._boxes])
        if any(self._clips):
            whole = shapely.box(*shapely.total_bounds(shapes))
            clips = np.array([clip or whole for clip in self._clips], dtype=object)
            shapes = np.asarray(shapely.intersection(shapes, clips), dtype=object)
        return shapes


def _may_reach(shape: shapely.Polygon, bounds: Array, areas: Array) -> NDArray[np.bool_]:
    """Select the polygons that may share a third of both areas with `shape`, by bounds of shape (N, 4) and areas."""
    own = np.array(shape.bounds)
    sides = np.minimum(bounds[:, 2:], own[2:]) - np.maximum(bounds[:, :2], own[:2])
    most = np.minimum(np.clip(sides, 0, None).prod(axis=1), np.minimum(areas, shape.area))
    return np.asarray(most * (1 + 10 * SLACK) >= (areas + shape.area) / 3)
