"""Incremental reading of an answer, for any syntax.

A phrase names all regions after it that are separated from it only by spaces, commas, one "and", silent marks and
unreadable regions. Any other words, the next phrase and the end of the turn (`</s>`) end this. A label inside a
region's own text names only that region.
"""

from collections.abc import Iterator

from geochat.dialects.grammar import JOINER, Grammar, Kind, RegionReader, Token
from geochat.dialects.parsed import Event, Phrase, Region, Span, Text, Unreadable
from geochat.dialects.shapes import Shape
from geochat.geometry import OrientedBox

_LONGEST_JOINER = 64
_MARKS = (Kind.DELIMITER, Kind.REGION, Kind.UNREADABLE)


class Reader:
    """Turns text that arrives in pieces into events, each as soon as it is certain.

    Words are returned immediately; a phrase, a region and a possible beginning of a mark are held until they are
    decided. For any division of the text into pieces, the events are the same after joining neighbouring `Text` events
    (`merge_text`). One reader reads one text. It never raises and loses no text.

    Args:
        grammar: The marks.
        read: Reads a region.
        closers: Characters of which one must come before a region that is held can be decided; "" for any.
        limit: Characters held at most for a region with `closers`.
    """

    def __init__(self, grammar: Grammar, read: RegionReader, closers: str = "", limit: int = 0) -> None:
        self._grammar = grammar
        self._read_region = read
        self._closers = closers
        self._limit = limit
        self._held = ""
        self._offset = 0  # of the held text in the whole text
        self._waiting = False  # for one of the closers
        self._phrase: str | None = None
        self._phrase_span: Span | None = None
        self._gap = ""  # words since that phrase or its last region
        self._after_mark = False  # directly after a silent mark, a region or what could not be read

    def feed(self, piece: str) -> list[Event]:
        """Read a piece and return the events that it completes."""
        self._held += piece
        if self._waiting and len(self._held) < self._limit and not any(char in piece for char in self._closers):
            return []
        return self._read(final=False)

    def close(self) -> list[Event]:
        """End the text and return the remaining events."""
        return self._read(final=True)

    def _read(self, *, final: bool) -> list[Event]:
        events: list[Event] = []
        start = 0
        while token := self._grammar.next_token(self._held, start, self._element, final=final):
            events += self._events(token, start)
            start = token.end
        self._held = self._held[start:]
        self._offset += start
        begun = self._grammar.mark.match(self._held) if self._closers else None
        self._waiting = begun is not None and begun.lastgroup == "region"
        return events

    def _element(self, text: str, start: int, inside: int, *, final: bool) -> Token | None:
        return self._read_region(text, start, inside, final=final, marked=self._after_mark)

    def _events(self, token: Token, start: int) -> Iterator[Event]:
        source = self._held[start : token.end]
        span = (self._offset + start, self._offset + token.end)
        after_mark, self._after_mark = self._after_mark, token.kind in _MARKS
        match token.kind:
            case Kind.TEXT:
                yield from self._words(source, span, after_mark)
            case Kind.PHRASE:
                words = self._held[slice(*token.words)]
                self._begin_phrase(words, self._offset + token.words[0])
                yield Phrase(words, span)
            case Kind.REGION:
                yield from self._regions(token, start)
            case Kind.UNREADABLE:
                yield Unreadable(source, token.reason, span)
            case Kind.DELIMITER:
                yield Text(dict(self._grammar.shown).get(source.strip(), ""), span)
            case Kind.END:
                self._phrase = self._phrase_span = None
                yield Text("", span)

    def _words(self, words: str, span: Span, after_mark: bool) -> Iterator[Event]:
        ignored = self._grammar.ignored
        begun = len(words) - len(words.lstrip(f"{ignored} \t\r\n")) if after_mark and ignored else 0
        self._after_mark = after_mark and begun == len(words)
        shown = "".join(char for char in words[:begun] if char not in ignored) + words[begun:]
        self._gap += shown
        if len(self._gap) > _LONGEST_JOINER:  # keeps a long text from being gathered here
            self._phrase, self._phrase_span, self._gap = None, None, ""
        yield Text(shown, span)

    def _begin_phrase(self, words: str, begin: int) -> None:
        begin += len(words) - len(words.lstrip())
        self._phrase = words.strip()
        self._phrase_span = (begin, begin + len(self._phrase))
        self._gap = ""

    def _regions(self, token: Token, start: int) -> Iterator[Event]:
        if not JOINER.fullmatch(self._gap):
            self._phrase = self._phrase_span = None
        self._gap = ""
        named, place = self._phrase, self._phrase_span
        if token.label is not None:
            named, place = token.label, (self._offset + token.words[0], self._offset + token.words[1])
            yield Phrase(f"{token.label} ", (self._offset + start, self._offset + start))
        for end, shape in token.shapes:
            yield _region(shape, named, (self._offset + start, self._offset + end), place)
            start = end
        if start < token.end:
            span = (self._offset + start, self._offset + token.end)
            yield Unreadable(self._held[start : token.end], token.reason, span)


def _region(shape: Shape, phrase: str | None, span: Span, phrase_span: Span | None) -> Region:
    if isinstance(shape, OrientedBox):
        return Region(shape, phrase, span, phrase_span)
    return Region(OrientedBox.from_polygon(shape), phrase, span, phrase_span, shape)
