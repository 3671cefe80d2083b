"""Events of an answer that is read, in the order it was written.

The spans of the events of a text lie end to end and cover all of it, so nothing a model wrote is ever lost. Spans
are left out of comparisons: two answers that say the same are equal wherever they say it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from shapely.geometry.base import BaseGeometry

from geochat.geometry import OrientedBox

Span = tuple[int, int]
"""First character and the one after the last, in the whole text."""


@dataclass(frozen=True, slots=True)
class Text:
    """Words to show; empty for a mark that is understood and not shown (`<delim>`, `</s>`)."""

    text: str
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words to show that name the regions which follow; `text` keeps spaces at its ends, `span` covers the marks.

    The span is empty where the words stand inside the region's own text, as in JSON.
    """

    text: str
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True, slots=True)
class Region:
    """A region and the phrase it belongs to, in the numbers the model writes."""

    box: OrientedBox
    """The box; the smallest rectangle around what was not written as one, without area where that is a point."""

    phrase: str | None = None
    """The phrase without spaces at its ends, which may leave nothing; None where the box stands alone."""

    span: Span = field(default=(0, 0), compare=False)
    """The place of the coordinates, braces included."""

    phrase_span: Span | None = field(default=None, compare=False)
    """The place of `phrase` without its marks; inside `span` if a label is part of the region's text."""

    geometry: BaseGeometry | None = None
    """The shapely point or polygon that was written, None for a box."""

    @property
    def shape(self) -> OrientedBox | BaseGeometry:
        """The shape that was written: the point or polygon, else the box."""
        return self.box if self.geometry is None else self.geometry


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Markup or coordinates that could not be read, and why."""

    text: str
    reason: str
    span: Span = field(default=(0, 0), compare=False)


Event = Text | Phrase | Region | Unreadable


def merge_text(events: Iterable[Event]) -> list[Event]:
    """Join neighbouring `Text` events, so that a streamed answer compares equal to one read at once."""
    merged: list[Event] = []
    run: list[Text] = []
    for event in events:
        if isinstance(event, Text):
            run.append(event)
            continue
        merged += _joined(run)
        merged.append(event)
        run = []
    return merged + _joined(run)


def _joined(run: list[Text]) -> list[Event]:
    if not run:
        return []
    return [Text("".join(text.text for text in run), (run[0].span[0], run[-1].span[1]))]
