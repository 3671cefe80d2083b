"""Interface of scorers: their settings, the protocol, and their result."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from geochat.errors import SettingsError
from geochat_eval.bootstrap import Figure, rounded
from geochat_eval.formats import AnswerRecord

MAX_REPLICATES = 10_000


@dataclass(frozen=True)
class ScorerSettings:
    """Settings of a scorer.

    Attributes:
        replicates: Bootstrap replicates behind each 95 % interval; 0 for no intervals.
        seed: Seed of the bootstrap.
        images: Folder of images, where truths are in pixels and the lines do not say how large the images are.
        meteor: Whether METEOR is computed, whose Java program takes half a minute to start.
    """

    replicates: int = 1000
    seed: int = 0
    images: Path | None = None
    meteor: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.replicates <= MAX_REPLICATES:
            raise SettingsError(
                f"replicates={self.replicates} is impossible; give a number from 0 to {MAX_REPLICATES:,}"
            )
        if self.seed < 0:
            raise SettingsError(f"seed={self.seed} is negative; give a seed from 0")


@dataclass(frozen=True)
class Scored:
    """Result of a scorer.

    Attributes:
        figures: Every figure under its rule, "rule/group" for a group of the answers.
        baselines: Figures of answers without a model, in percent, by their source and the rule.
        details: Anything else worth reporting, JSON-ready.
        not_computed: Rules that could not be computed, with the reason and the next step.
    """

    figures: Mapping[str, Figure]
    baselines: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    not_computed: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """One object: a percentage under each rule's name, then the other results; two decimals."""
        return {
            **{name: rounded(figure.percent) for name, figure in self.figures.items()},
            "n": {name: figure.n for name, figure in self.figures.items()},
            "intervals": {
                name: [rounded(figure.low), rounded(figure.high)]
                for name, figure in self.figures.items()
                if math.isfinite(figure.low)
            },
            "baselines": {name: rounded(percent) for name, percent in self.baselines.items()},
            **({"not_computed": dict(self.not_computed)} if self.not_computed else {}),
            **self.details,
        }


class Scorer(Protocol):
    """Takes answers one by one; stores counts instead of answers if the rule allows it."""

    def add(self, answer: AnswerRecord) -> float:
        """Count one answer.

        Returns:
            Its quality from 0 to 1, by which the worst and the best answers of a run are found.

        Raises:
            ValueError: Its line lacks what the rules need; nothing was counted.
        """

    def result(self) -> Scored:
        """The figures of all answers so far."""
