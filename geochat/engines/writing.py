"""Incremental conversion of token ids to text.

Decoding each token separately gives wrong text: a character may be spread over several tokens, and Llama tokenizers
drop the space that opens a sequence. So a window of recent tokens is decoded with and without the new token, and the
difference is the text that the token adds; an unfinished character is held back.

Small models fall into loops: "with with with", or the same box repeatedly. An answer is cut after the first of three
consecutive copies of the same tokens. A copy must contain a letter or digit and something else: " with", " 0", "ship,
", a whole box. So neither "2000" nor "....." is a repetition, and a cut never falls inside a box, whose four
coordinates may be equal. Boxes with different numbers are different tokens.
"""

from typing import TYPE_CHECKING

from geochat.dialects import Dialect, Unreadable
from geochat.engines.protocol import TokenScore

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_UNFINISHED = "\ufffd"
COPIES = 3
LONGEST = 32  # tokens of a copy; tokenizers that cut numbers into digits spend up to 30 on a box


class Detokenizer:
    """Returns the text that each token adds. Special tokens add none; region markup is kept."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self._tokenizer = tokenizer
        self._special = frozenset(tokenizer.all_special_ids)
        self._ids: list[int] = []
        self._window = 0  # the decoded window starts here
        self._given = 0  # tokens before this one have been given out

    def feed(self, token: int) -> str:
        """Add a token and return the text that has become certain."""
        if token in self._special:
            return ""
        self._ids.append(token)
        added = self._added()
        if not added or added.endswith(_UNFINISHED):
            return ""
        self._window, self._given = self._given, len(self._ids)
        return added

    def close(self) -> str:
        """Return the held text, with replacement characters for incomplete characters."""
        added = self._added()
        self._window = self._given = len(self._ids)
        return added

    def _added(self) -> str:
        return self._decode(self._ids[self._window :])[len(self._decode(self._ids[self._window : self._given])) :]

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, clean_up_tokenization_spaces=False))


class StopStrings:
    """Passes text until a stop string appears; an ending that may become one is held back."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """Return the text that certainly does not belong to a stop string."""
        text = self._held + text
        starts = [start for stop in self._stops if (start := text.find(stop)) >= 0]
        if starts:
            self.stopped, self._held = True, ""
            return text[: min(starts)]
        hold = max((self._overlap(text, stop) for stop in self._stops), default=0)
        cut = len(text) - hold
        self._held = text[cut:]
        return text[:cut]

    def close(self) -> str:
        """Return the held text."""
        held, self._held = self._held, ""
        return held

    @staticmethod
    def _overlap(text: str, stop: str) -> int:
        """Length of the longest ending of `text` that begins `stop`."""
        longest = min(len(stop) - 1, len(text))
        return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)


class RepetitionGuard:
    """Detects repetition in the tokens of one answer.

    Attributes:
        kept: Number of tokens kept after a repetition; None without one.
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
        """Add a token.

        Args:
            token: Its id.
            start: Start index of its characters in the text.
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
        """Return whether the newest tokens are `COPIES` runs of `period` equal ones that may be cut."""
        second, third = self._starts[-(COPIES - 1) * period], self._starts[-(COPIES - 2) * period]
        copy = text[second:third]  # not the first, which has lost its space where it opens the answer
        if copy.isalnum() or not any(map(str.isalnum, copy)):
            return False
        events = self._dialect.parse(text[:second]).events
        return not (events and isinstance(events[-1], Unreadable))


class TextWriter:
    """One answer in generation: takes tokens with their text, returns certain text.

    White space before the first word is dropped, because tokenizers differ in whether they generate it. Text that may
    belong to a stop string or to a repetition is held back.

    Args:
        stops: Strings that end the answer.
        guard: Ends an answer that repeats itself; None lets it.
    """

    def __init__(self, stops: tuple[str, ...] = (), guard: RepetitionGuard | None = None) -> None:
        self._stops = StopStrings(stops)
        self._guard = guard
        self._scores: list[TokenScore] = []
        self._text = ""  # so far, before anything is cut off
        self._written = 0  # characters of it that belong to the answer
        self._given = 0  # characters of it that have been given out

    @property
    def stopped(self) -> bool:
        """Return whether a stop string has ended the answer."""
        return self._stops.stopped

    @property
    def repeated(self) -> bool:
        """Return whether the answer has been cut because it repeats itself."""
        return self._guard is not None and self._guard.kept is not None

    @property
    def scores(self) -> tuple[TokenScore, ...]:
        """One score per token, without those of a stop string or of a repetition."""
        kept = None if self._guard is None else self._guard.kept
        return tuple(
            TokenScore(score.start, min(score.end, self._written), score.logprob)
            for score in self._scores[:kept]
            if not self.stopped or score.start < self._written
        )

    def add(self, token: int, text: str, logprob: float) -> str:
        """Add a token and its text; return the text that has become certain."""
        start = len(self._text)
        self._take(text)
        self._scores.append(TokenScore(start, len(self._text), logprob))
        if self._guard is None or self.stopped:
            return self._give(self._written)
        self._guard.feed(token, start, self._text)
        if self.repeated:
            self._written = self._guard.certain
        return self._give(min(self._written, self._guard.certain))

    def end(self, text: str = "") -> str:
        """End the answer, with the last text that belongs to no token; return the held text."""
        if not (self.stopped or self.repeated):
            self._take(text)
            self._written += len(self._stops.close())
        return self._give(self._written)

    def _take(self, text: str) -> None:
        if not self._text:
            text = text.lstrip()
        self._text += text
        self._written += len(self._stops.feed(text))

    def _give(self, end: int) -> str:
        start, self._given = self._given, max(self._given, end)
        return self._text[start : self._given]


class Writer(TextWriter):
    """A `TextWriter` that decodes the tokens itself.

    Args:
        tokenizer: Tokenizer of the tokens.
        stops: Strings that end the answer.
        guard: Ends an answer that repeats itself; None lets it.
    """

    def __init__(
        self, tokenizer: "PreTrainedTokenizerBase", stops: tuple[str, ...] = (), guard: RepetitionGuard | None = None
    ) -> None:
        super().__init__(stops, guard)
        self._detokenizer = Detokenizer(tokenizer)

    def feed(self, token: int, logprob: float) -> str:
        """Add a token; return the text that has become certain."""
        return self.add(token, self._detokenizer.feed(token), logprob)

    def close(self) -> str:
        """End the answer; return the held text."""
        return self.end(self._detokenizer.close())
