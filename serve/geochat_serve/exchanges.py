"""Exchanges of the conversation: a question, and its answer as far as it has been written.

The browser gets the answer as parts (words, phrases and boxes), never as markup, and sets the words as text.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from geochat.assistant import Answer, Conversation, GroundedRegion, asked_region
from geochat.assistant.notices import Notice
from geochat.assistant.numbering import Numbering
from geochat.dialects import Event, ParsedText, Phrase, Region, Text
from geochat.exports import PALETTE
from geochat.geometry import OrientedBox
from geochat.imagery import GeoImage, Window
from geochat_serve.tasks import notice_for_page

if TYPE_CHECKING:
    from geochat_serve.corrections import Correction

Status = Literal["waiting", "writing", "done", "stopped", "failed"]


class PhraseColours:
    """Colours of phrases, the same throughout a conversation."""

    def __init__(self) -> None:
        self._numbers: dict[str | None, int] = {}

    def of(self, phrase: str | None) -> str:
        """Return the colour of a phrase."""
        return PALETTE[self._numbers.setdefault(phrase, len(self._numbers)) % len(PALETTE)]


@dataclass(eq=False)
class Exchange:
    """A question and its answer.

    Attributes:
        id: Number in the conversation; not used again after a removal.
        question: Text of the question.
        task: Name of the task on the page.
        regions: Regions it is about, in pixels of the whole image.
        window: Part of the image it is about, None for the whole.
        scene: Id of the rendering it is about.
        conversation: The model's conversation that it belongs to.
        status: Progress.
        ahead: Questions ahead in the queue, while waiting.
        failure: Why there is no answer.
        notices: Notices known before the answer.
        answer_notices: Notices known since the answer ended.
        choices: Offered answers with their probabilities, likeliest first, JSON-ready; empty if not scored.
        parts: The answer in the order it was written, JSON-ready.
        found: Regions of the answer; duplicates of one object are merged.
        boxes: These regions, JSON-ready, corners in pixels of the whole image.
        raw: Text the model wrote.
        answer: The complete answer.
        correction: The answer as corrected by the user.
        being_edited: Whether the question is being edited; the next question then replaces this exchange.
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
    answer_notices: tuple[Notice, ...] = ()
    choices: list[dict[str, Any]] = field(default_factory=list)
    parts: list[dict[str, Any]] = field(default_factory=list)
    found: list[GroundedRegion] = field(default_factory=list)
    boxes: list[dict[str, Any]] = field(default_factory=list)
    raw: str = ""
    answer: Answer | None = field(default=None, repr=False)
    correction: "Correction | None" = None
    being_edited: bool = False
    _numbering: Numbering = field(default_factory=Numbering, repr=False)

    def add(self, event: Event, view: GeoImage, colours: PhraseColours) -> None:
        """Add what the model has just written about a view."""
        region = GroundedRegion.placed(event, view.frame, view.place) if isinstance(event, Region) else None
        self._add(event, region, colours)

    @property
    def parsed(self) -> ParsedText | None:
        """The text shown: the correction if there is one, otherwise the answer."""
        if self.correction is not None:
            return self.correction.parsed
        return None if self.answer is None else self.answer.parsed

    @property
    def features(self) -> tuple[GroundedRegion, ...]:
        """Regions to export: those shown, then those asked about, with the answer as attribute."""
        return (*self.found, *self._asked())

    def finish(self, answer: Answer, colours: PhraseColours) -> None:
        """Show the complete answer, scores included, in place of the parts shown while it was written."""
        self.answer, self.raw = answer, answer.text
        self.answer_notices = tuple(notice for notice in answer.notices if notice not in self.notices)
        scored = [choice for choice in answer.to_dict()["choices"] if choice["probability"] is not None]
        scored.sort(key=lambda choice: -choice["probability"])
        self.choices = [{"text": choice["text"], "probability": choice["probability"]} for choice in scored]
        self._show(answer.parsed, _placed(answer), colours)
        if answer.choice is not None and not self.found:  # as it was offered, however the model spells it
            self.parts = [{"kind": "text", "text": answer.choice}]

    def correct(self, correction: "Correction", colours: PhraseColours) -> None:
        """Show a correction of the answer; `raw` stays as the model wrote it.

        A box that was not moved keeps the model's own numbers and score.
        """
        self.correction = correction
        place = self.conversation.image.place
        written = () if self.answer is None else self.answer.regions
        pairs = zip(correction.parsed.regions, correction.boxes, strict=True)
        drawn = (GroundedRegion(region.phrase, box, place) for region, box in pairs)
        self._show(correction.parsed, (_unmoved(region, written) or region for region in drawn), colours)

    def to_dict(self) -> dict[str, Any]:
        """Return the exchange for the browser."""
        return {
            "id": self.id,
            "question": self.question,
            "task": self.task,
            "asked": [[list(point) for point in box.corners()] for box in self.regions],
            "window": self.window,
            "status": self.status,
            "ahead": self.ahead,
            "failure": self.failure,
            "notices": [notice_for_page(notice) for notice in self.notices],
            "answer_notices": [notice_for_page(notice) for notice in self.answer_notices],
            "choices": self.choices,
            "parts": self.parts,
            "boxes": self.boxes,
            "raw": self.raw,
            "seconds": None if self.answer is None else round(self.answer.seconds, 1),
            "corrected": self.correction is not None,
            "being_edited": self.being_edited,
        }

    def _show(self, parsed: ParsedText, placed: Iterator[GroundedRegion], colours: PhraseColours) -> None:
        """Show a text, given its regions in order."""
        self.parts, self.found, self.boxes, self._numbering = [], [], [], Numbering()
        for event in parsed.events:
            self._add(event, next(placed) if isinstance(event, Region) else None, colours)

    def _add(self, event: Event, region: GroundedRegion | None, colours: PhraseColours) -> None:
        match event:
            case Text() if event.text:
                if self.parts and self.parts[-1]["kind"] == "text":
                    self.parts[-1]["text"] += event.text
                else:
                    self.parts.append({"kind": "text", "text": event.text})
            case Phrase():
                colour = colours.of(event.text.strip())
                self.parts.append({"kind": "phrase", "text": event.text, "keys": [], "colour": colour})
            case Region() if region is not None:
                self._add_region(self._numbering.number(event), region, colours.of(event.phrase))

    def _add_region(self, number: int, region: GroundedRegion, colour: str) -> None:
        key = f"{self.id}-{number}"
        if number > len(self.found):
            box = {"key": key, "number": number, "phrase": region.phrase, "colour": colour, "score": region.score}
            self.found.append(region)
            self.boxes.append({**box, "points": [list(point) for point in region.pixels]})
        self.parts.append({"kind": "box", "number": number, "key": key, "colour": colour})
        phrase = next((part for part in reversed(self.parts) if part["kind"] == "phrase"), None)
        if region.phrase is not None and phrase is not None and phrase["text"].strip() == region.phrase:
            phrase["keys"] = list(dict.fromkeys((*phrase["keys"], key)))

    def _asked(self) -> Iterator[GroundedRegion]:
        """Yield the regions asked about with the answer shown.

        `Answer.asked` is not enough: it is empty in a loaded conversation, and knows nothing of a correction.
        """
        if self.answer is None or self.parsed is None:
            return
        words = self.answer.plain_text if self.correction is None else self.parsed.plain_text
        for box in self.regions:
            yield asked_region(box, self.answer.image, self.answer.task, words)


def _placed(answer: Answer) -> Iterator[GroundedRegion]:
    """Yield a grounded region for each region of an answer's text; merged ones occur more than once."""
    numbering = Numbering()
    return (answer.regions[numbering.number(region) - 1] for region in answer.parsed.regions)


def _unmoved(drawn: GroundedRegion, written: Iterable[GroundedRegion]) -> GroundedRegion | None:
    """Return the region the model wrote, if the user left it in place."""
    unmoved = (
        region for region in written if region.phrase == drawn.phrase and region.geometry.iou(drawn.geometry) > 0.999
    )
    return next(unmoved, None)
