"""The base of all syntaxes: reading by a grammar, and writing only text that reads back."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import ClassVar, TypeAlias

from geochat.dialects.grammar import MAX_HELD, Grammar, Token
from geochat.dialects.orders import Order
from geochat.dialects.parsed import Phrase, Region, Unreadable, merge_text
from geochat.dialects.reader import Reader
from geochat.dialects.shapes import Shape
from geochat.errors import RegionError
from geochat.geometry import AngleConvention

_MOST = 1e9  # numbers have nine digits before the point

Named: TypeAlias = tuple[str | None, Sequence[Shape]]
"""A phrase, or None, and its regions in the model's numbers."""

ENDS = ("</s>", "<|im_end|>", "<|endoftext|>", "<eos>")
"""Marks that end a turn, which a server may leave in the text."""


@dataclass(frozen=True, slots=True)
class Syntax(ABC):
    """Regions and phrases as text, in the numbers the model writes.

    Attributes:
        order: Order of a region's numbers.
        phrase: Text before and after a phrase that names regions; None if phrases are plain words.
        limits: Minimum and maximum coordinate that can be written; others are clamped to them.
    """

    order: Order
    phrase: tuple[str, str] | None = None
    limits: tuple[float, float] | None = None

    prose: ClassVar[bool] = True
    """True if regions stand between the words of sentences; otherwise an answer is one list of them."""

    in_place: ClassVar[bool] = True
    """True if each region's text can be replaced by itself."""

    terminator: ClassVar[str] = ""
    """Text that parts a region from words after it, which would be taken for its label."""

    closers: ClassVar[str] = ""
    limit: ClassVar[int] = MAX_HELD

    @property
    def grammar(self) -> Grammar:
        """The marks, compiled once."""
        return _grammar_of(self)

    @property
    def labelled(self) -> bool:
        """Return whether a region's text contains its label."""
        return False

    @property
    def names(self) -> bool:
        """Return whether a written phrase reads back as a phrase."""
        return self.labelled or self.phrase is not None or self.grammar.bare

    def reader(self, angles: AngleConvention) -> Reader:
        """A reader for one text. It never raises and loses no text."""
        return Reader(self.grammar, partial(self.element, angles=angles), self.closers, self.limit)

    def write(
        self, groups: Sequence[Named], angles: AngleConvention, decimals: int = 0, *, inline: bool = False
    ) -> str:
        """Write phrases with their regions.

        Args:
            groups: In order.
            angles: Convention of written angles.
            decimals: Digits kept after the point, trailing zeros dropped. With none, a small box may be left without
                area.
            inline: Whether it stands in a sentence, so that phrases without marks are written as words.

        Raises:
            RegionError: What would be written could not be read back.
        """
        if not 0 <= decimals <= 15:
            raise RegionError(f"decimals={decimals} cannot be written; use 0 to 15")
        self._check_phrases(groups)
        text = self.compose(groups, angles, decimals, inline)
        self._check_back(text, groups, angles)
        return text

    @abstractmethod
    def build_grammar(self) -> Grammar:
        """The marks of this syntax."""

    @abstractmethod
    def element(
        self, text: str, start: int, inside: int, *, final: bool, marked: bool, angles: AngleConvention
    ) -> Token | None:
        """Read one region; see `grammar.RegionReader`."""

    @abstractmethod
    def region(self, shape: Shape, label: str | None, angles: AngleConvention, decimals: int) -> str:
        """Write one region to replace `Region.span`; `label` is used only if the syntax is `labelled`."""

    @abstractmethod
    def compose(self, groups: Sequence[Named], angles: AngleConvention, decimals: int, inline: bool) -> str:
        """The text of `write`, unchecked."""

    def numbers(self, shape: Shape, angles: AngleConvention, decimals: int) -> list[str]:
        """Return the numbers of a region as written, within the limits.

        Raises:
            RegionError: One is too large to be read back.
        """
        numbers = self.order.write(shape, angles, decimals)
        low, high = self.limits or (-math.inf, math.inf)
        within = [min(max(number, low), high) for number in numbers]
        if max(map(abs, within)) >= _MOST:
            raise RegionError(f"{shape} is too large to be written; coordinates of text lie near what the model sees")
        return [decimal(number, decimals) for number in within]

    def named(self, phrase: str | None, regions: str, inline: bool, gap: str = "") -> str:
        """Write a phrase before its regions: between its marks, or as plain words in a sentence."""
        if phrase is None:
            return regions
        if self.phrase is not None:
            return f"{self.phrase[0]}{phrase.strip()}{self.phrase[1]}{gap}{regions}".rstrip()
        return f"{phrase.strip()} {regions}".rstrip() if inline or not regions else regions

    def _check_phrases(self, groups: Sequence[Named]) -> None:
        for phrase, _ in groups:
            if phrase is None:
                continue
            if len(phrase.strip()) > MAX_HELD:
                raise RegionError(
                    f"phrase of {len(phrase.strip())} characters cannot be read back; use {MAX_HELD} at most"
                )
            if not self.labelled and (found := self.grammar.mark.search(phrase)):
                raise RegionError(f"phrase {phrase!r} holds the markup {found.group()!r}; take it out")

    def _check_back(self, text: str, groups: Sequence[Named], angles: AngleConvention) -> None:
        reader = self.reader(angles)
        events = merge_text(reader.feed(text) + reader.close())
        regions = [event for event in events if isinstance(event, Region)]
        shapes = [shape for _, group in groups for shape in group]
        if len(regions) != len(shapes) or any(isinstance(event, Unreadable) for event in events):
            shown = str(shapes[0]) if len(shapes) == 1 else f"one of {len(shapes)} regions"
            raise RegionError(f"{shown} is too large to be written, or beside words that look like one: {text:.80}")
        if not self.names:
            return
        written = [_plain(phrase) for phrase, group in groups for _ in group]
        if [_plain(region.phrase) for region in regions] != written:
            named = next(phrase for phrase, _ in groups if phrase is not None)
            raise RegionError(f"phrase {named!r} would not read back as such; take out its marks and line breaks")
        spoken = [event.text for event in events if isinstance(event, Phrase)]
        if not regions and [_plain(phrase) for phrase, _ in groups if phrase] != list(map(_plain, spoken)):
            raise RegionError(f"{text!r} would not read back as a phrase; take out its marks and line breaks")


@cache
def _grammar_of(syntax: Syntax) -> Grammar:
    return syntax.build_grammar()


def _plain(phrase: str | None) -> str:
    return "" if phrase is None else phrase.strip()


def decimal(number: float, decimals: int) -> str:
    """Format a number with at most this many decimals, without trailing zeros."""
    text = f"{number:.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
