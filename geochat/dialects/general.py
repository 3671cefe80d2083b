"""Dialects of general vision-language models: brackets, tokens, JSON and points."""

from geochat.dialects.base import PLAIN, Dialect, Wordings
from geochat.dialects.brackets import BracketSyntax
from geochat.dialects.json_objects import JsonSyntax
from geochat.dialects.orders import Cells, Corners, Spot
from geochat.dialects.points import PointSyntax
from geochat.dialects.tokens import TokenSyntax
from geochat.geometry import ModelFrame
from geochat.prompts import Task

_THOUSAND = ModelFrame("image", scale=1000)
_SHORT = ("{}\nAnswer the question using a single word or phrase.", "Answer the question using")
_LLAVA = ("Please provide the bounding box coordinate of the region this sentence describes: {}", "Please provide the")


def _wordings(refer: tuple[str, str], identify: str = PLAIN[Task.IDENTIFY]) -> Wordings:
    return Wordings(defaults={**PLAIN, Task.IDENTIFY: identify}, templates={Task.REFER: refer, Task.VQA: _SHORT})


LLAVA = Dialect(
    "llava",
    BracketSyntax(Corners(), lists="flat", limits=(0, 1)),
    _wordings(_LLAVA, "Please provide a short description for this region:"),
    ModelFrame("pad", scale=1),
    decimals=2,
    source="LLaVA-1.5's training data; the padded square as frame is an assumption",
)
INTERNVL = Dialect(
    "internvl",
    BracketSyntax(Corners(), ("<ref>", "</ref>"), limits=(0, 1000), tags=("<box>", "</box>")),
    _wordings(
        (_LLAVA[0].replace("{}", "<ref>{}</ref>"), "<ref>"), "Please provide a short description for this region:"
    ),
    _THOUSAND,
    source="OpenGVLab/InternVL, eval/refcoco/evaluate_grounding.py; InternVL 2 to 3.5",
)
COGVLM = Dialect(
    "cogvlm",
    BracketSyntax(Corners(), limits=(0, 999), joint=";", width=3),
    _wordings(
        ("Can you point out {} in the image and provide the bounding boxes of its location?", "Can you point out")
    ),
    _THOUSAND,
    source="THUDM/CogVLM README, format of coordination; `;` between several boxes is an assumption",
)
DEEPSEEK_VL2 = Dialect(
    "deepseek-vl2",
    BracketSyntax(
        Corners(),
        ("<|ref|>", "<|/ref|>"),
        limits=(0, 999),
        tags=("<|det|>", "<|/det|>"),
        silent=("<|grounding|>",),
        ends=("<｜end▁of▁sentence｜>",),
    ),
    Wordings(
        tokens={Task.GROUNDING: "<|grounding|>"},
        defaults={**PLAIN, Task.GROUNDING: "Describe the image in detail."},
        templates={Task.REFER: ("<|ref|>{}<|/ref|>.", "<|ref|>"), Task.VQA: _SHORT},
    ),
    ModelFrame("image", scale=999),
    source="deepseek-ai/DeepSeek-VL2, serve/app_modules/utils.py and README",
)
GLM = Dialect(
    "glm",
    BracketSyntax(
        Corners(),
        limits=(0, 1000),
        tags=("<|begin_of_box|>", "<|end_of_box|>"),
        silent=("<think>", "</think>", "<answer>", "</answer>"),
    ),
    _wordings(
        (
            "Please pinpoint the bounding box [[x1,y1,x2,y2], ...] in the image as per the given description: {}",
            "Please pinpoint",
        )
    ),
    _THOUSAND,
    source="GLM-4.1V to 4.6V; x = round(1000 x / width), zai-org's grounding notes; assumed wording",
)
KOSMOS2 = Dialect(
    "kosmos-2",
    TokenSyntax(
        Cells(32),
        ("<phrase>", "</phrase>"),
        token=("<patch_index_", ">"),
        width=4,
        count=2,
        around=("<object>", "</object>"),
        between="</delimiter_of_multi_objects/>",
        silent=("<grounding>", "</grounding>", "</delimiter_of_multi_objects/>"),
    ),
    Wordings(
        tokens={Task.REFER: "<grounding>", Task.GROUNDING: "<grounding>", Task.IDENTIFY: "<grounding>"},
        defaults={
            Task.CAPTION: "An image of",
            Task.GROUNDING: "Describe this image in detail:",
            Task.IDENTIFY: "<phrase>It</phrase>",
        },
        templates={Task.REFER: ("<phrase>{}</phrase>", "<phrase>"), Task.VQA: ("Question: {} Answer:", "Question:")},
    ),
    ModelFrame("image", scale=32),
    source="transformers, kosmos2/processing_kosmos2.py, `patch_index_to_coordinate`",
)
PALIGEMMA = Dialect(
    "paligemma",
    TokenSyntax(
        Corners(transposed=True),
        limits=(0, 1023),
        token=("<loc", ">"),
        width=4,
        count=4,
        label="after",
        between=" ; ",
    ),
    Wordings(
        tokens={Task.REFER: "detect", Task.CAPTION: "caption", Task.VQA: "answer", Task.IDENTIFY: "describe"},
        defaults={Task.CAPTION: "en", Task.IDENTIFY: "en", Task.GROUNDING: "detect the objects"},
        templates={Task.VQA: ("en {}", "")},
    ),
    ModelFrame("image", scale=1023),
    source="google-research/big_vision, pp/proj/paligemma/segmentation.py; supervision divides by 1024",
)
GEMINI = Dialect(
    "gemini",
    JsonSyntax(Corners(transposed=True), limits=(0, 1000), key="box_2d", others=(("point", Spot(transposed=True)),)),
    _wordings(
        (
            "Detect {}. Output a JSON list where each entry holds the 2D box in box_2d, [ymin, xmin, ymax, xmax] "
            "normalized to 0-1000, and its label in label.",
            "box_2d",
        )
    ),
    _THOUSAND,
    source="roboflow/supervision, vlm.py; masks are skipped; points with y before x are an assumption",
)
_MOLMO = _wordings(("Point to {}.", "Point to"))
MOLMO = Dialect(
    "molmo",
    PointSyntax(Spot(), limits=(0, 100)),
    _MOLMO,
    ModelFrame("image", scale=100),
    decimals=1,
    source="allenai/molmo, olmo/data/data_formatter.py and olmo/util.py",
)
MOLMO_TENTHS = Dialect(
    "molmo-tenths",
    PointSyntax(Spot(), limits=(0, 99.9), tenths=True),
    _MOLMO,
    ModelFrame("image", scale=100),
    decimals=1,
    source="allenai/molmo, olmo/util.py: three digits, in tenths of a percent",
)
