"""Keeping short answers from being guessed by how often they are right.

Over a data set most images hold one or two of a thing, and what is asked about is more often there than not. A turn is
turned down when its answer is already well ahead of the other answers to its kind of question.
"""

from collections import Counter, defaultdict

from geochat_data.questions.conversation import Turn

SLACK = 6
_LEAD = {"presence": 1.05, "comparison": 1.05, "count": 1.8, "position": 1.5, "colour": 2.0}  # over the mean answer


class Balance:
    """Counts the answers accepted so far, by kind of question."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)

    def accept(self, turn: Turn) -> bool:
        """Whether to keep a turn; counts it if so."""
        if turn.kind in _LEAD:
            counts = self.counts[turn.kind]
            mean = counts.total() / max(2, len(counts))
            if counts[turn.answer] >= SLACK + _LEAD[turn.kind] * mean:
                return False
            counts[turn.answer] += 1
        return True
