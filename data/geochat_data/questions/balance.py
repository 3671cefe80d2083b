"""Keeping short answers from being guessed by how often they are right.

Over a data set most images hold one or two of a thing, and what is asked about is more often there than not. A turn is
turned down when its answer is already well ahead of the other answers to its kind of question, and so is a question
about what is not there when such questions have become too many.
"""

from collections import Counter, defaultdict

from geochat.prompts import Task
from geochat_data.questions.conversation import Turn

SLACK = 6
ABSENT_REFERRED = 0.25  # of referring questions, most that ask for what is not there
NEGATIVES = 0.12  # of all turns, most that take for granted what is not there
_LEAD = {"presence": 1.05, "comparison": 1.05, "count": 1.8, "position": 1.5, "colour": 2.0}  # over the mean answer


class Balance:
    """Counts the answers accepted so far, by kind of question."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)

    def accept(self, turn: Turn) -> bool:
        """Whether to keep a turn; counts it if so."""
        answer = ("there" if turn.grounded else "absent") if turn.task is Task.REFER else turn.answer
        counts = self.counts[turn.kind]
        if counts[answer] >= SLACK + self._most(turn.kind, answer):
            return False
        counts[answer if turn.kind in _LEAD or turn.task is Task.REFER else ""] += 1
        return True

    def _most(self, kind: str, answer: str) -> float:
        counts = self.counts[kind]
        if kind in _LEAD:
            return _LEAD[kind] * counts.total() / max(2, len(counts))
        if kind == "refer" and answer == "absent":
            return ABSENT_REFERRED * counts.total()
        if kind == "negative":
            every = sum(count.total() for count in self.counts.values())
            return NEGATIVES * every - counts.total()
        return float("inf")
