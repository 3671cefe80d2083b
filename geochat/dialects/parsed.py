"""An answer that was read, and the words that are left when its markup is taken out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from geochat.dialects.events import Event, Phrase, Region, Text, Unreadable
from geochat.dialects.grammar import JOINER

_CLOSES = frozenset(".,;:!?)]\n")  # what no space comes before
_BLANKS = " \t"


@dataclass(frozen=True, slots=True)
class ParsedText:
    """An answer and what was read from it; `text[slice(*event.span)]` over the events gives the text back."""

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
        """The words alone, spaces tidied where markup was taken out: "There are 2 ships near 1 harbor."."""
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
    """All events but the ", " and " and " between two boxes, which say nothing without them."""
    for index, event in enumerate(events):
        between = 0 < index < len(events) - 1 and _is_box(events[index - 1]) and _is_box(events[index + 1])
        if not (between and isinstance(event, Text) and JOINER.fullmatch(event.text)):
            yield event


def _is_box(event: Event) -> bool:
    return isinstance(event, Region) or (isinstance(event, Unreadable) and event.text.startswith(("{", "[")))


def _append(pieces: list[str], text: str, after_box: bool) -> None:
    """Add words, with one space at most where markup was taken out, none before punctuation or a line's end."""
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
