"""The Qwen-VL family and models based on it.

Qwen-VL and Qwen2-VL write thousandths as pairs of points in parentheses, `<box>(x1,y1),(x2,y2)</box>`, Qwen2.5-VL
pixels of the resized image in JSON, Qwen3-VL thousandths in the same JSON. Nothing in the text tells the last two
apart. None of them has an oriented form of its own; `qwen3-vl-obb` and `qwen3-vl-quad` give it RSCoVLM's keys, to be
trained.

Pairs without their marks, as where a server drops special tokens, are still a box; a single point is one only directly
after a mark, because elsewhere "(3,5)" is words.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import shapely

from geochat.dialects.base import PLAIN, Dialect, Wordings
from geochat.dialects.grammar import MAX_HELD, NUMBER, Grammar, Kind, Opening, Token
from geochat.dialects.json_objects import JsonSyntax
from geochat.dialects.orders import Centre, Corners, Order, Outline, Spot
from geochat.dialects.rscovlm import KEYS, LONG_SIDE, RESIZED
from geochat.dialects.shapes import Shape
from geochat.dialects.syntax import ENDS, Named, Syntax, decimal
from geochat.dialects.tokens import TokenSyntax
from geochat.geometry import AngleConvention, ModelFrame
from geochat.prompts import Task

_PAIR = rf"\(\s*({NUMBER})\s*,\s*({NUMBER})\s*\)"
_TWO_PAIRS = re.compile(rf"{_PAIR}\s*,\s*{_PAIR}")
_ONE_PAIR = re.compile(_PAIR)
_BODY = re.compile(r"[\d\s,.()+-]*")
_SPOT = Spot()


@dataclass(frozen=True, slots=True)
class PairSyntax(Syntax):
    """`<ref>phrase</ref><box>(x1,y1),(x2,y2)</box>`, each box between its own marks.

    Attributes:
        tags: Text before and after a region.
    """

    tags: tuple[str, str] = ("<box>", "</box>")

    def build_grammar(self) -> Grammar:
        """The marks."""
        return Grammar.of([Opening.after("(")], phrase=self.phrase, delimiters=self.tags, ends=ENDS)

    def element(
        self, text: str, start: int, inside: int, *, final: bool, marked: bool, angles: AngleConvention
    ) -> Token | None:
        """Read a box, or a point directly after a mark."""
        limit = start + MAX_HELD
        found = _BODY.match(text, inside, limit)
        end = found.end() if found else inside
        if end == len(text) and end < limit and not final and not _TWO_PAIRS.match(text, start, limit):
            return None
        if box := _TWO_PAIRS.match(text, start, limit):
            shape = self.order.read([float(number) for number in box.groups()], angles)
            return Token(Kind.REGION, box.end(), shapes=((box.end(), shape),))
        if not marked:
            return Token(Kind.TEXT, inside)
        written = start + len(text[start:end].rstrip())
        if point := _ONE_PAIR.fullmatch(text, start, written):
            place = _SPOT.read([float(number) for number in point.groups()], angles)
            return Token(Kind.REGION, written, shapes=((written, place),))
        return Token(Kind.UNREADABLE, max(written, inside), reason="a region is written (x1,y1),(x2,y2)")

    def region(self, shape: Shape, _label: str | None, angles: AngleConvention, decimals: int) -> str:
        """Write two corners, or a point."""
        if isinstance(shape, shapely.Point):
            return f"({decimal(shape.x, decimals)},{decimal(shape.y, decimals)})"
        x1, y1, x2, y2 = self.numbers(shape, angles, decimals)
        return f"({x1},{y1}),({x2},{y2})"

    def compose(self, groups: Sequence[Named], angles: AngleConvention, decimals: int, inline: bool) -> str:
        """Write each phrase between its marks, and its regions between theirs."""
        before, after = self.tags
        written = []
        for phrase, shapes in groups:
            regions = (self.region(shape, None, angles, decimals) for shape in shapes)
            written.append(self.named(phrase, "".join(f"{before}{region}{after}" for region in regions), inline))
        return " ".join(written)


_THOUSAND = ModelFrame("image", scale=1000)
_SHORT = ("{}\nAnswer the question using a single word or phrase.", "Answer the question using")
_OBJECT, _BOX = ("<|object_ref_start|>", "<|object_ref_end|>"), ("<|box_start|>", "<|box_end|>")
_POINT: tuple[tuple[str, Order], ...] = (("point_2d", Spot()),)


def _wordings(refer: tuple[str, str], region: str = "{}") -> Wordings:
    return Wordings(
        defaults={**PLAIN, Task.GROUNDING: "Locate every object in the image and name it."},
        templates={Task.REFER: refer, Task.VQA: _SHORT},
        region=region,
    )


_BBOX = _wordings(("Locate {}, output the bbox coordinates using JSON format", "using JSON format"))
_TURNED = _wordings(("Locate {}, output the oriented bbox coordinates using JSON format", "using JSON format"))

QWEN_VL = Dialect(
    "qwen-vl",
    PairSyntax(Corners(), ("<ref>", "</ref>"), limits=(0, 999)),
    _wordings(("Find <ref>{}</ref> in the image", "<ref>")),
    _THOUSAND,
    source="QwenLM/Qwen-VL, eval_mm/evaluate_grounding.py, which divides by 999",
)
QWEN2_VL = Dialect(
    "qwen2-vl",
    PairSyntax(Corners(), _OBJECT, limits=(0, 999), tags=_BOX),
    _wordings((f"Find the {_OBJECT[0]}{{}}{_OBJECT[1]} in the image", _OBJECT[0])),
    _THOUSAND,
    source="QwenLM/Qwen3-VL#866; ms-swift, docs of `legacy` boxes",
)
QWEN25_VL = Dialect(
    "qwen2.5-vl",
    JsonSyntax(Corners(), others=_POINT),
    _BBOX,
    RESIZED,
    source="QwenLM/Qwen3-VL#676, #721, #866: pixels after smart_resize, factor 28",
)
QWEN3_VL = Dialect(
    "qwen3-vl",
    JsonSyntax(Corners(), limits=(0, 1000), others=_POINT),
    _BBOX,
    _THOUSAND,
    source="QwenLM/Qwen3-VL, cookbooks/spatial_understanding.ipynb; Qwen3.5 the same",
)
QWEN3_VL_OBB = replace(
    QWEN3_VL,
    name="qwen3-vl-obb",
    syntax=JsonSyntax(Centre(long_side=True), key="oriented bbox", others=(*KEYS, *_POINT)),
    wordings=_TURNED,
    angles=LONG_SIDE,
    source="RSCoVLM's key over Qwen3-VL's frame; requested in QwenLM/Qwen3-VL#2101; needs training",
)
QWEN3_VL_QUAD = replace(
    QWEN3_VL_OBB,
    name="qwen3-vl-quad",
    syntax=JsonSyntax(Outline(4), key="quadrant bbox", others=(*KEYS, *_POINT)),
)

REX_OMNI = Dialect(
    "rex-omni",
    TokenSyntax(Corners(), _OBJECT, limits=(0, 999), others=(Spot(), Outline()), around=_BOX, between=", "),
    _wordings(("Detect {}. Output the bounding box coordinates in [x0, y0, x1, y1] format.", "Output the bounding")),
    ModelFrame("image", scale=999),
    source="IDEA-Research/Rex-Omni, evaluation/inference_text_prompt.py",
)
