"""Regions in JSON: `[{"bbox_2d": [x1, y1, x2, y2], "label": "ship"}, ...]`, optionally fenced by three backticks.

Objects are read one by one. A list that is truncated, has lost its brackets or commas, or is part of a sentence
therefore yields all complete objects. The dialect determines which key holds which numbers; other keys, including
masks, are skipped. An object without numbers is unreadable.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from geochat.dialects.grammar import NUMBER, Grammar, Kind, Opening, Token
from geochat.dialects.orders import Order
from geochat.dialects.shapes import Shape
from geochat.dialects.syntax import ENDS, Named, Syntax
from geochat.geometry import AngleConvention

_LONGEST = 1 << 15  # characters of an object, which may hold a mask
_WIDE = r"\s{0,32}"
_STRING = r'"(?:[^"\\]|\\.)*+"'
_PLAIN = rf"(?:{_STRING}|'[^'\\]{{0,256}}+'|[\d.+-]++|true|false|null)"
# An object as far as it can be one: words, or a string that is not closed, end it.
_BODY = re.compile(rf"(?:[\s,:()\[\]]++|{_PLAIN})*+", re.DOTALL)
_UNFINISHED = re.compile(
    r"""(?:"(?:[^"\\]|\\.)*+\\?|'[^'\\]{0,256}+|t(?:ru?)?|f(?:a(?:ls?)?)?|n(?:ul?)?)?\Z""", re.DOTALL
)
_LABEL = re.compile(
    rf"""["'](?:label|text_content|text|name|category)["']\s*+:\s*+(?:({_STRING})|'([^'\\]*+)')""", re.DOTALL
)
_NUMBER = re.compile(NUMBER)
_LIST = rf"[\[(]\s*+({NUMBER}(?:[\s,]++{NUMBER})*+)[\s,]*+[\])]"
_KEY = rf"""{_WIDE}["'][^"'{{}}]{{1,64}}["']\s*+:\s*+"""
_WRAPPER = re.compile(rf"\{{(?:{_KEY}{_PLAIN}\s*+,)*+{_KEY}(?:\[\s*+)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class JsonSyntax(Syntax):
    """A list of objects, each one region with its label.

    Attributes:
        key: The key of the numbers that are written.
        others: Further keys that are read, with their orders.
        fenced: Whether an answer stands in a fence.
    """

    key: str = "bbox_2d"
    others: tuple[tuple[str, Order], ...] = ()
    fenced: bool = True

    prose: ClassVar[bool] = False
    closers: ClassVar[str] = "{}\"' \n"
    limit: ClassVar[int] = _LONGEST

    @property
    def labelled(self) -> bool:
        """Labels are part of the objects."""
        return True

    def build_grammar(self) -> Grammar:
        """Return the grammar: fences and list punctuation are silent; a brace followed by a key opens an object."""
        opened = rf"\{{{_WIDE}[\"']"
        return Grammar.of(
            [Opening(opened, rf"\{{{_WIDE}")],
            delimiters=("```json", "```"),
            silent=[
                Opening(rf"\[{_WIDE}(?={opened}|\])", rf"\[{_WIDE}(?:\{{{_WIDE})?"),
                Opening(rf",{_WIDE}(?={opened})", rf",{_WIDE}(?:\{{{_WIDE})?"),
            ],
            ends=ENDS,
            ignored="]}",
            shown=((",", ", "),),
        )

    def element(
        self, text: str, start: int, inside: int, *, final: bool, marked: bool, angles: AngleConvention
    ) -> Token | None:
        """Read an object that begins at `start`: a region, the wrapper of a list, or an unreadable part."""
        limit = start + _LONGEST
        found = _BODY.match(text, start + 1, limit)
        end = found.end() if found else start + 1
        if _UNFINISHED.match(text, end):  # inside a string, or where anything may follow
            if not final and len(text) < limit:
                return None
            end = min(len(text), limit)
        closed = text.startswith("}", end)
        read = self._read(text, start, end, angles)
        if read is None:
            if text.startswith("{", end) and (wrapper := _WRAPPER.fullmatch(text, start, end)):
                return Token(Kind.DELIMITER, wrapper.end())
            written = end + 1 if closed else start + max(1, len(text[start:end].rstrip()))
            reason = (
                f"it has no {self.key!r} of {self.order.expects}" if closed else "the object it begins does not end"
            )
            return Token(Kind.UNREADABLE, max(written, inside), reason=reason)
        shape, label, words, complete = read
        if closed:
            return Token(Kind.REGION, end + 1, words, label, ((end + 1, shape),))
        rest = complete + len(text[complete:end].rstrip(" \t\r\n,]"))
        return Token(Kind.REGION, max(rest, complete), words, label, ((complete, shape),), "the text ends inside it")

    def region(self, shape: Shape, label: str | None, angles: AngleConvention, decimals: int) -> str:
        """Write one object."""
        named = "" if label is None else f', "label": {json.dumps(label.strip(), ensure_ascii=False)}'
        return f'{{"{self.key}": [{", ".join(self.numbers(shape, angles, decimals))}]{named}}}'

    def compose(self, groups: Sequence[Named], angles: AngleConvention, decimals: int, inline: bool) -> str:
        """Write a list of all regions; a phrase without any is written as words."""
        objects = [self.region(shape, phrase, angles, decimals) for phrase, shapes in groups for shape in shapes]
        if not objects:
            return ", ".join(phrase.strip() for phrase, _ in groups if phrase)
        if inline:
            return objects[0] if len(objects) == 1 else f"[{', '.join(objects)}]"
        listed = "[\n\t" + ",\n\t".join(objects) + "\n]"
        return f"```json\n{listed}\n```" if self.fenced else listed

    def _read(
        self, text: str, start: int, end: int, angles: AngleConvention
    ) -> tuple[Shape, str | None, tuple[int, int], int] | None:
        """Return shape, label, the label's position and the end of both; None if no numbers can be read."""
        for key, order in ((self.key, self.order), *self.others):
            if field := _field(key).search(text, start, end):
                numbers = [float(number) for number in _NUMBER.findall(field[1])]
                if order.takes(len(numbers)):
                    shape = order.read(numbers, angles)
                    break
        else:
            return None
        label = _LABEL.search(text, start, end)
        if label is None:
            return shape, None, (0, 0), field.end()
        group = 1 if label[1] is not None else 2
        words = (label.start(1) + 1, label.end(1) - 1) if group == 1 else label.span(2)
        return shape, _decoded(text[slice(*words)]), words, max(field.end(), label.end())


@cache
def _field(key: str) -> re.Pattern[str]:
    """Match a key with its list of numbers."""
    return re.compile(rf"""["']{re.escape(key)}["']\s*+:\s*+{_LIST}""")


def _decoded(words: str) -> str:
    try:
        return str(json.loads(f'"{words}"', strict=False)).strip()
    except ValueError:
        return words.strip()
