"""A turn of the conversation: what was asked, and the answer as far as it has been written.

The browser gets the answer in parts (words, phrases and boxes), never as markup: it puts words into the page as text.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from geochat.assistant import Answer, Conversation, GroundedRegion, asked_region
from geochat.assistant.notices import Notice
from geochat.assistant.numbering import Numbering
from geochat.dialects import Event, ParsedText, Phrase, Region, Text
from geochat.exports import PALETTE
from geochat.geometry import OrientedBox
from geochat.imagery import GeoImage, Window
from geochat_serve.correcting import Correction
from geochat_serve.notices import on_page

Status = Literal["waiting", "writing", "done", "stopped", "failed"]


class Colours:
    """One colour a phrase, the same throughout a conversation."""

    def __init__(self) -> None:
        self._places: dict[str | None, int] = {}

    def of(self, phrase: str | None) -> str:
        """The phrase's colour."""
        return PALETTE[self._places.setdefault(phrase, len(self._places)) % len(PALETTE)]


@dataclass(eq=False)
class Turn:
    """One question and its answer.

    Attributes:
        id: Its number in the conversation; not used again when it is taken back.
        question: What the user typed.
        task: The kind of question, by its name on the page.
        regions: What it is about, in pixels of the whole image.
        window: The part of the image it is about, None for the whole.
        scene: The id of the scene as it was shown then.
        conversation: What the model has in mind with it.
        status: How far it is.
        ahead: While waiting, how many are before it.
        failure: Why there is no answer.
        notices: What was known before the answer.
        remarks: What is known since there is one.
        choices: The answers offered and their probabilities, the likeliest first, JSON-ready; empty where not scored.
        parts: The answer, JSON-ready, in the order it was written.
        found: Its regions, of which two of one phrase on one object are one.
        boxes: These regions, JSON-ready, corners in pixels of the whole image.
        raw: What the model wrote.
        answer: The whole answer, once it is there.
        correction: The answer as its user corrected it.
        replaced: Whether its question is being edited, and the next one takes its place.
    """

    id: int
    question: str
    task: str
    regions: tuple[OrientedBox, ...]
    window: Window | None
    scene: str
    conversation: Conversation = field(repr=False)
    status: Status = "waiting"
    ahead: int = 0
    failure: str = ""
    notices: tuple[Notice, ...] = ()
    remarks: tuple[Notice, ...] = ()
    choices: list[dict[str, Any]] = field(default_factory=list)
    parts: list[dict[str, Any]] = field(default_factory=list)
    found: list[GroundedRegion] = field(default_factory=list)
    boxes: list[dict[str, Any]] = field(default_factory=list)
    raw: str = ""
    answer: Answer | None = None
    correction: Correction | None = None
    replaced: bool = False
    _numbering: Numbering = field(default_factory=Numbering, repr=False)

    def take(self, event: Event, view: GeoImage, colours: Colours) -> None:
        """Add what the model has just written about a view."""
        placed = None
        if isinstance(event, Region):
            placed = GroundedRegion.placed(event, view.frame, view.place)
        self._add(event, placed, colours)

    @property
    def parsed(self) -> ParsedText | None:
        """What is shown, as it was read: the answer, or what its user made of it."""
        if self.correction is not None:
            return self.correction.parsed
        return None if self.answer is None else self.answer.parsed

    @property
    def features(self) -> tuple[GroundedRegion, ...]:
        """What is exported: the regions that are shown, then those asked about with the answer as attribute."""
        return (*self.found, *self._asked())

    def finish(self, answer: Answer, colours: Colours) -> None:
        """Show the whole answer, scores included, in place of what was taken while it was written."""
        self.answer, self.raw = answer, answer.text
        self.remarks = tuple(notice for notice in answer.notices if notice not in self.notices)
        scored = [choice for choice in answer.to_dict()["choices"] if choice["probability"] is not None]
        scored.sort(key=lambda choice: -choice["probability"])
        self.choices = [{"text": choice["text"], "probability": choice["probability"]} for choice in scored]
        self._show(answer.parsed, _placed(answer), colours)
        if answer.choice is not None and not self.found:  # as it was offered, however the model spells it
            self.parts = [{"kind": "text", "text": answer.choice}]

    def correct(self, correction: Correction, colours: Colours) -> None:
        """Show what its user made of the answer; the raw answer stays the model's.

        A box that was left as it was stays the model's too; of any other, no model has written numbers.
        """
        self.correction = correction
        place = self.conversation.image.place
        written = () if self.answer is None else self.answer.regions
        pairs = zip(correction.parsed.regions, correction.boxes, strict=True)
        drawn = (GroundedRegion(region.phrase, box, place) for region, box in pairs)
        self._show(correction.parsed, (_same(region, written) or region for region in drawn), colours)

    def to_dict(self) -> dict[str, Any]:
        """What the browser shows."""
        return {
            "id": self.id,
            "question": self.question,
            "task": self.task,
            "asked": [[list(point) for point in box.corners()] for box in self.regions],
            "window": self.window,
            "status": self.status,
            "ahead": self.ahead,
            "failure": self.failure,
            "notices": [on_page(notice) for notice in self.notices],
            "remarks": [on_page(notice) for notice in self.remarks],
            "choices": self.choices,
            "parts": self.parts,
            "boxes": self.boxes,
            "raw": self.raw,
            "seconds": None if self.answer is None else round(self.answer.seconds, 1),
            "corrected": self.correction is not None,
            "replaced": self.replaced,
        }

    def _show(self, parsed: ParsedText, placed: Iterator[GroundedRegion], colours: Colours) -> None:
        """Show a text; `placed` gives the place of each of its regions."""
        self.parts, self.found, self.boxes, self._numbering = [], [], [], Numbering()
        for event in parsed.events:
            self._add(event, next(placed) if isinstance(event, Region) else None, colours)

    def _add(self, event: Event, placed: GroundedRegion | None, colours: Colours) -> None:
        match event:
            case Text() if event.text:
                if self.parts and self.parts[-1]["kind"] == "text":
                    self.parts[-1]["text"] += event.text
                else:
                    self.parts.append({"kind": "text", "text": event.text})
            case Phrase():
                colour = colours.of(event.text.strip())
                self.parts.append({"kind": "phrase", "text": event.text, "keys": [], "colour": colour})
            case Region() if placed is not None:
                self._add_region(self._numbering.number(event), placed, colours.of(event.phrase))

    def _add_region(self, number: int, region: GroundedRegion, colour: str) -> None:
        key = f"{self.id}-{number}"
        if number > len(self.found):
            box = {"key": key, "number": number, "phrase": region.phrase, "colour": colour, "score": region.score}
            self.found.append(region)
            self.boxes.append({**box, "points": [list(point) for point in region.pixels]})
        self.parts.append({"kind": "box", "number": number, "key": key, "colour": colour})
        named = next((part for part in reversed(self.parts) if part["kind"] == "phrase"), None)
        if region.phrase is not None and named is not None and named["text"].strip() == region.phrase:
            named["keys"] = list(dict.fromkeys((*named["keys"], key)))

    def _asked(self) -> Iterator[GroundedRegion]:
        """The regions it is about with the answer that is shown, as `Answer.asked` has them.

        That of a loaded conversation has none, and knows nothing of a correction.
        """
        if self.answer is None or self.parsed is None:
            return
        words = self.answer.plain_text if self.correction is None else self.parsed.plain_text
        for box in self.regions:
            yield asked_region(box, self.answer.image, self.answer.task, words)


def _placed(answer: Answer) -> Iterator[GroundedRegion]:
    """The place of each region of an answer's text, also of those that share one."""
    numbering = Numbering()
    return (answer.regions[numbering.number(region) - 1] for region in answer.parsed.regions)


def _same(drawn: GroundedRegion, written: Iterable[GroundedRegion]) -> GroundedRegion | None:
    """The region a model wrote where a user left it."""
    untouched = (
        region for region in written if region.phrase == drawn.phrase and region.geometry.iou(drawn.geometry) > 0.999
    )
    return next(untouched, None)
