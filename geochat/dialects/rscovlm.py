"""RSCoVLM: Qwen2.5-VL taught dense detection of upright, oriented and four-cornered boxes, in JSON and in plain lines.

Numbers are pixels of the resized image, as its base's. It is asked the same in words; the system prompt names the form.
"""

from geochat.dialects.base import Dialect, Wordings
from geochat.dialects.json_objects import JsonSyntax
from geochat.dialects.lines import LineSyntax
from geochat.dialects.orders import Centre, Corners, Order, Outline
from geochat.dialects.syntax import Syntax
from geochat.geometry import AngleConvention, ModelFrame
from geochat.prompts import Task

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
