"""Points in tags: `<point x="10.5" y="20.0" alt="ship">ship</point>`, Molmo.

`<points x1=".." y1=".." x2=".." y2="..">` holds several; newer checkpoints write `<point p=012, 345>` and
`<points 1=012,345 2=..>`, in tenths. `Click(x, y)` is a point as well, and so is a bare `(x, y)` in percent.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from geochat.dialects.grammar import MAX_HELD, NUMBER, SPACES, Grammar, Kind, Opening, Token
from geochat.dialects.shapes import Shape
from geochat.dialects.syntax import ENDS, Named, Syntax
from geochat.geometry import AngleConvention

_LONGEST = 8192  # characters of a tag, which may hold hundreds of points
_TAG = re.compile(r'<points?(?:[^<>"]|"[^"<>]{0,256}+")*+')
_UNFINISHED = re.compile(r'(?:"[^"<>]{0,256}+)?\Z')
_WORDS = re.compile(rf"([^<\n]{{0,{MAX_HELD}}}+)</points?>")
_WORDS_BEGIN = re.compile(rf"[^<\n]{{0,{MAX_HELD}}}+(?:<(?:/(?:p(?:o(?:i(?:n(?:ts?)?)?)?)?)?)?)?\Z")
_OLD = re.compile(rf'x([0-9]{{0,3}})\s*=\s*"({NUMBER})"\s+y\1\s*=\s*"({NUMBER})"')
_NEW = re.compile(r"(?<![\w\"])(?:p|[0-9]{1,3})\s?=\s?([0-9]{3}),\s?([0-9]{3})(?![0-9])")
_ALT = re.compile(r'alt\s*=\s*"([^"<>]{0,256}+)"')
_CLICK = re.compile(rf"(?:Click)?\(\s*({NUMBER})\s*,\s*({NUMBER})\s*\)")
_CLICK_BODY = re.compile(r"(?:Click)?\([\d\s,.+-]{0,64}+")
_MOST = 100  # percent


@dataclass(frozen=True, slots=True)
class PointSyntax(Syntax):
    """A tag for each phrase, with all its points.

    Attributes:
        tenths: Whether points are written as `p=012,345`, three digits each.
    """

    tenths: bool = False

    in_place: ClassVar[bool] = False

    @property
    def labelled(self) -> bool:
        """The words between the tags name its points."""
        return True

    def build_grammar(self) -> Grammar:
        """A tag begins with its name and a space."""
        openings = [
            Opening(r"<points?\s", r"<(?:p(?:o(?:i(?:n(?:ts?)?)?)?)?)?"),
            Opening(rf"(?:Click)?\({SPACES}(?=[-+.]?[0-9])", rf"(?:C(?:l(?:i(?:ck?)?)?)?|(?:Click)?\({SPACES}[-+.]?)"),
        ]
        return Grammar.of(openings, delimiters=("</point>", "</points>"), ends=ENDS)

    def element(
        self, text: str, start: int, inside: int, *, final: bool, marked: bool, angles: AngleConvention
    ) -> Token | None:
        """Read a tag with its points, or a bare point."""
        limit = start + _LONGEST
        tag = _TAG.match(text, start, limit)
        if tag is None:
            return self._click(text, start, inside, final, angles)
        end = tag.end()
        if not final and len(text) < limit and _UNFINISHED.match(text, end):
            return None
        points = [(found.end(), found[2], found[3]) for found in _OLD.finditer(text, start, end)] or [
            (found.end(), f"{found[1][:2]}.{found[1][2]}", f"{found[2][:2]}.{found[2][2]}")
            for found in _NEW.finditer(text, start, end)
        ]
        closed = text.startswith(">", end)
        if not points:
            return Token(Kind.UNREADABLE, end + closed, reason='it holds no point x=".." y=".."')
        shapes = [(stop, self.order.read([float(x), float(y)], angles)) for stop, x, y in points]
        if not closed:
            reason = "the tag it begins does not end"
            return Token(Kind.REGION, start + len(text[start:end].rstrip()), shapes=tuple(shapes), reason=reason)
        return _named(text, start, end + 1, shapes, final)

    def region(self, shape: Shape, label: str | None, angles: AngleConvention, decimals: int) -> str:
        """Write one point in its own tag."""
        return self._tag([shape], label, angles, decimals)

    def compose(self, groups: Sequence[Named], angles: AngleConvention, decimals: int, _inline: bool) -> str:
        """Write a tag for each phrase; a phrase without points is written as words."""
        tags = (self._tag(shapes, phrase, angles, decimals) if shapes else (phrase or "") for phrase, shapes in groups)
        return " ".join(tags)

    def _tag(self, shapes: Sequence[Shape], label: str | None, angles: AngleConvention, decimals: int) -> str:
        places = [[float(number) for number in self.numbers(shape, angles, decimals)] for shape in shapes]
        name = "point" if len(shapes) == 1 else "points"
        if self.tenths:
            marks = [f"{number}={x * 10:03.0f},{y * 10:03.0f}" for number, (x, y) in enumerate(places, 1)]
            marks = [mark.replace("1=", "p=", 1) for mark in marks] if len(marks) == 1 else marks
        else:
            digits = [""] if len(shapes) == 1 else [str(number) for number in range(1, len(places) + 1)]
            marks = [
                f'x{number}="{x:.{decimals}f}" y{number}="{y:.{decimals}f}"'
                for number, (x, y) in zip(digits, places, strict=True)
            ]
        words = "" if label is None else label.strip()
        alt = f' alt="{words}"' if words else ""
        return f"<{name} {' '.join(marks)}{alt}>{words}</{name}>"

    def _click(self, text: str, start: int, inside: int, final: bool, angles: AngleConvention) -> Token | None:
        """Read a point in parentheses, or words."""
        body = _CLICK_BODY.match(text, start)
        end = body.end() if body else inside
        if end == len(text) and not final and end - inside < MAX_HELD:
            return None
        found = _CLICK.match(text, start)
        if found is None or max(float(found[1]), float(found[2])) > _MOST:
            return Token(Kind.TEXT, inside)
        point = self.order.read([float(found[1]), float(found[2])], angles)
        return Token(Kind.REGION, found.end(), shapes=((found.end(), point),))


def _named(text: str, start: int, end: int, shapes: list[tuple[int, Shape]], final: bool) -> Token | None:
    """Return the token of a tag that ends at `end`, with the words between it and its closing tag."""
    words = _WORDS.match(text, end)
    if words is None and not final and len(text) < end + MAX_HELD + 16 and _WORDS_BEGIN.match(text, end):
        return None
    named = words if words and words[1].strip() else _ALT.search(text, start, end)
    stop = words.end() if words else end
    shapes[-1] = (stop, shapes[-1][1])
    label = named[1].strip() if named else ""
    if named is None or not label:
        return Token(Kind.REGION, stop, shapes=tuple(shapes))
    first = named.start(1) + len(named[1]) - len(named[1].lstrip())
    return Token(Kind.REGION, stop, (first, first + len(label)), label, tuple(shapes))
