"""Scorers by name: they take answers one by one and return figures.

Every rule has its own name, and its exact statement in the docstring of its module and in docs/scoring.md. A scorer
is a class with `add` and `result`.
"""

from geochat_eval.registry import SCORERS
from geochat_eval.scorers.base import Scored, Scorer, ScorerSettings

__all__ = ["SCORERS", "Scored", "Scorer", "ScorerSettings"]
