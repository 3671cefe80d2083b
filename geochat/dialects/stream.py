"""Reading an answer while it is being generated.

A phrase names every box that follows it with nothing between but spaces, commas, one "and", `<delim>` and boxes
that could not be read. Any other words, the next phrase and the end of the turn (`</s>`) part them.
"""

from geochat.dialects.braces import JOINER, Kind, Token, next_token
from geochat.dialects.events import Event, Phrase, Region, Span, Text, Unreadable
from geochat.geometry import AngleConvention, OrientedBox

_LONGEST_JOINER = 64


class BraceReader:
    """Turns text that arrives in pieces into events, each as soon as it is certain.

    Words come out at once; a phrase, a box and what may be the beginning of a mark are held until they are decided.
    However a text is cut into pieces, the events are the same once neighbouring `Text` events are joined
    (`merge_text`). One reader reads one text.
    """

    def __init__(self, angles: AngleConvention) -> None:
        self._angles = angles
        self._held = ""
        self._offset = 0  # of the held text in the whole text
        self._phrase: str | None = None
        self._phrase_span: Span | None = None
        self._gap = ""  # words since that phrase or its last box

    def feed(self, piece: str) -> list[Event]:
        """Read on; the events that `piece` made certain."""
        self._held += piece
        return self._read(final=False)

    def close(self) -> list[Event]:
        """Say that the text has ended; the events of what was still held."""
        return self._read(final=True)

    def _read(self, *, final: bool) -> list[Event]:
        events: list[Event] = []
        start = 0
        while token := next_token(self._held, start, final=final):
            events.append(self._event(token, start))
            start = token.end
        self._held = self._held[start:]
        self._offset += start
        return events

    def _event(self, token: Token, start: int) -> Event:
        source = self._held[start : token.end]
        span = (self._offset + start, self._offset + token.end)
        match token.kind:
            case Kind.TEXT:
                self._pass_words(source)
                return Text(source, span)
            case Kind.PHRASE:
                words = self._held[slice(*token.words)]
                self._begin_phrase(words, self._offset + token.words[0])
                return Phrase(words, span)
            case Kind.BOX:
                return self._region(token.numbers, span)
            case Kind.UNREADABLE:
                return Unreadable(source, token.reason, span)
            case Kind.DELIMITER:
                return Text("", span)
            case Kind.END:
                self._phrase = self._phrase_span = None
                return Text("", span)

    def _begin_phrase(self, words: str, begin: int) -> None:
        begin += len(words) - len(words.lstrip())
        self._phrase = words.strip()
        self._phrase_span = (begin, begin + len(self._phrase))
        self._gap = ""

    def _pass_words(self, words: str) -> None:
        self._gap += words
        if len(self._gap) > _LONGEST_JOINER:  # keeps a long text from being gathered here
            self._phrase, self._phrase_span, self._gap = None, None, ""

    def _region(self, numbers: tuple[float, ...], span: Span) -> Region:
        if not JOINER.fullmatch(self._gap):
            self._phrase = self._phrase_span = None
        self._gap = ""
        x1, y1, x2, y2, angle = (*numbers, 0.0)[:5]
        box = OrientedBox(x1, y1, x2, y2, self._angles.sign * angle + 0.0)  # + 0.0: never -0.0
        return Region(box, self._phrase, span, self._phrase_span)
