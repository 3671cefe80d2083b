"""Rewards of an answer, by comparison with the true one.

A reward is a function of an `Attempt`: a number from 0 to 1, or None where it does not apply to the question, which
depends on the truth alone. `REWARDS` holds the project's own; installed packages add theirs under the entry-point group
`geochat.rewards`:

    @REWARDS.register("short")
    def short(attempt: Attempt) -> float | None:
        return 1.0 if len(attempt.answer.text) < 80 else 0.0
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import shapely

from geochat.dialects import Dialect, ParsedText
from geochat.errors import SettingsError
from geochat.geometry import OrientedBox
from geochat.geometry.overlap import Polygons, greedy_matches, iou_matrix, rotated
from geochat.prompts import Task
from geochat.registry import Registry

_CAPTION = 5  # words of a truth that is compared in parts, at least
_CHOICE = 8  # words of a truth that is compared as a whole; longer ones are descriptions
_EDGES = re.compile(r"^\W+|\W+$")


@dataclass(frozen=True)
class Attempt:
    """An answer to a question whose true answer is known.

    Attributes:
        question: The question.
        truth: The true answer.
        answer: The sampled answer.
        task: The task of the question's token, such as `[refer]`; None without one.
        ended: Whether the model ended the answer; False where it was cut off.
    """

    question: str
    truth: ParsedText
    answer: ParsedText
    task: Task | None = None
    ended: bool = True

    @classmethod
    def of(cls, question: str, truth: str, answer: str, dialect: Dialect, *, ended: bool = True) -> "Attempt":
        """Parse truth and answer in the dialect of the checkpoint."""
        return cls(question, dialect.parse(truth), dialect.parse(answer), dialect.task_of(question), ended)

    @property
    def is_grounded(self) -> bool:
        """Whether the true answer is boxes, or a refusal where boxes are asked for."""
        return bool(self.truth.regions) or self.task is Task.REFER

    @property
    def is_valid(self) -> bool:
        """Whether the answer is complete, not empty, and readable in all its parts."""
        return self.ended and bool(self.answer.text.strip()) and not self.answer.problems


Reward = Callable[[Attempt], float | None]

REWARDS: Registry[Reward] = Registry(
    "reward",
    "geochat.rewards",
    {name: f"geochat_train.reinforcement.rewards:{name}_reward" for name in ("boxes", "exact", "format", "caption")},
)


def boxes_reward(attempt: Attempt) -> float | None:
    """Return the F1 score of the answer's boxes, a matched pair counting as its rotated IoU.

    Boxes are matched one to one, greedily by highest IoU: 2 x (sum of the pairs' IoU) / (predicted + true boxes). Where
    there is no true box, an answer without boxes has 1, unless it holds one that cannot be read. IoU does not change
    under the affine maps between a model's numbers and pixels, so boxes are compared as written.
    """
    if not attempt.is_grounded:
        return None
    found, truth = _shapes(attempt.answer), _shapes(attempt.truth)
    if not len(truth):
        return float(not len(found) and not attempt.answer.problems)
    iou = iou_matrix(found, truth)
    return float(2 * iou.ravel()[greedy_matches(iou)].sum() / (len(found) + len(truth)))


def exact_reward(attempt: Attempt) -> float | None:
    """Return 1 for the same words as the truth, but for case, spaces and punctuation around them.

    Applies to short true answers without boxes: a number, a choice, yes or no.
    """
    truth = attempt.truth.plain_text
    if attempt.is_grounded or len(truth.split()) > _CHOICE:
        return None
    return float(attempt.ended and not attempt.answer.regions and _words(attempt.answer.plain_text) == _words(truth))


def format_reward(attempt: Attempt) -> float | None:
    """Return 1 for a valid answer to a question about boxes: complete, not empty, every region readable."""
    return float(attempt.is_valid) if attempt.is_grounded else None


def caption_reward(attempt: Attempt) -> float | None:
    """Return ROUGE-L (Lin 2004) of answer and truth: the F-measure of their longest common subsequence of stems.

    Applies to true answers of at least five words without boxes. If an image has several captions, each is the truth
    of a question of its own, so the mean reward is that over all of them.

    Raises:
        SettingsError: The package rouge-score is missing.
    """
    truth = attempt.truth.plain_text
    if attempt.is_grounded or len(truth.split()) < _CAPTION:
        return None
    if not attempt.ended:
        return 0.0
    return float(_rouge().score(truth, attempt.answer.plain_text)["rougeL"].fmeasure)


@cache
def _rouge() -> Any:  # noqa: ANN401 - the package is untyped
    if find_spec("rouge_score") is None:
        raise SettingsError('the reward "caption" needs the package rouge-score; run pip install "geochat[eval]"')
    from rouge_score.rouge_scorer import RougeScorer  # noqa: PLC0415 - an extra

    return RougeScorer(["rougeL"], use_stemmer=True)


@dataclass(frozen=True)
class Grade:
    """Reward of one answer.

    Attributes:
        total: Weighted mean of the rewards that apply, from 0 to 1.
        parts: The rewards that apply, by name.
    """

    total: float
    parts: Mapping[str, float] = field(default_factory=dict)


def grade(attempt: Attempt, weights: Mapping[str, float]) -> Grade | None:
    """Return the reward of an answer; None if no reward applies to the question.

    Args:
        attempt: The answer.
        weights: Weight of each reward, by its name in `REWARDS`.
    """
    values = {name: REWARDS[name](attempt) for name in weights}
    parts = {name: value for name, value in values.items() if value is not None}
    if not parts:
        return None
    total = sum(weights[name] * value for name, value in parts.items()) / sum(weights[name] for name in parts)
    return Grade(total, parts)


def _shapes(text: ParsedText) -> Polygons:
    """Return the regions of a text as polygons, shape (N,)."""
    shapes = (region.shape for region in text.regions)
    return np.array([rotated([s])[0] if isinstance(s, OrientedBox) else shapely.make_valid(s) for s in shapes], object)


def _words(text: str) -> str:
    return _EDGES.sub("", " ".join(text.casefold().split()))
