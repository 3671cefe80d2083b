"""The region grammar as tokens: where each mark, phrase and box begins and ends.

    answer  = { words | phrase | box | "<delim>" | "</s>" }
    phrase  = "<p>" words ( "</p>" | before a box )
    box     = "{" number number number number [ "|" number ] "}"
    number  = "<" decimal ">"

Spaces are allowed around the parts of a box, and `<` and `>` may be written `&lt;` and `&gt;` in any mark. A brace
begins a box only where a number follows; every other `{`, `<` and `&` is part of the words.

`next_token` decides from the text alone, and says nothing while more text could change its answer. That makes a
token the same however the text arrives. Phrases and boxes have a greatest length, so that it never waits for long
and a text is read in linear time whatever it holds.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto
from itertools import product

MAX_HELD = 256
"""Greatest length of the words of a phrase, and of a box, in characters."""

_LT, _GT = "(?:<|&lt;)", "(?:>|&gt;)"
_SPACES = r"\s{0,8}"
_NAMES = ("p", "/p", "delim", "/s")
_OPEN, _CLOSE, _DELIMITER, _END = (f"{_LT}{name}{_GT}" for name in _NAMES)
_BOX_BEGINS = rf"\{{{_SPACES}{_LT}{_SPACES}(?=[-+]?\.?[0-9])"

MARK = re.compile(
    f"(?P<open>{_OPEN})|(?P<close>{_CLOSE})|(?P<delimiter>{_DELIMITER})|(?P<end>{_END})|(?P<box>{_BOX_BEGINS})"
)
"""Anything that is not plain words."""

_NUMBER = rf"{_LT}\s*([-+]?(?:[0-9]{{1,9}}(?:\.[0-9]*)?|\.[0-9]+))\s*{_GT}"
_BOX = re.compile(rf"\{{\s*{_NUMBER}\s*{_NUMBER}\s*{_NUMBER}\s*{_NUMBER}\s*(?:\|\s*{_NUMBER}\s*)?\}}")
# A box that is never closed ends where the next brace or mark or a word after a space shows that it is over.
_BOX_ENDS = re.compile(rf"(?P<brace>\}})|\{{|{_OPEN}|{_CLOSE}|{_DELIMITER}|{_END}|(?<!\s)\s+(?=[^\W\d_])")

_SPELLINGS = ["".join(parts) for name in _NAMES for parts in product(("<", "&lt;"), (name,), (">", "&gt;"))]
_BEGINNINGS = sorted({mark[:length] for mark in _SPELLINGS for length in range(1, len(mark))})
_PARTIAL = re.compile(
    rf"(?:{'|'.join(map(re.escape, _BEGINNINGS))}|\{{{_SPACES}(?:&(?:lt?)?|{_LT}{_SPACES}[-+]?\.?)?)\Z"
)
_TELLING = re.compile(rf"\{{|{_LT}.")
"""An unfinished mark at the end of a text that is no mere `<` or `&`."""

_LONGEST_MARK = 32

JOINER = re.compile(r"[\s,]*(?:and[\s,]*)?")
"""Words that may stand between a phrase and its boxes, and between the boxes (`<delim>` counts as no words)."""


class Kind(Enum):
    """What a token is."""

    TEXT = auto()
    DELIMITER = auto()
    END = auto()
    PHRASE = auto()
    BOX = auto()
    UNREADABLE = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text, from where the last one ended up to `end`."""

    kind: Kind
    end: int
    words: tuple[int, int] = (0, 0)
    """Of a phrase: where its words are, without the marks."""

    numbers: tuple[float, ...] = ()
    """Of a box: four coordinates, then the angle as written where there is one."""

    reason: str = ""
    """Of something unreadable: why."""


def next_token(text: str, start: int, *, final: bool) -> Token | None:
    """Read one token.

    Args:
        text: What is known of the text.
        start: Where the last token ended.
        final: Whether nothing will follow `text`.

    Returns:
        The token that begins at `start`, or None while more text is needed to tell, or there is none.
    """
    mark = MARK.search(text, start)
    if mark is None:
        return _words(text, start, final)
    if mark.start() > start:
        return Token(Kind.TEXT, mark.start())
    if mark.lastgroup == "open":
        return _phrase(text, mark.end(), final)
    if mark.lastgroup == "box":
        return _box(text, start, mark.end(), final)
    if mark.lastgroup == "close":
        return Token(Kind.UNREADABLE, mark.end(), reason="it ends a phrase that was not begun")
    return Token(Kind.DELIMITER if mark.lastgroup == "delimiter" else Kind.END, mark.end())


def _words(text: str, start: int, final: bool) -> Token | None:
    """Words up to what may be the beginning of a mark."""
    partial = _PARTIAL.search(text, max(start, len(text) - _LONGEST_MARK))
    end = partial.start() if partial else len(text)
    if end > start:
        return Token(Kind.TEXT, end)
    if not final or partial is None:
        return None
    if _TELLING.match(text, start):
        return Token(Kind.UNREADABLE, len(text), reason="the text ends inside it")
    return Token(Kind.TEXT, len(text))


def _phrase(text: str, begin: int, final: bool) -> Token | None:
    """A phrase whose words begin at `begin`; alone its opening mark is unreadable where it does not end."""
    window = begin + MAX_HELD + _LONGEST_MARK
    stop = MARK.search(text, begin, window)
    if stop is None and len(text) < window and not final:
        return None
    if stop is not None and stop.start() - begin <= MAX_HELD:
        if stop.lastgroup == "close":
            return Token(Kind.PHRASE, stop.end(), words=(begin, stop.start()))
        if stop.lastgroup == "box":
            return Token(Kind.PHRASE, stop.start(), words=(begin, stop.start()))
    return Token(Kind.UNREADABLE, begin, reason="the phrase it begins does not end")


def _box(text: str, start: int, inside: int, final: bool) -> Token | None:
    """A box that begins at `start`, or the part of the text that is unreadable in its place."""
    window = start + MAX_HELD + _LONGEST_MARK
    stop = _BOX_ENDS.search(text, inside, window)
    if stop is None and len(text) < window and not final:
        return None
    end = stop.start() if stop else len(text)
    if end - start > MAX_HELD:
        return Token(Kind.UNREADABLE, start + MAX_HELD, reason=f"no box is longer than {MAX_HELD} characters")
    if stop is None or stop.lastgroup != "brace":
        written = len(text[start:end].rstrip())
        return Token(Kind.UNREADABLE, start + written, reason="the box it begins does not end")
    if match := _BOX.fullmatch(text, start, stop.end()):
        numbers = tuple(float(number) for number in match.groups() if number is not None)
        return Token(Kind.BOX, stop.end(), numbers=numbers)
    return Token(Kind.UNREADABLE, stop.end(), reason=_why(text[start : stop.end()]))


def _why(box: str) -> str:
    """Why a complete box could not be read."""
    coordinates, *angles = box.split("|")
    count = len(re.findall(_NUMBER, coordinates))
    if len(angles) > 1:
        return f"a box has one angle, this one {len(angles)}"
    if count != 4:
        return f"a box has 4 coordinates, {count} could be read"
    return "a box is written {<x1><y1><x2><y2>|<angle>}"
