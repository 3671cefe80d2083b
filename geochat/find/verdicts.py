"""Precision and recall of a layer from a review, and the score threshold for a requested precision.

Precision is the share of the reviewed objects that were accepted, with Wilson's interval (Wilson 1927).

Recall is estimated. A reviewer counts the objects whose centre empty windows show. Their number divided by the windows'
area is the density of misses, which is assumed for the whole searched area:

    recall = P N / (P N + D A)

where P is the precision, N the number of objects in the layer, D the density and A the searched area. The estimate
assumes that the density of missed objects near found ones is the same as in empty windows. If objects occur in groups,
more are missed near found ones, and the true recall is lower.

The interval of recall takes precision from Wilson's interval and the count of misses from the exact interval of a
Poisson count (Garwood 1936), each at 97.5 %, so that together they hold in at least 95 % (Bonferroni). Misses in groups
vary more than a Poisson count, which makes the interval too narrow.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

from geochat.errors import DataError
from geochat.exports import VectorLayer
from geochat.find.review import digest_of, objects_of, scores_of

Interval = tuple[float, float]

_VERDICTS = ("accepted", "rejected")


@dataclass(frozen=True, slots=True)
class Threshold:
    """The lowest score threshold at which the reviewed objects have the requested precision.

    Attributes:
        score: Objects of this score or more are kept.
        precision: Precision of the reviewed ones among them.
        interval: Of that, 95 %.
        reviewed: The number of these.
        kept: Objects of the layer that are kept.
    """

    score: float
    precision: float
    interval: Interval
    reviewed: int
    kept: int

    def to_dict(self) -> dict[str, Any]:
        """The threshold as JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Figures:
    """The result of a review.

    Attributes:
        objects: Objects in the layer.
        judged: Reviewed ones with a verdict.
        accepted: Number of accepted ones.
        precision: Their share.
        precision_interval: 95 %, Wilson's.
        windows: Empty windows with a verdict.
        missed: Objects in them.
        recall: Estimated; None where no empty window was judged, or nothing is known to be right or missed.
        recall_interval: At least 95 %, under the assumption.
    """

    objects: int
    judged: int
    accepted: int
    precision: float
    precision_interval: Interval
    windows: int
    missed: int
    recall: float | None
    recall_interval: Interval | None

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON-ready values."""
        return asdict(self)


class Verdicts:
    """The verdicts of a review, checked.

    Args:
        path: What the page saved.
        layer: The layer that was reviewed.

    Raises:
        DataError: The file cannot be read, is no review, is one of another layer, or judges no object.
    """

    def __init__(self, path: str | Path, layer: VectorLayer) -> None:
        self._scores = [
            score for score, is_object in zip(scores_of(layer), objects_of(layer), strict=True) if is_object
        ]
        try:
            review = json.loads(Path(path).read_text(encoding="utf-8"))
            digest, self._count = review["layer_digest"], int(review["objects"])
            self._area = float(review["looked_at_area"])
            judged = [item for item in review["items"] if item["verdict"] in _VERDICTS]
            self._objects = [
                (item["score"], item["verdict"] == "accepted") for item in judged if item["kind"] == "object"
            ]
            windows = [item for item in judged if item["kind"] == "empty"]
            self._missed = [int(item["missed"]) for item in windows]
            self._seen = sum(int(item["window"][2]) * int(item["window"][3]) for item in windows)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise DataError(f"{path} holds no verdicts of a review ({error!r:.80}); save them on its page") from error
        if digest != digest_of(layer):
            raise DataError(f"{path} judges another layer than {layer.path}; give the layer that was reviewed")
        if not self._objects or min(self._missed, default=0) < 0:
            raise DataError(f"{path} judges no object, or has a negative count of misses; judge some on the page")

    def figures(self) -> Figures:
        """Return precision and recall with their intervals."""
        judged, accepted = len(self._objects), sum(is_right for _, is_right in self._objects)
        missed, recall, interval = sum(self._missed), None, None
        if self._missed:
            scale = self._area / self._seen
            low, high = wilson(accepted, judged, 0.975)
            fewest, most = poisson(missed, 0.975)
            recall = _recall(accepted / judged * self._count, missed * scale)
            interval = (
                _recall(low * self._count, most * scale) or 0.0,
                _recall(high * self._count, fewest * scale) or 0.0,
            )
        return Figures(
            self._count,
            judged,
            accepted,
            accepted / judged,
            wilson(accepted, judged),
            len(self._missed),
            missed,
            recall,
            None if recall is None else interval,
        )

    def threshold(self, precision: float) -> Threshold | None:
        """Return the lowest score threshold with a precision; None if there is none.

        Args:
            precision: From 0 to 1.

        Raises:
            DataError: The reviewed objects have no scores.
        """
        scored = [(score, is_right) for score, is_right in self._objects if score is not None]
        if not scored:
            raise DataError("the reviewed objects have no scores, so there is no threshold; use an engine with them")
        for least in sorted({score for score, _ in scored}):
            right = [is_right for score, is_right in scored if score >= least]
            if sum(right) / len(right) >= precision:
                kept = sum(score is not None and score >= least for score in self._scores)
                interval = wilson(sum(right), len(right))
                return Threshold(least, sum(right) / len(right), interval, len(right), kept)
        return None


def wilson(successes: int, trials: int, level: float = 0.95) -> Interval:
    """Return Wilson's score interval of a proportion."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, scale = successes / trials, 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def poisson(count: int, level: float = 0.95) -> Interval:
    """Return the exact interval of the mean of a Poisson count (Garwood)."""
    tail = (1 - level) / 2
    low = 0.0 if count == 0 else _root(lambda mean: 1 - _at_most(count - 1, mean) < tail, count)
    return low, _root(lambda mean: _at_most(count, mean) > tail, count)


def _at_most(count: int, mean: float) -> float:
    """Return the probability of at most a count."""
    logs = (number * math.log(mean) - mean - math.lgamma(number + 1) for number in range(count + 1))
    return math.fsum(map(math.exp, logs))


def _root(is_below: Callable[[float], bool], count: int) -> float:
    """Return the mean up to which a condition holds."""
    low, high = 1e-12, 10.0 + 4 * count
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return high


def _recall(right: float, missed: float) -> float | None:
    return right / (right + missed) if right + missed else None
