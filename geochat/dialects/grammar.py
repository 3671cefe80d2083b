"""Tokenization of texts into marks, phrases and regions.

Every syntax consists of a `Grammar` (its marks, and the possible beginnings of a region) and a function that reads one
region. `Grammar.next_token` decides from the text alone and waits while more text could change the result, so tokens do
not depend on how the text arrives. Phrases and regions have a maximum length, so the wait is bounded, and any text is
read in linear time.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import product
from typing import Protocol

from geochat.dialects.shapes import Shape

MAX_HELD = 256
"""Greatest length of the words of a phrase, and of most regions, in characters."""

NUMBER = r"[-+]?(?:[0-9]{1,9}(?:\.[0-9]{0,17})?|\.[0-9]{1,17})"
"""A decimal number."""

NUMBER_AHEAD = r"(?=[-+]?\.?[0-9])"
SPACES = r"\s{0,8}"

JOINER = re.compile(r"[\s,]*(?:and[\s,]*)?")
"""Words that may stand between a phrase and its boxes, and between the boxes; marks count as no words."""


class Kind(Enum):
    """Kinds of tokens."""

    TEXT = auto()
    DELIMITER = auto()
    END = auto()
    PHRASE = auto()
    REGION = auto()
    UNREADABLE = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text, from the end of the previous one to `end`."""

    kind: Kind
    end: int
    words: tuple[int, int] = (0, 0)
    """Of a phrase, and of a region with its label inside: where the words are."""

    label: str | None = None
    """Of a region with its label inside: what it is, decoded."""

    shapes: tuple[tuple[int, Shape], ...] = ()
    """Of a region: its shapes, each with where its part of the text ends; the last ends where the token does, or where
    an unreadable rest begins."""

    reason: str = ""
    """Of something unreadable, or of a region with an unreadable rest: why."""


class RegionReader(Protocol):
    """Reads one region, or returns the reason why it cannot be read."""

    def __call__(self, text: str, start: int, inside: int, *, final: bool, marked: bool) -> Token | None:
        """Read a region.

        Args:
            text: The text so far.
            start: Start index of the region's opening.
            inside: End index of the opening.
            final: Whether nothing will follow `text`.
            marked: Whether a silent mark or another region stands directly before it, so that it is no plain words.

        Returns:
            The token that begins at `start`, or None while more text is needed.
        """
        ...


class _Element(Protocol):
    def __call__(self, text: str, start: int, inside: int, *, final: bool) -> Token | None: ...


@dataclass(frozen=True, slots=True)
class Opening:
    """The beginning of a region.

    Attributes:
        whole: Pattern of an opening that is certain.
        part: Pattern of what may become one, at the end of a text.
    """

    whole: str
    part: str

    @classmethod
    def after(cls, literal: str) -> "Opening":
        """Build an opening: a literal, spaces, and a number."""
        begun = "|".join(re.escape(literal[:length]) for length in range(1, len(literal)))
        whole = f"{re.escape(literal)}{SPACES}"
        return cls(f"{whole}{NUMBER_AHEAD}", f"(?:{f'{begun}|' if begun else ''}{whole}[-+]?\\.?)")


@dataclass(frozen=True, slots=True)
class Grammar:
    """The marks of a syntax; `Grammar.of` makes one.

    Attributes:
        mark: Anything that is not plain words.
        partial: Possible beginning of a mark, at the end of a text.
        longest: Of such a beginning, in characters.
        telling: Pattern of an unfinished mark at the end of a text, other than mere punctuation.
        bare: Whether the words directly before a region name it, without marks.
        ignored: Characters that are silent after a region or a mark, with nothing but spaces between.
        shown: Text shown for marks that are not silent.
    """

    mark: re.Pattern[str]
    partial: re.Pattern[str]
    longest: int
    telling: re.Pattern[str]
    bare: bool = False
    ignored: str = ""
    shown: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(
        cls,
        openings: Sequence[Opening],
        *,
        phrase: tuple[str, str] | None = None,
        delimiters: Iterable[str] = (),
        silent: Iterable[Opening] = (),
        ends: Iterable[str] = (),
        escaped: bool = False,
        telling: str = r"(?!)",
        bare: bool = False,
        ignored: str = "",
        shown: tuple[tuple[str, str], ...] = (),
    ) -> "Grammar":
        """Compile a grammar.

        Args:
            openings: Openings of regions; the first that matches is used.
            phrase: Marks that open and close a phrase.
            delimiters: Marks that are understood and not shown.
            silent: More of these, as patterns.
            ends: Marks that end the turn.
            escaped: Whether `<` and `>` of marks may be written `&lt;` and `&gt;`.
            telling: Pattern of an unfinished but certain region.
            bare: See `Grammar`.
            ignored: See `Grammar`.
            shown: See `Grammar`.
        """
        opens, closes = ([phrase[0]], [phrase[1]]) if phrase else ([], [])
        literals = {"open": opens, "close": closes, "delimiter": list(delimiters), "end": list(ends)}
        spelled = {
            group: [spelling for mark in marks for spelling in (_spellings(mark) if escaped else [mark])]
            for group, marks in literals.items()
        }
        parts = {mark[:length] for marks in spelled.values() for mark in marks for length in range(1, len(mark))}
        groups = [("region", [opening.whole for opening in openings])]
        groups += [
            (group, [re.escape(m) for m in sorted(marks, key=len, reverse=True)]) for group, marks in spelled.items()
        ]
        groups.append(("silent", [opening.whole for opening in silent]))
        partial = [re.escape(part) for part in sorted(parts)] + [opening.part for opening in (*openings, *silent)]
        lt = "(?:<|&lt;)" if escaped else "<"
        return cls(
            re.compile("|".join(f"(?P<{group}>{'|'.join(marks)})" for group, marks in groups if marks)),
            re.compile(f"(?:{'|'.join(partial)})\\Z"),
            max([32, *(len(mark) + 16 for marks in spelled.values() for mark in marks)]),
            re.compile(f"{lt}.|{telling}"),
            bare,
            ignored,
            shown,
        )

    def next_token(self, text: str, start: int, read: _Element, *, final: bool) -> Token | None:
        """Read one token.

        Args:
            text: The text so far.
            start: End index of the last token.
            read: Reads a region.
            final: Whether nothing will follow `text`.

        Returns:
            The token that begins at `start`, or None while more text is needed to tell, or there is none.
        """
        mark = self.mark.search(text, start)
        partial = self.partial.search(text, max(start, len(text) - self.longest))
        if partial and (mark is None or (not final and partial.start() <= mark.start())):
            return self._unfinished(text, start, partial.start(), final)
        if mark is None or mark.start() > start:
            end, following = (len(text), None) if mark is None else (mark.start(), mark.lastgroup)
            return self._words(text, start, end, following, final=final)
        if mark.lastgroup == "region":
            return read(text, start, mark.end(), final=final)
        if mark.lastgroup == "open":
            return self._phrase(text, mark.end(), final)
        if mark.lastgroup == "close":
            return Token(Kind.UNREADABLE, mark.end(), reason="it ends a phrase that was not begun")
        return Token(Kind.END if mark.lastgroup == "end" else Kind.DELIMITER, mark.end())

    def _unfinished(self, text: str, start: int, partial: int, final: bool) -> Token | None:
        """Return the words before a possible beginning of a mark, or the mark itself at the end of the text."""
        if partial > start:
            return self._words(text, start, partial, None, final=final)
        if not final:
            return None
        if self.telling.match(text, start):
            return Token(Kind.UNREADABLE, len(text), reason="the text ends inside it")
        return Token(Kind.TEXT, len(text))

    def _words(self, text: str, start: int, end: int, following: str | None, *, final: bool) -> Token | None:
        """Return words up to `end`; words that name the next region are held until it arrives."""
        if end == start or not self.bare:
            return None if end == start else Token(Kind.TEXT, end)
        line = text.find("\n", start, min(end, start + MAX_HELD)) + 1
        if line or end - start > MAX_HELD:
            return Token(Kind.TEXT, line or start + MAX_HELD)
        if following is None and not final:
            return None
        names = following == "region" and not JOINER.fullmatch(text, start, end)
        return Token(Kind.PHRASE if names else Kind.TEXT, end, words=(start, end))

    def _phrase(self, text: str, begin: int, final: bool) -> Token | None:
        """Read a phrase whose words begin at `begin`; if it does not end, its opening mark is unreadable."""
        window = begin + MAX_HELD + self.longest
        stop = self.mark.search(text, begin, window)
        if stop is None and len(text) < window and not final:
            return None
        partial = None if final else self.partial.search(text, max(begin, len(text) - self.longest))
        if stop is not None and partial is not None and partial.start() <= stop.start():
            return None
        if stop is not None and stop.start() - begin <= MAX_HELD:
            if stop.lastgroup == "close":
                return Token(Kind.PHRASE, stop.end(), words=(begin, stop.start()))
            if stop.lastgroup == "region":
                return Token(Kind.PHRASE, stop.start(), words=(begin, stop.start()))
        return Token(Kind.UNREADABLE, begin, reason="the phrase it begins does not end")


def _spellings(mark: str) -> list[str]:
    """Return the spellings of a mark with each angle bracket plain or escaped."""
    pieces = [(char, {"<": "&lt;", ">": "&gt;"}[char]) if char in "<>" else (char,) for char in mark]
    return ["".join(parts) for parts in product(*pieces)]
