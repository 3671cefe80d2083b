"""Calibration of a checkpoint's boxes: from the model's confidence in its words to the probability of a right box."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class BoxConfidence:
    """Probability that a box overlaps an object of its category by half, a logistic function fitted on held-out images.

    The probabilities of the tokens alone say how exactly a box could be placed rather than whether there is an object,
    and differ between categories; small boxes are wrong more often than large ones (Platt 1999 fits such a function of
    one variable).

    Attributes:
        bias: Constant term.
        score: Weight of the logarithm of the geometric mean of the tokens' probabilities.
        size: Weight of the logarithm of the longer side, in sides of the model's view.
        largest: Side above which the size no longer counts.
        categories: Term of each category; others have their mean.
        minimum: Probability below which a search leaves a box out.
    """

    bias: float
    score: float
    size: float
    largest: float
    categories: Mapping[str, float] = field(default_factory=dict)
    minimum: float = 0.0

    def probability(self, score: float, size: float, category: str | None) -> float:
        """Return the probability that a box is right.

        Args:
            score: Geometric mean of the probabilities of its tokens.
            size: Its longer side, in sides of the model's view.
            category: The category; None if it is none of the checkpoint's.
        """
        if score <= 0 or size <= 0:
            return 0.0
        terms = self.categories
        mean = math.fsum(terms.values()) / len(terms) if terms else 0.0
        own = mean if category is None else terms.get(category, mean)
        odds = self.bias + own + self.score * math.log(score) + self.size * math.log(min(size, self.largest))
        return 1 / (1 + math.exp(-odds)) if odds > 0 else math.exp(odds) / (1 + math.exp(odds))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the calibration from JSON values.

        Raises:
            TypeError: A value is missing, unknown, or no number.
            ValueError: A value is out of range.
        """
        terms = {str(name): float(term) for name, term in values.get("categories", {}).items()}
        numbers = {name: float(value) for name, value in values.items() if name != "categories"}
        made = cls(categories=terms, **numbers)
        if not all(map(math.isfinite, (*numbers.values(), *terms.values()))):
            raise ValueError("a number of box_confidence is not finite")
        if made.largest <= 0 or not 0 <= made.minimum <= 1:
            raise ValueError("box_confidence needs largest > 0 and minimum from 0 to 1")
        return made
