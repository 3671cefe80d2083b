"""RSCoVLM: Qwen2.5-VL taught dense detection of upright, oriented and four-cornered boxes, in JSON and in plain lines.

A line is `x1,y1,x2,y2 ship`. Numbers are pixels of the resized image, as in the base model. Questions have the same
wording for all forms; the system prompt names the form.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from geochat.dialects.base import Dialect, Wordings
from geochat.dialects.grammar import MAX_HELD, Grammar, Kind, Opening, Token
from geochat.dialects.json_objects import JsonSyntax
from geochat.dialects.orders import Centre, Corners, Order, Outline
from geochat.dialects.shapes import Shape
from geochat.dialects.syntax import ENDS, Named, Syntax
from geochat.geometry import AngleConvention, ModelFrame
from geochat.prompts import Task

_NUMBERS = re.compile(r"-?[0-9]{1,6}(?:\.[0-9]{1,6})?(?:,[ ]?-?[0-9]{1,6}(?:\.[0-9]{1,6})?)*+")
_GOES_ON = re.compile(r"[\d,. -]*\Z")
_LABEL_ENDS = re.compile(r"[\n<]")
_SOME = 3  # numbers in a row that are certainly meant as a region


@dataclass(frozen=True, slots=True)
class LineSyntax(Syntax):
    """Numbers separated by commas, a space and the label, to the end of the line."""

    prose: ClassVar[bool] = False
    terminator: ClassVar[str] = "\n"

    @property
    def labelled(self) -> bool:
        """The label is part of the line."""
        return True

    def build_grammar(self) -> Grammar:
        """Return the grammar: a number and a comma begin a line; fewer numbers than a region has are words."""
        opening = Opening(
            r"-?[0-9]{1,6}(?:\.[0-9]{1,6})?,(?=[ ]?-?[0-9])", r"(?:-|-?[0-9]{1,6}(?:\.[0-9]{0,6})?(?:,[ ]?-?)?)"
        )
        return Grammar.of([opening], ends=ENDS)

    def element(
        self, text: str, start: int, inside: int, *, final: bool, marked: bool, angles: AngleConvention
    ) -> Token | None:
        """Read a line of numbers and a label."""
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
        """Write one line without its line break."""
        return f"{','.join(self.numbers(shape, angles, decimals))} {(label or '').strip()}".rstrip()

    def compose(self, groups: Sequence[Named], angles: AngleConvention, decimals: int, _inline: bool) -> str:
        """Write one line per region; a phrase without regions is written as words."""
        lines = [self.region(shape, phrase, angles, decimals) for phrase, shapes in groups for shape in shapes]
        return "\n".join(lines) or ", ".join(phrase.strip() for phrase, _ in groups if phrase)


RESIZED = ModelFrame("resize", scale=None)
LONG_SIDE = AngleConvention(angle_range="[-90,90)")
KEYS: tuple[tuple[str, Order], ...] = (
    ("bbox_2d", Corners()),
    ("oriented bbox", Centre(long_side=True)),
    ("quadrant bbox", Outline(4)),
)
"""The keys of its objects, which `JsonSyntax` reads whichever it writes."""

_SOURCE = "VisionXLab/RSCoVLM, training/data/dense_det_dataset.py and refgeo_dataset.py"
_PLAIN = (
    "As an AI assistant, you specialize in accurate {} detection, delivering coordinates in plain text format '{}'."
)
_TURNED = "You are an AI assistant specializing in oriented object detection. Represent objects with"


def _rscovlm(name: str, syntax: Syntax, system: str, asked: str, mark: str) -> Dialect:
    return Dialect(
        name,
        syntax,
        Wordings(
            templates={
                Task.REFER: (asked, mark),
                Task.VQA: ("{}\nAnswer the question using a single word or phrase.", "Answer the question using"),
            },
            system={Task.REFER: system, Task.GROUNDING: system} if system else {},
        ),
        RESIZED,
        LONG_SIDE,
        empty="There are none.",
        source=_SOURCE,
    )


def _json(name: str, key: str, order: Order, system: str, kind: str) -> Dialect:
    others = tuple(pair for pair in KEYS if pair[0] != key)
    asked = f"Locate {{}}, output the {kind} coordinates using JSON format"
    return _rscovlm(name, JsonSyntax(order, key=key, others=others), system, asked, "using JSON format")


def _lines(name: str, order: Order, numbers: str, kind: str) -> Dialect:
    return _rscovlm(name, LineSyntax(order), _PLAIN.format(kind, f"{numbers} object"), "find the {}", "find the")


HBB = _json("rscovlm-hbb", "bbox_2d", Corners(), "", "bbox")
OBB = _json(
    "rscovlm-obb",
    "oriented bbox",
    Centre(long_side=True),
    f"{_TURNED}: center (x,y), width (w), height (h), and rotation angle.",
    "oriented bbox",
)
QUAD = _json(
    "rscovlm-quad",
    "quadrant bbox",
    Outline(4),
    f"{_TURNED} quadrant bbox: the corrdinates of each vertices of the oriented bounding boxes in clock-wise order.",
    "oriented bbox",
)
HBB_LINES = _lines("rscovlm-hbb-plain", Corners(), "x1,y1,x2,y2", "image object")
OBB_LINES = _lines("rscovlm-obb-plain", Centre(long_side=True), "x,y,w,h,a", "oriented object")
QUAD_LINES = _lines("rscovlm-quad-plain", Outline(4), "x1,y1,x2,y2,x3,y3,x4,y4", "oriented object")
