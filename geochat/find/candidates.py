"""Candidates, their judgements, and the windows around them."""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from geochat.assistant.layers import Skipped
from geochat.errors import SettingsError
from geochat.find.windows import Grid, Row, WindowPlan
from geochat.geometry import OrientedBox
from geochat.imagery import Window

Verdict = Literal["kept", "rejected", "unread"]

LEAST_SIDE = 16
"""Pixels a side of the window around a candidate."""

_CONTEXT = 1.5  # sides of a candidate, that its window has at least


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate and its judgement.

    Attributes:
        number: Number of the feature in its layer, from 1.
        verdict: "kept" if it matches a phrase, "rejected" if not, "unread" if unknown.
        name: The model's name for it; for `presence`, the phrase that it affirms.
        phrase: The phrase that it is.
        score: Of `identify`, how sure the model was of the name; of `presence`, the probability of a yes, the highest
            of all phrases. None where the engine gives no probabilities.
        reason: Why it is unread, or rejected in spite of its name; "" else.
        prompt: Text that the model read.
    """

    number: int
    verdict: Verdict
    name: str | None = None
    phrase: str | None = None
    score: float | None = None
    reason: str = ""
    prompt: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The candidate as JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True)
class CandidatePlan(WindowPlan):
    """A window around each candidate that can be asked about.

    Attributes:
        boxes: One per candidate, in pixels of the scene, or the reason why it has none.
        side: Side of a window at least, in pixels.
    """

    boxes: tuple[OrientedBox | Skipped, ...] = ()
    side: int = LEAST_SIDE

    @classmethod
    def around(cls, boxes: Sequence[OrientedBox | Skipped], size: tuple[int, int], side: int) -> "CandidatePlan":
        """Plan the windows of candidates on a scene of a size (width, height)."""
        longest = max(_side(box, side) for box in boxes if isinstance(box, OrientedBox))
        fitted = min(longest, size[0]), min(longest, size[1])
        return cls((Grid(size, fitted, fitted),), None, tuple(boxes), side)

    def __len__(self) -> int:
        return len(self.boxes)

    @cached_property
    def count(self) -> int:
        """The number of candidates that can be asked about."""
        return sum(isinstance(box, OrientedBox) for box in self.boxes)

    def window(self, number: int) -> Window:
        """The square around a candidate, moved into the scene."""
        box = self.box(number)
        side = _side(box, self.side)
        width, height = min(side, self.size[0]), min(side, self.size[1])
        (x, y), (right, bottom) = box.center, (self.size[0] - width, self.size[1] - height)
        return Window(
            min(max(round(x - width / 2), 0), right), min(max(round(y - height / 2), 0), bottom), width, height
        )

    def box(self, number: int) -> OrientedBox:
        """Return a candidate that can be asked about."""
        box = self.boxes[number]
        if isinstance(box, Skipped):
            raise SettingsError(f"candidate {number + 1} cannot be asked about: {box.reason}")
        return box

    def rows(self) -> Iterator[Row]:
        """Yield one row per candidate, in the order of the layer."""
        for number, box in enumerate(self.boxes):
            if isinstance(box, OrientedBox):
                yield Row(self.window(number).row, [number], [])

    def to_dict(self) -> dict[str, Any]:
        """Identity of a plan, JSON-ready."""
        listed = [box.reason if isinstance(box, Skipped) else _numbers(box) for box in self.boxes]
        digest = hashlib.sha256(json.dumps(listed).encode()).hexdigest()
        return {"scene": list(self.size), "grids": [], "candidates": digest, "least_side": self.side}


def _side(box: OrientedBox | Skipped, least: int) -> int:
    """Return the side of the window around a candidate, in pixels."""
    if isinstance(box, Skipped):
        return least
    left, top, right, bottom = box.polygon().bounds
    return max(least, math.ceil(_CONTEXT * float(max(right - left, bottom - top))))


def _numbers(box: OrientedBox) -> list[float]:
    return [round(number, 3) for number in (box.x1, box.y1, box.x2, box.y2, box.angle)]
