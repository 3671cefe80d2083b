"""Florence-2 and Falcon, a remote-sensing model trained from it: 1000 bins per side; a number is the centre of its bin.

Florence-2's boxes and quadrilaterals differ only in the number of tokens, and eight tokens can also be two boxes, so
the dialect determines the kind. Falcon marks each kind.
"""

from geochat.dialects.base import PLAIN, Dialect, Wordings
from geochat.dialects.orders import Corners, Order, Outline
from geochat.dialects.tokens import TokenSyntax
from geochat.geometry import ModelFrame
from geochat.prompts import Task

_BINS = ModelFrame("image", scale=1000, bins=True)
_LAST = (0, 999)
_SOURCE = "transformers, florence2/processing_florence2.py; roboflow/supervision reads without the half bin"
_FALCON = "TianHuiLab/Falcon, inference.py and README"
_TAGS = ("<box>", "</box>", "<quad>", "</quad>", "<poly>", "</poly>", "<sep>")

FLORENCE = Dialect(
    "florence-2",
    TokenSyntax(Corners(), limits=_LAST, token=("<loc_", ">"), count=4, label="before"),
    Wordings(
        tokens={
            Task.CAPTION: "<CAPTION>",
            Task.REFER: "<CAPTION_TO_PHRASE_GROUNDING>",
            Task.GROUNDING: "<OD>",
            Task.IDENTIFY: "<REGION_TO_CATEGORY>",
        },
        defaults={Task.CAPTION: "", Task.GROUNDING: "", Task.IDENTIFY: ""},
    ),
    _BINS,
    source=_SOURCE,
)
FLORENCE_QUAD = Dialect(
    "florence-2-quad",
    TokenSyntax(Outline(4), limits=_LAST, token=("<loc_", ">"), count=8, label="before"),
    Wordings(
        tokens={Task.REFER: "<OCR_WITH_REGION>", Task.IDENTIFY: "<REGION_TO_OCR>"},
        defaults={**PLAIN, Task.REFER: "", Task.IDENTIFY: ""},
    ),
    _BINS,
    source=_SOURCE,
)


def _falcon(name: str, order: Order, tag: str, boxes: str) -> Dialect:
    opened, closed = f"<{tag}>", f"</{tag}>"
    return Dialect(
        name,
        TokenSyntax(
            order,
            limits=_LAST,
            others=(Corners(), Outline()),
            around=(opened, closed),
            between=f"{closed}{opened}",
            silent=_TAGS,
        ),
        Wordings(
            defaults={**PLAIN, Task.IDENTIFY: "Use one or a few words. Classify the region of"},
            templates={
                Task.REFER: (f"Detect all {{}} in the image.\nUse {boxes} bounding boxes.", "bounding boxes"),
                Task.SCENE: ("Classify the image.\nUse one of: {}.", "Classify the image"),
            },
        ),
        _BINS,
        source=_FALCON,
    )


FALCON = _falcon("falcon", Corners(), "box", "horizontal")
FALCON_QUAD = _falcon("falcon-quad", Outline(4), "quad", "oriented")
