"""Parsed answers: events in order, and the words without markup.

The spans of a text's events are consecutive and cover all of it, so no text is lost. Spans are ignored in comparisons:
two answers with the same content are equal wherever it occurs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from shapely.geometry.base import BaseGeometry

from geochat.dialects.grammar import JOINER
from geochat.geometry import OrientedBox

Span = tuple[int, int]
"""First character and the one after the last, in the whole text."""


@dataclass(frozen=True, slots=True)
class Text:
    """Words to show; empty for a recognised mark that is not shown (`<delim>`, `</s>`)."""

    text: str
    span: Span = field(default=(0, 0), compare=False)


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words to show that name the regions after them; `text` keeps spaces at its ends, `span` covers the marks.

    The span is empty if the words are inside the region's own text, as in JSON.
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
        """The written shape: the point or polygon, else the box."""
        return self.box if self.geometry is None else self.geometry


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Markup or coordinates that could not be read, and the reason."""

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


_CLOSES = frozenset(".,;:!?)]\n")  # what no space comes before
_BLANKS = " \t"


@dataclass(frozen=True, slots=True)
class ParsedText:
    """An answer and its events; the slices `text[slice(*event.span)]` of all events concatenate to the text."""

    text: str
    events: tuple[Event, ...]

    @property
    def regions(self) -> tuple[Region, ...]:
        """The boxes, in the order they were written."""
        return tuple(event for event in self.events if isinstance(event, Region))

    @property
    def problems(self) -> tuple[Unreadable, ...]:
        """The parts that could not be read."""
        return tuple(event for event in self.events if isinstance(event, Unreadable))

    @property
    def plain_text(self) -> str:
        """The words alone, with spaces tidied where markup was removed: "There are 2 ships near 1 harbor."."""
        return _plain(self.events)


def _plain(events: Sequence[Event]) -> str:
    pieces: list[str] = []
    after_box = False
    for event in _without_joiners(events):
        if isinstance(event, Text | Phrase) and event.text:
            _append(pieces, event.text, after_box)
            after_box = False
        after_box = after_box or _is_box(event)
    return "".join(pieces).strip()


def _without_joiners(events: Sequence[Event]) -> Iterable[Event]:
    """Yield all events except ", " and " and " between two boxes."""
    for index, event in enumerate(events):
        between = 0 < index < len(events) - 1 and _is_box(events[index - 1]) and _is_box(events[index + 1])
        if not (between and isinstance(event, Text) and JOINER.fullmatch(event.text)):
            yield event


def _is_box(event: Event) -> bool:
    return isinstance(event, Region) or (isinstance(event, Unreadable) and event.text.startswith(("{", "[")))


def _append(pieces: list[str], text: str, after_box: bool) -> None:
    """Append words, with at most one space in place of markup, and none before punctuation or a line end."""
    bare = text.lstrip(_BLANKS)
    if after_box and bare[:1] in _CLOSES:
        text = bare
    if after_box and (text[:1].isspace() or text[:1] in _CLOSES):
        _strip_end(pieces)
    elif after_box and pieces and not pieces[-1][-1].isspace():
        pieces.append(" ")
    elif pieces and pieces[-1][-1].isspace():
        text = bare
    if text:
        pieces.append(text)


def _strip_end(pieces: list[str]) -> None:
    while pieces:
        last = pieces.pop().rstrip(_BLANKS)
        if last:
            pieces.append(last)
            return
