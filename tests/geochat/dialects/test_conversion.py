"""Texts from one dialect to another: words stay, regions keep their place on the image."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geochat.dialects import find_dialect, names_of_dialects
from geochat.dialects.conversion import convert, convert_question, mover, needs_size
from geochat.dialects.orders import Cells, Spot
from geochat.errors import RegionError
from geochat.geometry import Frame, OrientedBox

SIZE = (400, 200)
GEOCHAT = find_dialect("geochat")
TEXT = (
    "There are <p>2 ships</p> {<10><40><20><50>|<90>}<delim>{<50><60><70><70>|<90>} near "
    "<p>a pier</p> {<30><40><60><50>|<90>}."
)


def converted(text, source, target, size=SIZE):
    first, second = find_dialect(source), find_dialect(target)
    return convert(text, first, second, mover(first, second, size))


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("geochat", TEXT),
        (
            "internvl",
            "There are <ref>2 ships</ref><box>[[100, 300, 200, 500], [550, 600, 650, 1000]]</box> near "
            "<ref>a pier</ref><box>[[400, 100, 500, 700]]</box>.",
        ),
        (
            "qwen3-vl",
            'There are [{"bbox_2d": [100, 300, 200, 500], "label": "2 ships"}, {"bbox_2d": [550, 600, 650, 1000], '
            '"label": "2 ships"}] near {"bbox_2d": [400, 100, 500, 700], "label": "a pier"}.',
        ),
    ],
)
def test_words_stay_and_regions_are_rewritten(target, wanted):
    assert converted(TEXT, "geochat", target).text == wanted


@settings(max_examples=60)
@given(st.sampled_from(names_of_dialects()))
def test_regions_keep_their_place_on_the_image(name):
    """To every dialect and back: within its bins of where they were, and the words are the same."""
    dialect = find_dialect(name).fitted(size=336)
    there = convert(TEXT, GEOCHAT, dialect, mover(GEOCHAT, dialect, SIZE))
    assert there.problems == ()
    to_pixels = Frame(SIZE, model=GEOCHAT.model_frame).model_to_view
    where = Frame(SIZE, model=dialect.model_frame).model_to_view
    wanted = [region.box.transform(to_pixels) for region in GEOCHAT.parse(TEXT).regions]
    found = [region.box.transform(where) for region in dialect.parse(there.text).regions]
    assert len(found) == 3
    for one, other in zip(found, wanted, strict=True):
        assert one.center == pytest.approx(other.center, abs=13 if isinstance(dialect.syntax.order, Cells) else 3)
        if not isinstance(dialect.syntax.order, Spot | Cells):
            assert one.iou(other) > 0.8
    back = convert(there.text, dialect, GEOCHAT, mover(dialect, GEOCHAT, SIZE))
    for word in ("There are", "2 ships", "near", "a pier"):
        assert word in back.text


def test_an_answer_of_regions_alone_becomes_the_whole_form():
    listed = converted("<p>a ship</p> {<10><40><20><50>|<90>}", "geochat", "qwen3-vl").text
    assert listed == '```json\n[\n\t{"bbox_2d": [100, 300, 200, 500], "label": "a ship"}\n]\n```'
    assert converted(listed, "qwen3-vl", "geochat").text == "<p>a ship</p> {<10><40><20><50>|<90>}"


def test_the_task_of_a_question_stays():
    earthdial, plain = find_dialect("earthdial"), find_dialect("internvl")
    for target, wanted in (
        (earthdial, "[refer] [hr_rgb_0.5] Give me the location of the ship"),
        (plain, "Give me the location of <ref>the ship</ref>"),
    ):
        asked = "[refer] Give me the location of <p> the ship </p>"
        assert convert_question(asked, GEOCHAT, target, mover(GEOCHAT, target, SIZE)).text == wanted
    assert convert_question("How many ships?", GEOCHAT, plain, mover(GEOCHAT, plain, SIZE)).text == "How many ships?"


def test_what_cannot_be_read_or_written_is_told_and_kept():
    found = converted("<p>a</p> {<1><2>} and {<10><40><20><50>}", "geochat", "internvl")
    assert found.problems == ("'{<1><2>}': a box has 4 coordinates, 2 could be read",)
    assert "{<1><2>} and <box>[[100, 300, 200, 500]]</box>" in found.text
    far = converted("{<1><2><999999999><4>}", "geochat", "qwen2.5-vl", (4000, 4000))
    assert far.text == "{<1><2><999999999><4>}"
    assert "too large" in far.problems[0]


def test_the_same_syntax_changes_numbers_alone():
    other = replace(GEOCHAT, name="other").fitted(fit="crop", size=100)
    text = "<p>a</p>  { <25><50> <75> <75> } ,{<1>}"
    found = convert(text, GEOCHAT, other, mover(GEOCHAT, other, SIZE))
    assert found.text == "<p>a</p>  {<25><25><75><125>|<90>} ,{<1>}"


def test_unknown_sizes_are_refused_where_they_matter():
    assert not needs_size(find_dialect("internvl"), find_dialect("qwen3-vl"))
    assert not needs_size(find_dialect("rscovlm-obb"), find_dialect("rscovlm-quad"))
    assert needs_size(GEOCHAT, find_dialect("internvl"))
    assert mover(find_dialect("internvl"), find_dialect("qwen3-vl"), None)
    assert mover(find_dialect("qwen2.5-vl"), find_dialect("rscovlm-obb"), None)
    with pytest.raises(RegionError, match="size of its image is unknown"):
        mover(GEOCHAT, find_dialect("qwen2.5-vl"), None)


def test_oriented_boxes_keep_their_corners_through_quadrilaterals():
    """On an image stretched to a square, a turned box is a parallelogram; its four corners say so."""
    quad = converted("{<20><30><60><50>|<30>}", "geochat", "falcon-quad").text
    (region,) = find_dialect("falcon-quad").parse(quad).regions
    to_pixels = Frame(SIZE, model=find_dialect("falcon-quad").model_frame).model_to_view
    corners = [to_pixels @ corner for corner in list(region.geometry.exterior.coords)[:-1]]
    wanted = OrientedBox(80, 20, 240, 100, 30)
    assert OrientedBox.from_polygon(corners).iou(wanted) > 0.98
