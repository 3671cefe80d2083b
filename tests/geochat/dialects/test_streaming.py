"""Reading while text arrives, and the promises that hold for every text."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geochat.dialects import GEOCHAT, Phrase, Region, Text, Unreadable, merge_text
from geochat.geometry import AngleConvention, OrientedBox

MARKS = ["<p>", "</p>", "<delim>", "</s>", "&lt;p&gt;", "&lt;", "&gt;", "<", ">", "&", "lt;", "p", "/p"]
PARTS = ["{", "}", "|", "<10>", "<-5>", "<3.5>", "{<1>", "{<", "{<10><20><30><40>|<45>}", "{<1><2><3><4>}"]
WORDS = ["ship", "and", ",", ".", "7", "é", "船", "²", " ", "\n", "  ", " " * 9, "x" * 120, "\x00"]
TEXTS = st.text(max_size=60) | st.lists(st.sampled_from([*MARKS, *PARTS, *WORDS]), max_size=40).map("".join)


def stream(pieces, convention=None):
    parser = GEOCHAT.fitted(angles=convention).reader()
    return [event for piece in pieces for event in parser.feed(piece)] + parser.close()


def spans(events):
    return [(event.span, getattr(event, "phrase_span", None)) for event in events]


@settings(max_examples=400, deadline=None)
@given(text=TEXTS)
@example("<p>" + "{" * 300 + "<1")
@example("{<1" + " " * 260 + "x")
def test_nothing_is_raised_and_nothing_lost(text):
    parsed = GEOCHAT.parse(text)
    assert "".join(text[slice(*event.span)] for event in parsed.events) == text
    for event in parsed.events:
        if isinstance(event, Unreadable):
            assert event.text == text[slice(*event.span)]
        if isinstance(event, Region) and event.phrase is not None:
            assert event.phrase == text[slice(*event.phrase_span)]
    assert isinstance(parsed.plain_text, str)


@settings(max_examples=400, deadline=None)
@given(text=TEXTS, data=st.data())
def test_any_cut_into_pieces_gives_the_same_events(text, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole = GEOCHAT.parse(text).events
    for parts in (pieces, list(text)):
        events = merge_text(stream(parts))
        assert tuple(events) == whole
        assert spans(events) == spans(whole)


@settings(max_examples=100, deadline=None)
@given(first=TEXTS, rest=TEXTS)
def test_what_was_said_is_never_taken_back(first, rest):
    parser = GEOCHAT.reader()
    early = parser.feed(first)
    said = sum(end - begin for begin, end in (event.span for event in early))
    assert said <= len(first)
    together = merge_text(early + parser.feed(rest) + parser.close())
    assert tuple(together) == GEOCHAT.parse(first + rest).events


@pytest.mark.parametrize(
    ("piece", "expected"),
    [
        ("A ship", [Text("A ship")]),
        ("A ship ", [Text("A ship ")]),
        ("A ship <", [Text("A ship ")]),
        ("A ship <p", [Text("A ship ")]),
        ("A ship <b", [Text("A ship <b")]),
        ("A ship <p>two", [Text("A ship ")]),
        ("<p>two</p>", [Phrase("two")]),
        ("<p>two {", []),
        ("<p>two {<1", [Phrase("two ")]),
        ("<p>" + "x" * 300, [Unreadable("<p>", "the phrase it begins does not end"), Text("x" * 300)]),
        ("size {", [Text("size ")]),
        ("size {3", [Text("size {3")]),
        ("{<1><2><3><4>", []),
        ("{<1><2><3><4>}", [Region(OrientedBox(1, 2, 3, 4))]),
        ("{<1><2> is", [Unreadable("{<1><2>", "the box it begins does not end"), Text(" is")]),
        ("R&D", [Text("R&D")]),
        ("R&l", [Text("R")]),
    ],
)
def test_events_come_as_soon_as_they_are_certain(piece, expected):
    assert GEOCHAT.reader().feed(piece) == expected


def test_no_more_is_held_than_the_longest_phrase_or_box():
    for beginning in ("<p>", "{<1"):
        parser = GEOCHAT.reader()
        told = sum(len(parser.feed(character)) for character in beginning + "0" * 400)
        assert told > 0


def test_an_empty_stream_says_nothing():
    assert stream([]) == stream(["", ""]) == []


def test_the_convention_is_applied():
    (region,) = stream(["{<1><2><3>", "<4>|<30>}"], AngleConvention("counterclockwise"))
    assert region.box.angle == -30


def test_merging_joins_neighbouring_text_only():
    events = [Text("a", (0, 1)), Text("b", (1, 2)), Phrase("p", (2, 10)), Text("c", (10, 11))]
    merged = merge_text(iter(events))
    assert merged == [Text("ab"), Phrase("p"), Text("c")]
    assert merged[0].span == (0, 2)
