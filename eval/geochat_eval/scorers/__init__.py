"""Scorers: answers in one by one, figures out.

Every rule has its own name, and its exact statement in the docstring of its module and in docs/evaluation.md. Adding a
scorer is a class with `add` and `result` and one line in `SCORERS`.
"""

from collections.abc import Callable

from geochat_eval.scorers.base import Scored, Scorer, ScorerSettings
from geochat_eval.scorers.captions import CaptionScorer
from geochat_eval.scorers.descriptions import DescriptionScorer
from geochat_eval.scorers.grounding import GroundingScorer
from geochat_eval.scorers.labels import SceneScorer, VqaScorer
from geochat_eval.scorers.looking import ExistenceScorer, IdentifyScorer

SCORERS: dict[str, Callable[[ScorerSettings], Scorer]] = {
    "scene": SceneScorer,
    "vqa": VqaScorer,
    "referring": GroundingScorer,
    "region-caption": CaptionScorer,
    "image-caption": CaptionScorer,
    "grounded-description": DescriptionScorer,
    "existence": ExistenceScorer,
    "identify": IdentifyScorer,
}
"""The scorers by the name the command line knows them under."""

__all__ = ["SCORERS", "Scored", "Scorer", "ScorerSettings"]
