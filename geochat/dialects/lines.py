"""Regions as lines of plain text: `x1,y1,x2,y2 ship`, one a line (RSCoVLM)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from geochat.dialects.grammar import MAX_HELD, Grammar, Kind, Opening, Token
from geochat.dialects.shapes import Shape
from geochat.dialects.syntax import ENDS, Named, Syntax
from geochat.geometry import AngleConvention

_NUMBERS = re.compile(r"-?[0-9]{1,6}(?:\.[0-9]{1,6})?(?:,[ ]?-?[0-9]{1,6}(?:\.[0-9]{1,6})?)*+")
_GOES_ON = re.compile(r"[\d,. -]*\Z")
_LABEL_ENDS = re.compile(r"[\n<]")
_SOME = 3  # numbers in a row that are certainly meant as a region


@dataclass(frozen=True, slots=True)
class LineSyntax(Syntax):
    """Numbers parted by commas, a space and the label, to the end of the line."""

    prose: ClassVar[bool] = False
    terminator: ClassVar[str] = "\n"

    @property
    def labelled(self) -> bool:
        """The label stands in the line."""
        return True

    def build_grammar(self) -> Grammar:
        """A number and a comma begin a line; fewer numbers than a region has are words."""
        opening = Opening(
            r"-?[0-9]{1,6}(?:\.[0-9]{1,6})?,(?=[ ]?-?[0-9])", r"(?:-|-?[0-9]{1,6}(?:\.[0-9]{0,6})?(?:,[ ]?-?)?)"
        )
        return Grammar.of([opening], ends=ENDS)

    def element(
        self, text: str, start: int, inside: int, *, final: bool, marked: bool, angles: AngleConvention
    ) -> Token | None:
        """A line of numbers and a label."""
        found = _NUMBERS.match(text, start, start + MAX_HELD)
        end = found.end() if found else inside
        if not final and len(text) < start + MAX_HELD and _GOES_ON.match(text, end):
            return None
        numbers = [float(number) for number in text[start:end].split(",")]
        if not self.order.takes(len(numbers)):
            if len(numbers) < _SOME:
                return Token(Kind.TEXT, end)
            reason = f"a region has {self.order.expects}, this line {len(numbers)} numbers"
            return Token(Kind.UNREADABLE, end, reason=reason)
        stop = _LABEL_ENDS.search(text, end, end + MAX_HELD)
        if stop is None and len(text) < end + MAX_HELD and not final:
            return None
        last = min(len(text), end + MAX_HELD) if stop is None else stop.start()
        label = text[end:last]
        shape = self.order.read(numbers, angles)
        if not label.strip():
            return Token(Kind.REGION, end, shapes=((end, shape),))
        first = end + len(label) - len(label.lstrip())
        last = end + len(label.rstrip())
        return Token(Kind.REGION, last, (first, last), text[first:last], ((last, shape),))

    def region(self, shape: Shape, label: str | None, angles: AngleConvention, decimals: int) -> str:
        """One line without its end."""
        return f"{','.join(self.numbers(shape, angles, decimals))} {(label or '').strip()}".rstrip()

    def compose(self, groups: Sequence[Named], angles: AngleConvention, decimals: int, _inline: bool) -> str:
        """A line a region; a phrase without regions is written as words."""
        lines = [self.region(shape, phrase, angles, decimals) for phrase, shapes in groups for shape in shapes]
        return "\n".join(lines) or ", ".join(phrase.strip() for phrase, _ in groups if phrase)
