"""The dialect of GeoChat: `<p>2 ships</p> {<10><20><30><40>|<45>}`.

Percent of the padded square as whole numbers; angles clockwise on screen in (0, 90], OpenCV's range, as the published
model was trained on (docs/design.md, decision 4). Task tokens and wordings are those of section 3.1 of the paper.
"""

from geochat.dialects.base import Dialect, Wordings
from geochat.dialects.braces import BraceSyntax
from geochat.dialects.orders import Corners
from geochat.prompts import Task

WORDINGS = Wordings(
    tokens={Task.IDENTIFY: "[identify]", Task.REFER: "[refer]", Task.GROUNDING: "[grounding]"},
    defaults={
        Task.CAPTION: "Describe the image.",
        Task.GROUNDING: "Describe the image in detail with the positions of the objects.",
        Task.IDENTIFY: "What is the object present at",
    },
    templates={
        Task.REFER: ("Give me the location of <p> {} </p>", "<p>"),
        Task.VQA: ("{}\nAnswer the question using a single word or phrase.", "Answer the question using"),
        Task.SCENE: (
            "Classify the image within one of the given classes: {}. Answer with one word or short phrase.",
            "Classify the image",
        ),
    },
)

GEOCHAT = Dialect(
    "geochat",
    BraceSyntax(Corners(oriented=True)),
    WORDINGS,
    source="Kuckreja et al., CVPR 2024, section 3.1; angle and frame measured, docs/design.md decision 4",
)
