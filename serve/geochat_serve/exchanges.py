"""Exchanges of the conversation: a question, and its answer as far as it has been written.

The browser gets the answer as parts (words, phrases and boxes), never as markup, and sets the words as text.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from geochat.assistant import Answer, Conversation, GroundedRegion, asked_region
from geochat.assistant.notices import Notice
from geochat.assistant.regions import Numbering
from geochat.dialects import Event, ParsedText, Phrase, Region, Text
from geochat.errors import ImageError
from geochat.exports import PALETTE
from geochat.geometry import ImagePlace, OrientedBox, to_geographic
from geochat.imagery import GeoImage, Window
from geochat_serve.tasks import notice_for_page

if TYPE_CHECKING:
    from geochat_serve.corrections import Correction

_ASKED_COLOUR = "#ffffff"

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
        return tuple(self.keyed_features.values())

    @property
    def keyed_features(self) -> dict[str, GroundedRegion]:
        """The same regions by the key that the page knows each by."""
        found = {self._key(number): region for number, region in enumerate(self.found, 1)}
        return found | {self._asked_key(number): region for number, region in enumerate(self._asked(), 1)}

    def finish(self, answer: Answer, colours: PhraseColours) -> None:
        """Show the complete answer, scores included, in place of the parts shown while it was written."""
        self.answer, self.raw = answer, answer.text
        self.answer_notices = tuple(notice for notice in answer.notices if notice not in self.notices)
        scored = [choice for choice in answer.to_dict()["choices"] if choice["probability"] is not None]
        scored.sort(key=lambda choice: -choice["probability"])
        self.choices = [{"text": choice["text"], "probability": choice["probability"]} for choice in scored]
        self._show_answer(answer, colours)

    def withdraw_correction(self, colours: PhraseColours) -> None:
        """Show the answer as the model wrote it, in place of its correction."""
        self.correction = None
        if self.answer is not None:
            self._show_answer(self.answer, colours)

    def correct(self, correction: "Correction", colours: PhraseColours) -> None:
        """Show a correction of the answer; `raw` stays as the model wrote it.

        A box that was not moved keeps the model's own numbers and score.
        """
        self.correction = correction
        place = self._place
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
            "asked": self._asked_boxes(),
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

    def _show_answer(self, answer: Answer, colours: PhraseColours) -> None:
        self._show(answer.parsed, _placed(answer), colours)
        if answer.choice is not None and not self.found:  # as it was offered, however the model spells it
            self.parts = [{"kind": "text", "text": answer.choice}]

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
        key = self._key(number)
        if number > len(self.found):
            self.found.append(region)
            self.boxes.append({"key": key, "number": number, "colour": colour, **_measured(region)})
        self.parts.append({"kind": "box", "number": number, "key": key, "colour": colour})
        phrase = next((part for part in reversed(self.parts) if part["kind"] == "phrase"), None)
        if region.phrase is not None and phrase is not None and phrase["text"].strip() == region.phrase:
            phrase["keys"] = list(dict.fromkeys((*phrase["keys"], key)))

    @property
    def _place(self) -> ImagePlace:
        return self.conversation.image.place

    def _key(self, number: int) -> str:
        return f"{self.id}-{number}"

    def _asked_key(self, number: int) -> str:
        return f"{self.id}-asked-{number}"

    def _asked_boxes(self) -> list[dict[str, Any]]:
        """Return the regions asked about, JSON-ready, like `boxes`."""
        regions = (GroundedRegion(None, box, self._place, role="asked") for box in self.regions)
        own = {"colour": _ASKED_COLOUR, "asked": True}
        return [
            {"key": self._asked_key(number), "number": number, **own, **_measured(region)}
            for number, region in enumerate(regions, 1)
        ]

    def _asked(self) -> Iterator[GroundedRegion]:
        """Yield the regions asked about with the answer shown.

        `Answer.asked` is not enough: it is empty in a loaded conversation, and knows nothing of a correction.
        """
        if self.answer is None or self.parsed is None:
            return
        words = self.answer.plain_text if self.correction is None else self.parsed.plain_text
        for box in self.regions:
            yield asked_region(box, self.answer.image, self.answer.task, words)


def longitude_latitude(region: GroundedRegion) -> tuple[float, float] | None:
    """Return the centre of a region in degrees; None if it has none, as on an image without a known CRS."""
    center = region.place.to_map([region.geometry.center])
    if center is None:
        return None
    try:
        longitude, latitude = to_geographic(center, region.place.map_crs)[0].tolist()
    except ImageError:  # PROJ does not know the CRS
        return None
    return (longitude, latitude) if math.isfinite(longitude) and math.isfinite(latitude) else None


def _measured(region: GroundedRegion) -> dict[str, Any]:
    """Return phrase, score, corners, area and place of a region, JSON-ready.

    `area` is in square metres, or in square pixels without a ground size, which `area_unit` says; a point has none.
    `place` is the centre: longitude and latitude in degrees, or x and y in pixels, which `place_unit` says.
    """
    size, center, lonlat = region.ground_size, region.geometry.center, longitude_latitude(region)
    area = size[2] if size is not None else region.geometry.width * region.geometry.height
    return {
        "phrase": region.phrase,
        "score": region.score,
        "points": [list(point) for point in region.pixels],
        "area": None if len(region.pixels) == 1 else round(area, 2),
        "area_unit": "px" if size is None else "m²",
        "place": [round(value, 1) for value in center] if lonlat is None else [round(value, 7) for value in lonlat],
        "place_unit": "px" if lonlat is None else "°",
    }


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
