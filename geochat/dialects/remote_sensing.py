"""Dialects of remote-sensing models: those with braces, then those with brackets."""

from dataclasses import replace

from geochat.dialects.base import PLAIN, Dialect, Wordings
from geochat.dialects.brackets import BracketSyntax
from geochat.dialects.geochat import WORDINGS, BraceSyntax
from geochat.dialects.json_objects import JsonSyntax
from geochat.dialects.orders import Centre, Corners, Diagonal
from geochat.geometry import AngleConvention, ModelFrame
from geochat.prompts import Task

_PERCENT = ModelFrame("image", scale=100)
_THOUSAND = ModelFrame("image", scale=1000)
_UNIT = ModelFrame("image", scale=1)
_PLAIN = Wordings(
    templates={
        Task.REFER: ("Give me the bounding box of {}.", "bounding box"),
        Task.VQA: WORDINGS.templates[Task.VQA],
    },
)
"""Plain questions, for models of which nobody wrote down how they are asked."""

_MIRRORED = AngleConvention("counterclockwise", "[0,180)")

SKYSENSEGPT = Dialect(
    "skysensegpt",
    BraceSyntax(Centre(), around=("<rbox>(", ")</rbox>"), between=", "),
    Wordings(
        tokens={Task.REFER: "[detection]"},
        templates={Task.REFER: ("Detect all <p>{}</p> in the image.", "<p>"), Task.VQA: WORDINGS.templates[Task.VQA]},
    ),
    decimals=2,
    empty="I'm sorry, I cannot answer as the given image does not contain any given objects.",
    source="Luo-Z13/SkySenseGPT, process_data_RS_Object_Detection.py (square tiles); assumed wording of questions",
)

VRSBENCH = Dialect(
    "vrsbench",
    BraceSyntax(Corners(), limits=(0, 100)),
    WORDINGS,
    _PERCENT,
    source="lx709/VRSBench, prepare_eval_all.ipynb; whole percents, which it truncates",
)
VRSBENCH_OBB_V1 = Dialect(
    "vrsbench-obb-v1",
    BraceSyntax(Centre()),
    WORDINGS,
    _PERCENT,
    _MIRRORED,
    source="lx709/VRSBench, `bbox_str1`: BboxToolkit's obb; counter-clockwise angles are an assumption",
)
VRSBENCH_OBB_V2 = Dialect(
    "vrsbench-obb-v2",
    BraceSyntax(Diagonal()),
    WORDINGS,
    _PERCENT,
    _MIRRORED,
    source="lx709/VRSBench, `bbox_str2`; sides by projection, its scorer computes others; direction as v1",
)

EARTHDIAL = Dialect(
    "earthdial",
    BracketSyntax(Corners(oriented=True), lists="each", silent=("<box>", "</box>", "<ref>", "</ref>")),
    Wordings(
        tokens={
            Task.REFER: "[refer] [hr_rgb_0.5]",
            Task.IDENTIFY: "[identify] [hr_rgb_0.5]",
            Task.GROUNDING: "[grounding] [hr_rgb_0.5]",
            Task.CAPTION: "[caption] [hr_rgb_0.5]",
        },
        defaults={
            Task.CAPTION: "Could you please provide the caption for the input image?",
            Task.IDENTIFY: "describe this object in",
            Task.GROUNDING: "Describe the image in detail. Detect objects location. Describe objects size. "
            "Where objects are located?. Describe relation between objects.",
        },
        templates={
            Task.REFER: ("Give me the location of <ref>{}</ref>", "<ref>"),
            Task.VQA: ("[hr_rgb_0.5] {} Answer the question using a single word.", "Answer the question using"),
            Task.SCENE: (
                "[hr_rgb_0.5] Classify the given image in one of the following classes. Classes: {}. \n"
                "Answer in one word or a short phrase.",
                "Classify the given image",
            ),
        },
        region="<box>{}</box>",
    ),
    _PERCENT,
    source="hiyamdebary/EarthDial, its questions and answers; its scorer mirrors the clockwise angles of both",
)

TEOCHAT = Dialect(
    "teochat",
    BracketSyntax(Corners(), lists="flat", limits=(0, 100)),
    Wordings(
        defaults={**PLAIN, Task.IDENTIFY: "What is this?"},
        templates={
            Task.REFER: (
                "Identify the location of {}. Include bounding boxes of the form [x_min, y_min, x_max, y_max] for each "
                "identified object in your response.",
                "[x_min, y_min, x_max, y_max]",
            ),
            Task.VQA: ("{} Answer with one word or short phrase.", "Answer with"),
            Task.SCENE: ("Classify this image as one of: {}.", "Classify this image"),
        },
    ),
    _PERCENT,
    source="ermongroup/TEOChat, videollava/eval/detection.py and its demo",
)

_VHM_WORDINGS = Wordings(
    tokens={Task.REFER: "{VG}"},
    templates={Task.VQA: WORDINGS.templates[Task.VQA]},
)
VHM = Dialect(
    "vhm",
    BracketSyntax(Corners(), limits=(0, 1000)),
    _VHM_WORDINGS,
    _THOUSAND,
    source="fitzpchao/RSEvalKit, model_eval_mp.py; its polygons are not read",
)
TINYRS = Dialect(
    "tinyrs",
    BracketSyntax(Corners(), silent=("<reasoning>", "</reasoning>", "<answer>", "</answer>"), limits=(0, 1000)),
    _VHM_WORDINGS,
    _THOUSAND,
    source="aybora/TinyRS, lm_prediction_call.py",
)

LHRS = Dialect(
    "lhrs",
    BracketSyntax(Corners(), tags=("<bbox>", "</bbox>"), lists="flat", limits=(0, 1)),
    replace(_PLAIN, tokens={Task.REFER: "[DET]"}, templates={}),
    _UNIT,
    decimals=3,
    source="aybora/TinyRS lm_prediction_call.py for LHRS-Bot-Nova",
)
LHRS_BOT = Dialect(
    "lhrs-bot",
    BracketSyntax(Corners(), lists="flat", limits=(0, 1)),
    replace(_PLAIN, tokens={Task.REFER: "[VG]", Task.IDENTIFY: "[Identify]"}, templates={}),
    _UNIT,
    decimals=3,
    source="NJU-LHRS/LHRS-Bot, main_vg.py and lhrs_webui.py",
)

SOCRATES = Dialect(
    "asking-like-socrates",
    BracketSyntax(Corners(), lists="flat", brackets=("\\boxed{", "}"), limits=(0, 1)),
    _PLAIN,
    _UNIT,
    decimals=3,
    source="GeoX-Lab/Asking_like_Socrates, reward_function/IOU.py",
)

ZOOMEARTH = Dialect(
    "zoomearth",
    JsonSyntax(Corners(), fenced=False),
    _PLAIN,
    ModelFrame("shrink", size=1024, scale=None),
    source="earth-insights/ZoomEarth, src/demo.py: pixels of the image shrunk to 1024",
)
