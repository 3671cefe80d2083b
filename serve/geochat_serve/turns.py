"""A turn of the conversation: what was asked, and the answer as far as it has been written.

The browser gets the answer in parts (words, phrases and boxes), never as markup: it puts words into the page as text.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from geochat.assistant import Answer, Conversation, GroundedRegion
from geochat.exports import PALETTE
from geochat.frames import Frame
from geochat.regions import Event, OrientedBox, ParsedText, Phrase, Region, Text, parse

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
        note: What to tell beside the answer, or why there is none.
        notice: What to tell of the view's ground resolution.
        parts: The answer, JSON-ready, in the order it was written.
        boxes: Its regions, JSON-ready, corners in pixels of the whole image.
        raw: What the model wrote.
        answer: The whole answer, once it is there.
        corrected: The answer's text as its user corrected it.
        replaced: Whether its question is being edited, and the next one takes its place.
    """

    id: int
    question: str
    task: str
    regions: tuple[OrientedBox, ...]
    window: tuple[int, int, int, int] | None
    scene: str
    conversation: Conversation = field(repr=False)
    status: Status = "waiting"
    ahead: int = 0
    note: str = ""
    notice: str = ""
    parts: list[dict[str, Any]] = field(default_factory=list)
    boxes: list[dict[str, Any]] = field(default_factory=list)
    raw: str = ""
    answer: Answer | None = None
    corrected: str | None = None
    replaced: bool = False

    def take(self, event: Event, frame: Frame, colours: Colours) -> None:
        """Add what the model has just written."""
        match event:
            case Text() if event.text:
                if self.parts and self.parts[-1]["kind"] == "text":
                    self.parts[-1]["text"] += event.text
                else:
                    self.parts.append({"kind": "text", "text": event.text})
            case Phrase():
                colour = colours.of(event.text.strip())
                self.parts.append({"kind": "phrase", "text": event.text, "keys": [], "colour": colour})
            case Region():
                self._take_region(GroundedRegion.place(event, frame), colours)

    @property
    def parsed(self) -> ParsedText | None:
        """What is shown, as it was read: the answer, or what its user made of it."""
        if self.corrected is not None:
            return parse(self.corrected)
        return None if self.answer is None else self.answer.parsed

    @property
    def regions_shown(self) -> tuple[OrientedBox, ...]:
        """The boxes that are shown, in the frame of the model's square."""
        return () if self.parsed is None else tuple(region.box for region in self.parsed.regions)

    def reread(self, answer: Answer, colours: Colours) -> None:
        """Take the parts anew from a whole answer, scores included."""
        self.raw = answer.text
        self._show(answer.parsed, colours)
        for box, region in zip(self.boxes, answer.regions, strict=True):
            box["score"] = region.score

    def correct(self, text: str, colours: Colours) -> None:
        """Show what its user made of the answer; the raw answer stays the model's."""
        self.corrected = text
        self._show(parse(text), colours)

    def _show(self, parsed: ParsedText, colours: Colours) -> None:
        self.parts, self.boxes = [], []
        for event in parsed.events:
            self.take(event, self.conversation.image.frame, colours)

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
            "note": self.note,
            "notice": self.notice,
            "parts": self.parts,
            "boxes": self.boxes,
            "raw": self.raw,
            "seconds": None if self.answer is None else round(self.answer.seconds, 1),
            "corrected": self.corrected is not None,
            "replaced": self.replaced,
        }

    def _take_region(self, region: GroundedRegion, colours: Colours) -> None:
        number = len(self.boxes) + 1
        key = f"{self.id}-{number}"
        colour = colours.of(region.phrase)
        box = {"key": key, "number": number, "phrase": region.phrase, "colour": colour, "score": region.score}
        self.boxes.append({**box, "points": [list(point) for point in region.pixels]})
        self.parts.append({"kind": "box", "number": number, "key": key, "colour": colour})
        named = next((part for part in reversed(self.parts) if part["kind"] == "phrase"), None)
        if region.phrase is not None and named is not None and named["text"].strip() == region.phrase:
            named["keys"].append(key)
