"""Words with boxes in them, in the two ways they are written.

Boxes are in the numbers of the model that wrote them, and turn clockwise on screen. In markup they are as the model's
dialect has them, for GeoChat after `<p>phrase</p>`; in brackets, `[[x1, y1, x2, y2, θ], ...]`, they follow plain words
or `<ref>phrase</ref>`. Where no phrase is marked, the words since the last box or end of a clause stand for it.
"""

import re
from dataclasses import dataclass

from shapely.geometry.base import BaseGeometry

from geochat.dialects import Dialect, Region, Text
from geochat.dialects.orders import Corners
from geochat.dialects.shapes import box_around
from geochat.geometry import OrientedBox

_NUMBER = r"\s*([-+]?(?:\d{1,9}(?:\.\d{0,9})?|\.\d{1,9}))\s*"
_BRACKETS = re.compile(rf"\[{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}(?:,{_NUMBER})?\]")
_TAG = re.compile(r"</?(?:box|ref|p)>")
_MARKED = re.compile(r"<ref>([^<>]*)</ref>")
_FILLING = " \t\n[](),"
_CLAUSE_ENDS = re.compile(r"[.,;:!?\n]")


@dataclass(frozen=True, slots=True)
class GroundedText:
    """A text taken apart.

    Attributes:
        words: The text without boxes and marks.
        boxes: The boxes, in the numbers they were written in.
        phrases: For each box the words it belongs to, empty where there are none.
        shapes: For each box the point or polygon that was written in its place, None for a box; empty for boxes alone.
    """

    words: str
    boxes: tuple[OrientedBox, ...] = ()
    phrases: tuple[str, ...] = ()
    shapes: tuple[BaseGeometry | None, ...] = ()


def read_markup(text: str, dialect: Dialect) -> GroundedText:
    """Read what the dialect writes, for GeoChat `<p>phrase</p> {<x1><y1><x2><y2>|<θ>}`."""
    parsed = dialect.parse(text)
    boxes, shapes, phrases, words = [], [], [], ""
    for event in parsed.events:
        if isinstance(event, Region):
            boxes.append(event.box)
            shapes.append(event.geometry)
            phrases.append(event.phrase if event.phrase is not None else last_clause(words))
        elif isinstance(event, Text) and not _only_joins(event.text):
            words = event.text
    return GroundedText(parsed.plain_text, tuple(boxes), tuple(phrases), tuple(shapes))


def read_brackets(text: str, dialect: Dialect) -> GroundedText:
    """Read `words [[x1, y1, x2, y2, θ]]`, θ turning as in the dialect; it may be missing, and boxes may stand alone."""
    boxes, phrases, pieces = [], [], []
    end, phrase = 0, ""
    for match in _BRACKETS.finditer(text):
        gap = text[end : match.start()]
        if not _only_joins(_bare(gap)):
            marked = _MARKED.findall(gap)
            phrase = marked[-1].strip() if marked else last_clause(_bare(gap))
        pieces.append(_bare(gap))
        boxes.append(box_of([float(number or 0) for number in match.groups()], dialect))
        phrases.append(phrase)
        end = match.end()
    pieces.append(_bare(text[end:]))
    return GroundedText(_join(pieces), tuple(boxes), tuple(phrases))


def read_any(text: str, dialect: Dialect) -> GroundedText:
    """Read markup, or brackets where there is no box in markup."""
    grounded = read_markup(text, dialect)
    return grounded if grounded.boxes else read_brackets(text, dialect)


def box_of(numbers: list[float], dialect: Dialect) -> OrientedBox:
    """A box of four numbers, or of five with the angle, in the dialect's order where it takes so many."""
    order = dialect.syntax.order
    known = order if order.takes(len(numbers)) else Corners(oriented=True)
    return box_around(known.read(numbers, dialect.angles))


def last_clause(words: str) -> str:
    """The words after the last end of a clause, ends in `words` left out."""
    return _CLAUSE_ENDS.split(words.rstrip(" .,;:!?\n"))[-1].strip()


def _only_joins(words: str) -> bool:
    """Whether what stands between two boxes leaves them to the same phrase."""
    return words.strip(_FILLING).lower() in ("", "and")


def _bare(gap: str) -> str:
    """A piece between two boxes without tags and the brackets at its ends."""
    return _TAG.sub("", gap).strip(" \t\n[]").removeprefix(",").strip()


def _join(pieces: list[str]) -> str:
    joined = " ".join(piece for piece in pieces if piece)
    return re.sub(r"\s+([.,;:!?])", r"\1", " ".join(joined.split()))
