"""The dialect of GeoChat: `<p>2 ships</p> {<10><20><30><40>|<45>}`.

Percent of the padded square as whole numbers; angles clockwise on screen in (0, 90], OpenCV's range, as the published
model was trained on (docs/design.md, decision 4). Task tokens and wordings are those of section 3.1 of the paper.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from geochat.dialects.base import Dialect, Reader, Wordings
from geochat.dialects.stream import BraceReader
from geochat.dialects.writing import write_regions
from geochat.geometry import AngleConvention, OrientedBox
from geochat.prompts import Task


@dataclass(frozen=True, slots=True)
class BraceSyntax:
    """Corners before turning, and an angle: `{<x1><y1><x2><y2>|<θ>}`."""

    def reader(self, angles: AngleConvention) -> Reader:
        """A reader for one text."""
        return BraceReader(angles)

    def write(
        self, phrase: str | None, boxes: Sequence[OrientedBox], angles: AngleConvention, decimals: int = 0
    ) -> str:
        """`<p>phrase</p> {…}<delim>{…}`; see `write_regions`."""
        return write_regions(phrase, boxes, angles, decimals)


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

GEOCHAT = Dialect("geochat", BraceSyntax(), WORDINGS)
