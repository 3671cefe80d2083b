"""Boxes and phrases to text, and back."""

import json
import re
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from geochat.dialects import GEOCHAT, Region, Text
from geochat.errors import RegionError
from geochat.geometry import AngleConvention, AngleRange, OrientedBox

CONVENTIONS = st.builds(
    AngleConvention, st.sampled_from(["clockwise", "counterclockwise"]), st.sampled_from(get_args(AngleRange))
)
WHOLE = st.integers(-50, 150)
WORDS = st.text(st.characters(exclude_characters="<>&{}", exclude_categories=["Cs"]), max_size=30)
PHRASES = WORDS.map(str.strip)
BOXES = st.builds(OrientedBox, WHOLE, WHOLE, WHOLE, WHOLE, st.integers(1, 90))


def dialect(angles, decimals=0):
    return replace(GEOCHAT.fitted(angles=angles), decimals=decimals)


def inside(angle, angle_range):
    low, high = map(float, angle_range[1:-1].split(","))
    return low < angle < high or angle == (low if angle_range[0] == "[" else high)


@pytest.mark.parametrize(
    ("box", "convention", "decimals", "expected"),
    [
        (OrientedBox(10, 20, 50, 30, 45), AngleConvention(), 0, "{<10><20><50><30>|<45>}"),
        (OrientedBox(10, 20, 50, 30, 90), AngleConvention(), 0, "{<10><20><50><30>|<90>}"),
        (OrientedBox(10, 20, 50, 30), AngleConvention(), 0, "{<25><5><35><45>|<90>}"),
        (OrientedBox(10, 20, 50, 30, 0.3), AngleConvention(), 0, "{<25><5><35><45>|<90>}"),
        (OrientedBox(10, 20, 50, 30, 0.3), AngleConvention(), 1, "{<10><20><50><30>|<0.3>}"),
        (OrientedBox(10, 20, 50, 30, 89.8), AngleConvention(angle_range="[0,90)"), 0, "{<25><5><35><45>|<0>}"),
        (OrientedBox(10, 20, 50, 30, 179.8), AngleConvention(angle_range="[0,180)"), 0, "{<10><20><50><30>|<0>}"),
        (OrientedBox(10, 20, 50, 30, -89.8), AngleConvention(angle_range="(-90,90]"), 0, "{<10><20><50><30>|<90>}"),
        (OrientedBox(10, 20, 50, 30, 30), AngleConvention("counterclockwise"), 0, "{<25><5><35><45>|<60>}"),
        (
            OrientedBox(10, 20, 50, 30, 30),
            AngleConvention("counterclockwise", "[-90,0)"),
            0,
            "{<10><20><50><30>|<-30>}",
        ),
        (OrientedBox(-0.2, -5, 130, 30.25, 12.5), AngleConvention(), 2, "{<-0.2><-5><130><30.25>|<12.5>}"),
        (OrientedBox(-0.2, -5, 130, 30, 12), AngleConvention(), 0, "{<0><-5><130><30>|<12>}"),
        (OrientedBox(50, 30, 10, 20, 45), AngleConvention(), 0, "{<50><30><10><20>|<45>}"),
    ],
)
def test_a_box_is_written(box, convention, decimals, expected):
    assert dialect(convention, decimals).write_box(box) == expected


@settings(deadline=None)
@given(box=BOXES, convention=CONVENTIONS)
def test_a_whole_box_in_range_comes_back_equal(box, convention):
    written = OrientedBox(box.x1, box.y1, box.x2, box.y2, convention.sign * box.angle)
    assume(inside(box.angle, convention.angle_range))
    (region,) = dialect(convention).parse(dialect(convention).write_box(written)).regions
    assert region.box == written


@settings(deadline=None)
@given(
    corner=st.tuples(st.floats(-100, 100), st.floats(-100, 100)),
    size=st.tuples(st.floats(1, 100), st.floats(1, 100)),
    angle=st.floats(-400, 400),
    convention=CONVENTIONS,
    decimals=st.integers(0, 9),
)
def test_the_written_box_is_the_same_rectangle_in_range(corner, size, angle, convention, decimals):
    (x, y), (width, height) = corner, size
    box = OrientedBox(x, y, x + width, y + height, angle)
    text = dialect(convention, decimals).write_box(box)
    assert inside(float(re.search(r"\|<(.*)>", text)[1]), convention.angle_range)
    (region,) = dialect(convention).parse(text).regions
    assert dialect(convention, decimals).write_box(region.box) == text, "writing again changes nothing"
    if decimals >= 6:
        assert region.box.iou(box) == pytest.approx(1, abs=1e-4)


@settings(max_examples=150, deadline=None)
@given(parts=st.lists(st.tuples(WORDS, PHRASES, st.lists(BOXES, min_size=1, max_size=3)), max_size=4), end=WORDS)
def test_a_mixed_text_comes_back(parts, end):
    text = "".join(words + GEOCHAT.write(phrase, boxes) for words, phrase, boxes in parts) + end
    parsed = GEOCHAT.parse(text)
    assert [(region.phrase, region.box) for region in parsed.regions] == [
        (phrase, box) for _, phrase, boxes in parts for box in boxes
    ]
    assert parsed.problems == ()
    spoken = "".join(event.text for event in parsed.events if isinstance(event, Text))
    assert spoken == "".join(words + " " for words, _, _ in parts) + end


def test_the_boxes_of_a_phrase_are_written_in_a_list():
    boxes = [OrientedBox(1, 2, 3, 4, 5), OrientedBox(6, 7, 8, 9, 10)]
    assert GEOCHAT.write("2 ships", boxes) == "<p>2 ships</p> {<1><2><3><4>|<5>}<delim>{<6><7><8><9>|<10>}"
    assert GEOCHAT.write(None, boxes) == "{<1><2><3><4>|<5>}<delim>{<6><7><8><9>|<10>}"
    assert GEOCHAT.write(" ship ", []) == "<p>ship</p>"
    assert GEOCHAT.write("ship", boxes[:1]) == "<p>ship</p> {<1><2><3><4>|<5>}"


@pytest.mark.parametrize("phrase", ["a <p> b", "a</p>", "&lt;p&gt;", "x {<1", "</s>", "a<delim>b", "{ < 5"], ids=str)
def test_a_phrase_with_markup_is_refused(phrase):
    with pytest.raises(RegionError, match="markup"):
        GEOCHAT.write(phrase, [OrientedBox(1, 2, 3, 4)])


@settings(deadline=None)
@given(phrase=st.text(st.sampled_from("<>/p&lt;gs{} delim1|"), max_size=20), box=BOXES)
def test_every_phrase_that_is_accepted_comes_back(phrase, box):
    try:
        text = GEOCHAT.write(phrase, [box])
    except RegionError:
        assume(False)
    assert GEOCHAT.parse(text).regions == (Region(box, phrase.strip()),)


def test_what_could_not_be_read_back_is_not_written():
    with pytest.raises(RegionError, match="257 characters"):
        GEOCHAT.write("x" * 257, [])
    with pytest.raises(RegionError, match="too large"):
        GEOCHAT.write_box(OrientedBox(0, 0, 1e10, 1))
    for decimals in (-1, 16):
        with pytest.raises(RegionError, match=f"decimals={decimals}"):
            dialect(AngleConvention(), decimals).write_box(OrientedBox(0, 0, 1, 1))


def test_the_ground_truth_of_geochat_bench_is_written_as_it_is(shared):
    lines = (shared / "reference/scorer/referring_geochat_bench.jsonl").read_text().splitlines()
    lists = ["[" + json.loads(line)["gt_bbox"].replace("]][[", "],[") + "]" for line in lines]
    boxes = [tuple(numbers) for text in lists for numbers in json.loads(text)[0]]
    in_range = [numbers for numbers in boxes if 0 < numbers[4] <= 90]
    assert (len(boxes), len(in_range)) == (10_571, 10_467)
    for x1, y1, x2, y2, angle in in_range:
        box = OrientedBox(x1, y1, x2, y2, angle)
        assert GEOCHAT.write_box(box) == f"{{<{x1}><{y1}><{x2}><{y2}>|<{angle}>}}"
        assert GEOCHAT.parse(GEOCHAT.write_box(box)).regions == (Region(box),)
