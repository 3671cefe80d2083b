"""Ending answers that repeat themselves.

Small models fall into loops: "with with with", or one box again and again. An answer is cut after the first of three
consecutive copies of the same tokens. What counts as a copy holds a letter or digit and something else: " with", " 0",
"ship, ", a whole box. So neither "2000" nor "....." is a repetition, and a cut never falls inside a box, whose four
coordinates may well be equal. Boxes with different numbers are different tokens.
"""

from geochat.dialects import Dialect, Unreadable

COPIES = 3
LONGEST = 32  # tokens of a copy; tokenizers that cut numbers into digits spend up to 30 on a box


class RepetitionGuard:
    """Watches the tokens of one answer.

    Attributes:
        kept: How many tokens stay, once the answer repeats itself; None before.
        certain: Characters of the text that will stay, whatever follows.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.kept: int | None = None
        self.certain = 0
        self._dialect = dialect
        self._tokens: list[int] = []
        self._starts: list[int] = []
        self._matched = [0] * (LONGEST + 1)  # by period: how many newest tokens equal those one period before

    def feed(self, token: int, start: int, text: str) -> None:
        """Take a token in.

        Args:
            token: Its id.
            start: Where its characters begin in the text.
            text: The whole text, with this token's.
        """
        for period in range(1, min(LONGEST, len(self._tokens)) + 1):
            again = self._tokens[-period] == token
            self._matched[period] = self._matched[period] + 1 if again else 0
        self._tokens.append(token)
        self._starts.append(start)
        count, doubtful = len(self._tokens), 0
        for period, matched in enumerate(self._matched):
            spare = (COPIES - 1) * period
            if period and matched >= spare and self._repeats(period, text):
                self.kept = count - spare
                self.certain = self._starts[self.kept]
                return
            doubtful = max(doubtful, min(matched, spare))
        self.certain = self._starts[count - doubtful] if doubtful else len(text)

    def _repeats(self, period: int, text: str) -> bool:
        """Return whether the newest tokens, `COPIES` runs of `period` equal ones, say something that may be cut."""
        second, third = self._starts[-(COPIES - 1) * period], self._starts[-(COPIES - 2) * period]
        copy = text[second:third]  # not the first, which has lost its space where it opens the answer
        if copy.isalnum() or not any(map(str.isalnum, copy)):
            return False
        events = self._dialect.parse(text[:second]).events
        return not (events and isinstance(events[-1], Unreadable))
