"""Grounded descriptions: the boxes, the words, and both together.

Boxes are scored as in `grounding`, the words left when boxes and marks are taken out as in `captions`. Together:

- `matched_and_named@t`: true boxes paired with a predicted one at an IoU of t or more whose phrases share a word, out
  of all true boxes. Words are compared stemmed (Porter), without numbers and without words of size and place. The
  phrase of a box is the marked one, or else the words since the last box or end of a clause.
"""

import re

from geochat.geometry.overlap import greedy_matches, reaches
from geochat_eval.bootstrap import Shares
from geochat_eval.formats import Answer
from geochat_eval.scorers.base import Scored, ScorerSettings
from geochat_eval.scorers.captions import CaptionScorer
from geochat_eval.scorers.grounding import THRESHOLDS, GroundingScorer, overlap
from geochat_eval.truths import found_boxes, true_boxes

_SAYS_LITTLE = re.compile(
    "a|an|and|are|at|be|by|close|each|few|from|in|image|is|it|large|left|located|lower|many|medium|middle|near|next|of|on|"
    "one|other|right|satellite|scene|small|some|the|there|these|this|to|top|bottom|center|centre|two|three|several|upper|"
    "with"
)
_WORD = re.compile(r"[^\W\d_]+")


class DescriptionScorer:
    """Descriptions with boxes in them."""

    def __init__(self, settings: ScorerSettings) -> None:
        self._images = settings.images
        self._boxes = GroundingScorer(settings)
        self._words = CaptionScorer(settings)
        self._rules = [f"matched_and_named@{threshold:g}" for threshold in THRESHOLDS]
        self._named = Shares(self._rules, replicates=settings.replicates, seed=settings.seed)
        from nltk.stem.porter import PorterStemmer  # noqa: PLC0415 - an extra, of the caption scorer too

        self._stemmer = PorterStemmer()

    def add(self, answer: Answer) -> float:
        """Count one answer; the overlap of its boxes with the true ones."""
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
        """Figures of all three kinds."""
        boxes, words = self._boxes.result(), self._words.result()
        figures = {**self._named.figures(), **boxes.figures, **words.figures}
        return Scored(figures, boxes.baselines, boxes.details, words.not_computed)

    def _stems(self, phrase: str) -> set[str]:
        words = _WORD.findall(phrase.lower())
        return {self._stemmer.stem(word) for word in words if not _SAYS_LITTLE.fullmatch(word)}
