"""Regions as runs of number tokens: `<loc_12>`, `<patch_index_0044>`, `<12>`.

A run is named by the words directly before it (Florence-2), by a marked phrase (Kosmos-2, Rex-Omni), or by the words
after it (PaliGemma). The tokens may stand for coordinates or for grid cells; the order determines which. The codes of a
mask (`<seg012>`) need their model's decoder; they are skipped, and the box is used.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal, NamedTuple

from geochat.dialects.grammar import MAX_HELD, SPACES, Grammar, Kind, Opening, Token
from geochat.dialects.orders import Order
from geochat.dialects.shapes import Shape
from geochat.dialects.syntax import ENDS, Named, Syntax
from geochat.geometry import AngleConvention

_LONGEST = 4096  # characters of a run, which may be a polygon
_LABEL_ENDS = re.compile(r"[;\n<]")
_CODES = re.compile(r"(?:\s?<seg[0-9]{3}>)*")
_CODE_BEGINS = re.compile(r"\s?<(?:s(?:e(?:g[0-9]{0,3})?)?)?\Z|\s?\Z")


@dataclass(frozen=True, slots=True)
class TokenSyntax(Syntax):
    """Runs of tokens.

    Attributes:
        token: Text before and after the digits of a token.
        width: Digits a number is filled to with zeros.
        count: Tokens of a region, so that twice as many are two regions; None where a run is one region.
        others: Orders of runs of other lengths than `order`'s.
        label: Position of words that name a region without marks.
        around: Text before and after all regions of a phrase.
        between: Text between them.
        silent: Other marks that are understood and not shown.
    """

    token: tuple[str, str] = ("<", ">")
    width: int = 0
    count: int | None = None
    others: tuple[Order, ...] = ()
    label: Literal["", "before", "after"] = ""
    around: tuple[str, str] = ("", "")
    between: str = ""
    silent: tuple[str, ...] = ()

    terminator: ClassVar[str] = ";"

    @property
    def labelled(self) -> bool:
        """Return whether the label follows a region's tokens."""
        return self.label == "after"

    def build_grammar(self) -> Grammar:
        """Return the grammar; a token followed by digits begins a run."""
        before = re.escape(self.token[0])
        begun = "|".join(re.escape(self.token[0][:length]) for length in range(1, len(self.token[0]) + 1))
        return Grammar.of(
            [Opening(f"{before}(?=[0-9])", f"(?:{begun})")],
            phrase=self.phrase,
            delimiters=sorted({*self.around, *self.silent} - {""}),
            ends=ENDS,
            bare=self.label == "before",
        )

    def element(
        self, text: str, start: int, inside: int, *, final: bool, marked: bool, angles: AngleConvention
    ) -> Token | None:
        """Read a run of tokens that begins at `start`, with a label that follows it."""
        patterns = _patterns(self.token)
        numbers: list[float] = []
        end = start
        while self.count is None or len(numbers) < self.count:
            token = patterns.token.match(text, end, start + _LONGEST)
            if token is None:
                break
            numbers.append(float(token[1]))
            end = token.end()
        if (
            len(numbers) != self.count
            and not final
            and len(text) < start + _LONGEST
            and patterns.begun.match(text, end)
        ):
            return None
        order = next((order for order in (self.order, *self.others) if order.takes(len(numbers))), None)
        if order is not None:
            return self._named(text, end, order.read(numbers, angles), final)
        if not marked and len(self.token[0]) == 1 and len(numbers) < 2:
            return Token(Kind.TEXT, max(end, inside))
        reason = f"a region has {self.order.expects}, {len(numbers)} numbers could be read"
        return Token(Kind.UNREADABLE, max(end, inside), reason=reason)

    def region(self, shape: Shape, label: str | None, angles: AngleConvention, decimals: int) -> str:
        """Write one run, with a label that follows it."""
        before, after = self.token
        run = "".join(f"{before}{n.zfill(self.width)}{after}" for n in self.numbers(shape, angles, decimals))
        return run if label is None else f"{run} {label.strip()}"

    def compose(self, groups: Sequence[Named], angles: AngleConvention, decimals: int, inline: bool) -> str:
        """Write each phrase and its runs, in the order of the label."""
        written = []
        for phrase, shapes in groups:
            label = phrase if self.labelled else None
            runs = self.between.join(self.region(shape, label, angles, decimals) for shape in shapes)
            regions = f"{self.around[0]}{runs}{self.around[1]}" if shapes else ""
            if self.label == "before" and phrase is not None:
                regions = f"{phrase.strip()}{regions}"
            written.append(regions if self.label else self.named(phrase, regions, inline))
        return (self.between if self.labelled else "" if self.label == "before" else " ").join(written)

    def _named(self, text: str, end: int, shape: Shape, final: bool) -> Token | None:
        """Return the token of a region whose run ends at `end`."""
        if not self.labelled:
            return Token(Kind.REGION, end, shapes=((end, shape),))
        codes = _CODES.match(text, end)
        begin = codes.end() if codes else end
        if not final and _CODE_BEGINS.match(text, begin):
            return None
        stop = _LABEL_ENDS.search(text, begin, begin + MAX_HELD)
        if stop is None and len(text) < begin + MAX_HELD and not final:
            return None
        last = stop.start() if stop else min(len(text), begin + MAX_HELD)
        label = text[begin:last]
        first = begin + len(label) - len(label.lstrip())
        last = begin + len(label.rstrip())
        if last <= first:
            return Token(Kind.REGION, begin, shapes=((begin, shape),))
        return Token(Kind.REGION, last, words=(first, last), label=text[first:last], shapes=((last, shape),))


class _Patterns(NamedTuple):
    token: re.Pattern[str]
    begun: re.Pattern[str]


@cache
def _patterns(token: tuple[str, str]) -> _Patterns:
    """Return the patterns of one token, and of its possible beginning at the end of a text."""
    before, after = token
    begun = "|".join(re.escape(before[:length]) for length in range(len(before)))
    return _Patterns(
        re.compile(f"{SPACES}{re.escape(before)}([0-9]{{1,6}}){re.escape(after)}"),
        re.compile(f"{SPACES}(?:{begun}|{re.escape(before)}[0-9]{{0,6}})?\\Z"),
    )
