"""Whole texts to regions, including every answer the original's parser was recorded on."""

import json
import time

import pytest

from geochat.dialects import GEOCHAT, Phrase, Region, Text, Unreadable
from geochat.geometry import AngleConvention, OrientedBox

BOX = OrientedBox(10, 20, 30, 40)
OTHER = OrientedBox(50, 60, 70, 80)


def turned(box, angle):
    return OrientedBox(box.x1, box.y1, box.x2, box.y2, angle)


# text, regions as (phrase, box), unreadable parts, plain text
ORIGINAL = [
    ("<p>plane</p> {<10><20><30><40>|<0>}", [("plane", BOX)], [], "plane"),
    ("<p>plane</p> {<10><20><30><40>|<-45>}", [("plane", turned(BOX, -45))], [], "plane"),
    (
        "<p>2 ships</p> {<10><20><30><40>|<0>}<delim>{<50><60><70><80>|<90>}",
        [("2 ships", BOX), ("2 ships", turned(OTHER, 90))],
        [],
        "2 ships",
    ),
    (  # the original keeps the first box of the three
        "<p>3 cars</p> {<10><20><30><40>|<0>}{<50><60><70><80>|<30>}{<5><6><7><8>|<12>}",
        [("3 cars", BOX), ("3 cars", turned(OTHER, 30)), ("3 cars", OrientedBox(5, 6, 7, 8, 12))],
        [],
        "3 cars",
    ),
    (
        "There are <p>2 ships</p> {<10><20><30><40>|<0>}<delim>{<50><60><70><80>|<-45>} "
        "near <p>1 harbor</p> {<0><0><100><100>|<0>}.",
        [("2 ships", BOX), ("2 ships", turned(OTHER, -45)), ("1 harbor", OrientedBox(0, 0, 100, 100))],
        [],
        "There are 2 ships near 1 harbor.",
    ),
    ("{<10><20><30><40>|<90>}", [(None, turned(BOX, 90))], [], ""),
    ("{<10><20><30><40>}", [(None, BOX)], [], ""),
    ("<p>ship</p> {<10><20><30><40>}", [("ship", BOX)], [], "ship"),
    ("<p>ship</p> {<10><20><30>}", [], ["{<10><20><30>}"], "ship"),
    ("<p>ship</p> {<1><2>}", [], ["{<1><2>}"], "ship"),
    (
        "<p>ship</p> {<10><20><30><40>|<0>} and <p>car</p> {<50><60",
        [("ship", BOX)],
        ["{<50><60"],
        "ship and car",
    ),
    ("<p>ship</p> {<-5><20><130><40>|<0>}", [("ship", OrientedBox(-5, 20, 130, 40))], [], "ship"),
    ("<p>ship {<10><20><30><40>|<0>}", [("ship", BOX)], [], "ship"),  # the box ends the phrase
    ("<p>ship</p></p> {<10><20><30><40>|<0>}", [("ship", BOX)], ["</p>"], "ship"),
    (
        "&lt;p&gt;ship&lt;/p&gt; {&lt;10&gt;&lt;20&gt;&lt;30&gt;&lt;40&gt;|&lt;15&gt;}",
        [("ship", turned(BOX, 15))],
        [],
        "ship",
    ),
    ("No objects here.", [], [], "No objects here."),
    (  # the original loses both
        "<p>a</p>{<1><2><30><40>|<0>}<p>b</p>{<50><60><70><80>|<0>}",
        [("a", OrientedBox(1, 2, 30, 40)), ("b", OTHER)],
        [],
        "a b",
    ),
    (
        "<p>a</p> {<1><2><30><40>|<0>} <p>a</p> {<50><60><70><80>|<0>}",
        [("a", OrientedBox(1, 2, 30, 40)), ("a", OTHER)],
        [],
        "a a",
    ),
    ("<p>2 planes</p> { <10> <20> <30> <40> | <45> }", [("2 planes", turned(BOX, 45))], [], "2 planes"),
    (
        "<p>ship</p> {<10.5><20.5><30.5><40.5>|<0>}",
        [("ship", OrientedBox(10.5, 20.5, 30.5, 40.5))],
        [],
        "ship",
    ),
    ("<p>two\nlines</p> {<10><20><30><40>|<0>}", [("two\nlines", BOX)], [], "two\nlines"),
    ("<p>ship</p> {<30><40><10><20>|<0>}", [("ship", OrientedBox(30, 40, 10, 20))], [], "ship"),
    ("<p>ship</p> {<10><20><10><20>|<0>}", [("ship", OrientedBox(10, 20, 10, 20))], [], "ship"),
    (  # which of two angles is meant cannot be known
        "<p>ship</p> {<10><20><30><40>|<0>|<7>}",
        [],
        ["{<10><20><30><40>|<0>|<7>}"],
        "ship",
    ),
    ("The answer is 1 2 3 4 5", [], [], "The answer is 1 2 3 4 5"),  # the original draws a box
    ("<p>city</p> {<0><0><100><100>|<0>}", [("city", OrientedBox(0, 0, 100, 100))], [], "city"),
    (
        "[refer] {<10><20><30><40>|<-90>} {<50><60><70><80>|<0>}",
        [(None, turned(BOX, -90)), (None, OTHER)],
        [],
        "[refer]",
    ),
    ("<p>ship</p>", [], [], "ship"),
    ("", [], [], ""),
    ("<p></p> {<10><20><30><40>|<180>}", [("", turned(BOX, 180))], [], ""),
    ("<p>ship</p> {<10><20><30><40>|<3.7>}", [("ship", turned(BOX, 3.7))], [], "ship"),
    ("{<8><26><22><37>|<90>}</s>", [(None, OrientedBox(8, 26, 22, 37, 90))], [], ""),
    ("<p>a</p> {<1><2><30><40>|<0>}</s>", [("a", OrientedBox(1, 2, 30, 40))], [], "a"),
    (  # words part the phrase from the box
        "<p>x</p> text without box } and {<10><20><30><40>|<0>}",
        [(None, BOX)],
        [],
        "x text without box } and",
    ),
]

MORE = [
    ("<p> the ship </p> {<10><20><30><40>}", [("the ship", BOX)], [], "the ship"),
    ("a <p> the ship </p> {<10><20><30><40>}.", [("the ship", BOX)], [], "a the ship."),
    ("<p>ship</p>s {<10><20><30><40>} here", [(None, BOX)], [], "ships here"),
    ("<p>s</p> {<10><20><30><40>}, {<50><60><70><80>} fly", [("s", BOX), ("s", OTHER)], [], "s fly"),
    ("<p>s</p> {<10><20><30><40>} and {<50><60><70><80>}.", [("s", BOX), ("s", OTHER)], [], "s."),
    ("<p>s</p> {<10><20><30><40>} or {<50><60><70><80>}", [("s", BOX), (None, OTHER)], [], "s or"),
    ("<p>s</p> {<10><20><30>}<delim>{<50><60><70><80>}", [("s", OTHER)], ["{<10><20><30>}"], "s"),
    ("<p>s</p></s>{<50><60><70><80>}", [(None, OTHER)], [], "s"),
    ("<p>a <p>b</p> {<10><20><30><40>}", [("b", BOX)], ["<p>"], "a b"),
    ("<p>a</s>", [], ["<p>"], "a"),
    ("<p>2 shi", [], ["<p>"], "2 shi"),
    ("<p>2 ships</p", [], ["<p>", "</p"], "2 ships"),
    ("near &lt;p", [], ["&lt;p"], "near"),
    ("<p>car</p> {", [], ["{"], "car"),
    ("<p>car</p> {<", [], ["{<"], "car"),
    ("is 3 <", [], [], "is 3 <"),
    ("black &", [], [], "black &"),
    ("x < 3 && y > 2 {z} </b> <1>", [], [], "x < 3 && y > 2 {z} </b> <1>"),
    ("{<x1><y1><x2><y2>|<θ>}", [], [], "{<x1><y1><x2><y2>|<θ>}"),
    ("{<10><20> is a ship", [], ["{<10><20>"], "is a ship"),
    ("{<10><b><30><40>|<0>} x", [], ["{<10><b><30><40>|<0>}"], "x"),
    ("{<1.2.3><20><30><40>}", [], ["{<1.2.3><20><30><40>}"], ""),
    ("{<10><20><30><40><50>}", [], ["{<10><20><30><40><50>}"], ""),
    ("{<10><20><30><40>|}", [], ["{<10><20><30><40>|}"], ""),
    ("{<1e400><20><30><40>}", [], ["{<1e400><20><30><40>}"], ""),
    ("{<1><2>{<10><20><30><40>}", [(None, BOX)], ["{<1><2>"], ""),
    ("{<1><2>\n<p>s</p> {<10><20><30><40>}", [("s", BOX)], ["{<1><2>"], "s"),
    ("{\n<+10>\n<20.>\n<30><40>|<.5>}", [(None, turned(BOX, 0.5))], [], ""),
    ("A ship{<10><20><30><40>}by a pier .", [(None, BOX)], [], "A ship by a pier ."),
    ("A ship {<10><20><30><40>} \nA car", [(None, BOX)], [], "A ship\nA car"),
    ("<p>" + "x" * 257 + "</p>", [], ["<p>", "</p>"], "x" * 257),
    ("{<1" + "0" * 300 + ">}", [], ["{<1" + "0" * 253], "0" * 47 + ">}"),
]


@pytest.mark.parametrize(("text", "regions", "unreadable", "plain"), ORIGINAL + MORE)
def test_an_answer_is_read(text, regions, unreadable, plain):
    parsed = GEOCHAT.parse(text)
    assert [(region.phrase, region.box) for region in parsed.regions] == regions
    assert [problem.text for problem in parsed.problems] == unreadable
    assert all(problem.reason for problem in parsed.problems)
    assert parsed.plain_text == plain
    assert "".join(text[slice(*event.span)] for event in parsed.events) == text


def test_every_recorded_answer_of_the_original_is_in_the_table(shared):
    recorded = json.loads((shared / "reference/original/boxes.json").read_text())["demo_visualize"]
    assert {row["text"] for row in recorded} == {row[0] for row in ORIGINAL}


def test_events_come_in_order_with_their_text():
    assert GEOCHAT.parse("A <p> ship </p> {<10><20><30><40>}<delim>{<1>}!").events == (
        Text("A "),
        Phrase(" ship "),
        Text(" "),
        Region(BOX, "ship"),
        Text(""),
        Unreadable("{<1>}", "a box has 4 coordinates, 1 could be read"),
        Text("!"),
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{<1><2><3><4>|<5>|<6>}", "one angle, this one 2"),
        ("{<1><2><3><4>|5}", "is written {<x1><y1><x2><y2>|<angle>}"),
        ("{<1><2", "does not end"),
        ("<p>ship", "the phrase it begins does not end"),
        ("ship</p>", "not begun"),
        ("ship <del", "the text ends inside it"),
        ("{<1" + " " * 300, "no box is longer than 256"),
    ],
)
def test_the_reason_says_what_is_wrong(text, reason):
    (problem,) = GEOCHAT.parse(text).problems
    assert reason in problem.reason


def test_spans_point_at_coordinates_and_phrase():
    text = "In <p>\n 2 ships </p> {<10><20><30><40>}<delim>{ <50><60><70><80> }, {<1><2><3><4>} so {<1><2><3><4>}"
    *named, alone = GEOCHAT.parse(text).regions
    assert [text[slice(*region.phrase_span)] for region in named] == ["2 ships"] * 3
    assert [text[slice(*region.span)] for region in named] == [
        "{<10><20><30><40>}",
        "{ <50><60><70><80> }",
        "{<1><2><3><4>}",
    ]
    assert (alone.phrase, alone.phrase_span) == (None, None)


def test_spans_are_no_part_of_what_is_said():
    assert GEOCHAT.parse("{<1><2><3><4>}").regions == GEOCHAT.parse("{ <1> <2> <3> <4> |<0>}").regions


def test_a_zero_angle_read_counterclockwise_is_plain_zero():
    (region,) = GEOCHAT.fitted(angles=AngleConvention("counterclockwise")).parse("{<1><2><3><4>|<0>}").regions
    assert str(region.box.angle) == "0.0"


@pytest.mark.parametrize(
    "part", ["{<", "<p>", "{<1", "<p>a{", "&lt;", "{ ", "<p>" + "{" * 250, "{<1" + " " * 250 + "\n", "{<1><2><3><4>} "]
)
def test_reading_takes_linear_time(part):
    text = part * (200_000 // len(part))
    began = time.process_time()  # not the wall clock: the machine may be busy
    assert isinstance(GEOCHAT.parse(text).plain_text, str)
    assert time.process_time() - began < 5, "about a second on a slow core; quadratic reading takes minutes"
