"""Regions as pairs of points in parentheses: `<box>(x1,y1),(x2,y2)</box>`, Qwen-VL and Qwen2-VL.

Without its marks, as where a server drops special tokens, a box is still one; a single point is one only directly after
a mark, because elsewhere "(3,5)" is words.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import shapely

from geochat.dialects.grammar import MAX_HELD, NUMBER, Grammar, Kind, Opening, Token
from geochat.dialects.orders import Spot
from geochat.dialects.shapes import Shape
from geochat.dialects.syntax import ENDS, Named, Syntax, decimal
from geochat.geometry import AngleConvention

_PAIR = rf"\(\s*({NUMBER})\s*,\s*({NUMBER})\s*\)"
_BOX = re.compile(rf"{_PAIR}\s*,\s*{_PAIR}")
_POINT = re.compile(_PAIR)
_BODY = re.compile(r"[\d\s,.()+-]*")
_SPOT = Spot()


@dataclass(frozen=True, slots=True)
class PairSyntax(Syntax):
    """`<ref>phrase</ref><box>(x1,y1),(x2,y2)</box>`, each box between marks of its own.

    Attributes:
        tags: What stands before and after a region.
    """

    tags: tuple[str, str] = ("<box>", "</box>")

    def build_grammar(self) -> Grammar:
        """The marks."""
        return Grammar.of([Opening.after("(")], phrase=self.phrase, delimiters=self.tags, ends=ENDS)

    def element(
        self, text: str, start: int, inside: int, *, final: bool, marked: bool, angles: AngleConvention
    ) -> Token | None:
        """A box, or directly after a mark a point."""
        limit = start + MAX_HELD
        found = _BODY.match(text, inside, limit)
        end = found.end() if found else inside
        if end == len(text) and end < limit and not final and not _BOX.match(text, start, limit):
            return None
        if box := _BOX.match(text, start, limit):
            shape = self.order.read([float(number) for number in box.groups()], angles)
            return Token(Kind.REGION, box.end(), shapes=((box.end(), shape),))
        if not marked:
            return Token(Kind.TEXT, inside)
        written = start + len(text[start:end].rstrip())
        if point := _POINT.fullmatch(text, start, written):
            place = _SPOT.read([float(number) for number in point.groups()], angles)
            return Token(Kind.REGION, written, shapes=((written, place),))
        return Token(Kind.UNREADABLE, max(written, inside), reason="a region is written (x1,y1),(x2,y2)")

    def region(self, shape: Shape, _label: str | None, angles: AngleConvention, decimals: int) -> str:
        """Two corners, or a point."""
        if isinstance(shape, shapely.Point):
            return f"({decimal(shape.x, decimals)},{decimal(shape.y, decimals)})"
        x1, y1, x2, y2 = self.numbers(shape, angles, decimals)
        return f"({x1},{y1}),({x2},{y2})"

    def compose(self, groups: Sequence[Named], angles: AngleConvention, decimals: int, inline: bool) -> str:
        """Each phrase between its marks, and its regions between theirs."""
        before, after = self.tags
        written = []
        for phrase, shapes in groups:
            regions = (self.region(shape, None, angles, decimals) for shape in shapes)
            written.append(self.named(phrase, "".join(f"{before}{region}{after}" for region in regions), inline))
        return " ".join(written)
