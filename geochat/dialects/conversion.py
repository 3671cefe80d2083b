"""Conversion of texts between dialects: words stay, regions and marks are rewritten."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from geochat.dialects.base import Dialect
from geochat.dialects.grammar import JOINER
from geochat.dialects.parsed import Event, Phrase, Region, Text, Unreadable
from geochat.dialects.shapes import Shape
from geochat.errors import RegionError
from geochat.geometry import Frame, ModelFrame
from geochat.geometry.frame import Size
from geochat.prompts import Task

Move = Callable[[Region], Shape]
"""A region of the first dialect in the numbers of the second."""

_SQUARE = (1000, 1000)
_JOINING = " \t\n,;"


@dataclass(frozen=True, slots=True)
class Converted:
    """A text in another dialect.

    Attributes:
        text: The text.
        problems: Parts that could not be converted and are unchanged, each with the reason.
    """

    text: str
    problems: tuple[str, ...] = ()


def mover(source: Dialect, target: Dialect, size: Size | None) -> Move:
    """Return the map from one dialect's numbers over an image to another's.

    Args:
        source: The dialect of the text.
        target: The dialect to write.
        size: (width, height) of the image in pixels. None, where it is unknown, is right where both numbers lie over
            the same frame, and for square images; numbers that are pixels need it.

    Raises:
        RegionError: The size is unknown and one of the dialects writes pixels.
    """
    frames = source.model_frame, target.model_frame
    if size is None and any(frame.scale is None for frame in frames) and frames[0] != frames[1]:
        raise RegionError("the size of its image is unknown, and numbers are pixels")
    before, after = (_frame(frame, size or _SQUARE) for frame in frames)
    affine = after.between("view", "model") @ before.model_to_view
    return lambda region: target.carried(region.shape, affine)


def needs_size(source: Dialect, target: Dialect) -> bool:
    """Return whether the conversion depends on the size of images that are not square."""
    first, second = source.model_frame, target.model_frame
    return first.fit != second.fit or (first.fit not in ("pad", "image") and first != second)


def convert(text: str, source: Dialect, target: Dialect, move: Move) -> Converted:
    """Write a text in another dialect.

    Words and unreadable parts are unchanged. If both dialects have the same syntax, only the numbers change. Otherwise
    phrases get the other dialect's marks; if that dialect lists regions instead of placing them between words, adjacent
    regions become one list.

    Args:
        text: An answer or a question.
        source: Its dialect.
        target: The other one.
        move: Maps a region to the other's numbers.
    """
    if source.syntax == target.syntax and source.syntax.in_place:
        return _in_place(text, source, target, move)
    events, pieces, problems = source.parse(text).events, list[str](), list[str]()
    passages = list(_passages(events, merging=not target.syntax.prose))
    whole = sum(bool(passage.words.strip()) for passage in passages if not passage.groups) == 0
    ended, whole = False, whole and sum(bool(passage.groups) for passage in passages) == 1
    for passage in passages:
        if passage.problem:
            problems.append(passage.problem)
        if not passage.groups:
            if pieces and ended and passage.words[:1] not in ("", "\n", ";"):
                pieces.append(target.syntax.terminator)
            ended = False
            pieces.append(passage.words if passage.phrase is None else target.syntax.named(passage.phrase, "", True))
            continue
        try:
            groups = [(name, [move(region) for region in regions]) for name, regions in passage.groups]
            pieces.append(target.write_all(groups, inline=not whole))
            ended = target.syntax.labelled
        except RegionError as error:
            problems.append(str(error))
            first, last = passage.groups[0][1][0], passage.groups[-1][1][-1]
            pieces.append(text[first.span[0] : last.span[1]])
    converted = "".join(pieces)
    return Converted(converted.strip() if whole else converted, tuple(problems))


def convert_question(text: str, source: Dialect, target: Dialect, move: Move) -> Converted:
    """Convert as `convert`; the task token becomes the other dialect's, or is removed."""
    task = source.task_of(text)
    words = text if task is None else text.lstrip().removeprefix(source.wordings.tokens[task]).lstrip()
    converted = convert(words, source, target, move)
    token = "" if task is None else target.wordings.tokens.get(task, "")
    return Converted(f"{token} {converted.text}".lstrip() if token else converted.text, converted.problems)


def task_in_words(text: str, dialect: Dialect) -> Task | None:
    """Return the task of a question, from its token or from the words of its template."""
    if task := dialect.task_of(text):
        return task
    marks = ((task, mark) for task, (_, mark) in dialect.wordings.templates.items() if mark)
    return next((task for task, mark in marks if mark in text), None)


def _frame(frame: ModelFrame, size: Size) -> Frame:
    return Frame(size, model=frame)


def _in_place(text: str, source: Dialect, target: Dialect, move: Move) -> Converted:
    pieces, end, problems = list[str](), 0, list[str]()
    for event in source.parse(text).events:
        if isinstance(event, Unreadable):
            problems.append(f"{event.text!r}: {event.reason}")
        if not isinstance(event, Region):
            continue
        pieces.append(text[end : event.span[0]])
        try:
            pieces.append(target.rewrite(event, move(event)))
        except RegionError as error:
            problems.append(str(error))
            pieces.append(text[slice(*event.span)])
        end = event.span[1]
    return Converted("".join((*pieces, text[end:])), tuple(problems))


@dataclass(slots=True)
class _Passage:
    """A run of regions with their phrases, or of words."""

    words: str = ""
    phrase: str | None = None
    groups: "tuple[tuple[str | None, list[Region]], ...]" = ()
    problem: str = ""


def _passages(events: Sequence[Event], *, merging: bool) -> Iterator[_Passage]:
    """Split events into words and runs of regions; a run has one phrase unless `merging`."""
    groups: list[tuple[str | None, list[Region]]] = []
    named: Phrase | None = None
    last: Phrase | None = None  # the phrase that was written last, which is not written again
    joiner = ""
    for index, event in enumerate(events):
        parted = bool(joiner.strip(_JOINING))
        if isinstance(event, Region):
            if groups and (parted or (not merging and named is not None)):
                yield from _closed(groups, joiner)
                groups, joiner = [], ""
            elif not groups and joiner:
                joiner = ""
            if groups and named is None and groups[-1][1][-1].phrase_span == event.phrase_span:
                groups[-1][1].append(event)
            else:
                groups.append((None if named is None and _stands_in(event, last) else event.phrase, [event]))
            named, joiner, last = None, "", named or last
        elif isinstance(event, Phrase) and _names_region(events, index):
            if groups and (not merging or parted):
                yield from _closed(groups, joiner)
                groups, joiner = [], ""
            named = event
        elif isinstance(event, Text) and (groups or named is not None) and JOINER.fullmatch(event.text):
            joiner += event.text if named is None else ""
        else:
            yield from _closed(groups, joiner)
            groups, named, joiner = [], None, ""
            last = event if isinstance(event, Phrase) else last
            yield _plain(event)
    yield from _closed(groups, joiner)


def _stands_in(region: Region, phrase: Phrase | None) -> bool:
    """Return whether a region's phrase belongs to an earlier event."""
    if region.phrase_span is None or phrase is None:
        return False
    return phrase.span[0] <= region.phrase_span[0] < phrase.span[1]


def _closed(groups: list[tuple[str | None, list[Region]]], joiner: str) -> Iterator[_Passage]:
    if groups:
        yield _Passage(groups=tuple(groups))
    if joiner:
        yield _Passage(words=joiner)


def _plain(event: Event) -> _Passage:
    match event:
        case Phrase():
            return _Passage(words=event.text, phrase=event.text)
        case Unreadable():
            return _Passage(words=event.text, problem=f"{event.text!r}: {event.reason}")
        case Text():
            return _Passage(words=event.text)
    return _Passage()


def _names_region(events: Sequence[Event], index: int) -> bool:
    """Return whether a phrase is followed by a region of that phrase."""
    for event in events[index + 1 :]:
        if isinstance(event, Region):
            return event.phrase is not None
        if not (isinstance(event, Text) and JOINER.fullmatch(event.text)):
            return False
    return False
