"""Regions in bracketed lists: `[[x1, y1, x2, y2]]`, alone, between tags, or after a marked phrase.

Brackets also occur in prose, so a short list of numbers is treated as words unless it directly follows a tag or another
region; a longer list that is not a region is unreadable. Tags may be missing, for example if a server drops special
tokens.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from geochat.dialects.grammar import MAX_HELD, NUMBER, NUMBER_AHEAD, SPACES, Grammar, Kind, Opening, Token
from geochat.dialects.shapes import Shape
from geochat.dialects.syntax import ENDS, Named, Syntax
from geochat.geometry import AngleConvention

_LIST = re.compile(rf"\s*{NUMBER}(?:\s*,\s*{NUMBER})*\s*,?\s*")
_NUMBER = re.compile(NUMBER)
_BODY = re.compile(r"[\d\s,.+-]*")
_SOME = 2  # commas of a list that is certainly meant as a region


@dataclass(frozen=True, slots=True)
class BracketSyntax(Syntax):
    """`<ref>phrase</ref><box>[[x1, y1, x2, y2], [x1, y1, x2, y2]]</box>` and its relatives.

    Attributes:
        tags: Text before and after the regions of a phrase; read as silent marks.
        lists: Layout of several regions: "one" list of lists, a list of lists for "each", or "flat" lists.
        brackets: Brackets around the numbers of a region.
        joint: Separator of regions within the innermost brackets, "" for none.
        width: Digits a number is filled to with zeros.
        silent: Other marks that are understood and not shown.
        ends: Marks that end the turn.
    """

    tags: tuple[str, str] = ("", "")
    lists: Literal["one", "each", "flat"] = "one"
    brackets: tuple[str, str] = ("[", "]")
    joint: str = ""
    width: int = 0
    silent: tuple[str, ...] = ()
    ends: tuple[str, ...] = ENDS

    def build_grammar(self) -> Grammar:
        """Return the marks; the outer of nested brackets are silent."""
        opened = re.escape(self.brackets[0])
        openings = [Opening.after(self.brackets[0])] + ([Opening.after(self.joint)] if self.joint else [])
        outer = Opening(
            rf"{opened}{SPACES}(?=(?:{opened}{SPACES}){{1,2}}{NUMBER_AHEAD})",
            rf"{opened}{SPACES}(?:{opened}{SPACES}){{0,2}}[-+]?\.?",
        )
        return Grammar.of(
            openings,
            phrase=self.phrase,
            delimiters=sorted({*self.tags, *self.silent} - {""}),
            silent=[outer] if len(self.brackets[0]) == 1 else [],
            ends=self.ends,
            ignored=self.brackets[1],
        )

    def element(
        self, text: str, start: int, inside: int, *, final: bool, marked: bool, angles: AngleConvention
    ) -> Token | None:
        """Read a list of numbers that begins at `start`: a region, words, or an unreadable part."""
        closing = self.brackets[1]
        end = _end_of(_BODY, text, inside, start + MAX_HELD)
        if end == len(text) and end < start + MAX_HELD and not final:
            return None
        closed, parted = text.startswith(closing, end), bool(self.joint) and text.startswith(self.joint, end)
        stop = end + len(closing) if closed else end
        body = text[inside:end]
        if (closed or parted) and _LIST.fullmatch(body):
            numbers = [float(number) for number in _NUMBER.findall(body)]
            if self.order.takes(len(numbers)):
                return Token(Kind.REGION, stop, shapes=((stop, self.order.read(numbers, angles)),))
            reason = f"a region has {self.order.expects}, this one {len(numbers)} numbers"
        else:
            reason = "it is no list of numbers" if closed else "the list it begins does not end"
        if marked or body.count(",") >= _SOME or end >= start + MAX_HELD:
            written = stop if closed else start + len(text[start:stop].rstrip())
            return Token(Kind.UNREADABLE, max(written, inside), reason=reason)
        return Token(Kind.TEXT, max(stop, inside))

    def region(self, shape: Shape, _label: str | None, angles: AngleConvention, decimals: int) -> str:
        """Write one list of numbers."""
        return f"{self.brackets[0]}{self._numbers(shape, angles, decimals)}{self.brackets[1]}"

    def compose(self, groups: Sequence[Named], angles: AngleConvention, decimals: int, inline: bool) -> str:
        """Write each phrase, if it is marked or part of a sentence, and its lists."""
        written = []
        for phrase, shapes in groups:
            boxes = f"{self.tags[0]}{self._lists(shapes, angles, decimals)}{self.tags[1]}" if shapes else ""
            written.append(self.named(phrase, boxes, inline))
        return " ".join(written)

    def _lists(self, shapes: Sequence[Shape], angles: AngleConvention, decimals: int) -> str:
        opened, closed = self.brackets
        if self.joint:
            return f"{opened * 2}{self.joint.join(self._numbers(s, angles, decimals) for s in shapes)}{closed * 2}"
        regions = [self.region(shape, None, angles, decimals) for shape in shapes]
        if self.lists == "each":
            return "".join(f"{opened}{region}{closed}" for region in regions)
        return ", ".join(regions) if self.lists == "flat" else f"{opened}{', '.join(regions)}{closed}"

    def _numbers(self, shape: Shape, angles: AngleConvention, decimals: int) -> str:
        joint = "," if self.width else ", "
        return joint.join(number.zfill(self.width) for number in self.numbers(shape, angles, decimals))


def _end_of(run: re.Pattern[str], text: str, start: int, limit: int) -> int:
    """Return the end of a run of characters, at most `limit`."""
    found = run.match(text, start, limit)
    return start if found is None else found.end()
