"""Real and malformed answers, one row each in `answers.jsonl`, and what easily goes wrong between dialects."""

import json
import re
from pathlib import Path

import pytest

from geochat.dialects import DIALECTS, Region, find_dialect
from geochat.dialects.shapes import corners_of
from geochat.geometry import Frame, OrientedBox

ROWS = [json.loads(line) for line in Path(__file__).with_name("answers.jsonl").read_text("utf-8").splitlines()]


def numbers(region):
    """Corners and angle of a box; the coordinates of what was written as a point or polygon."""
    if region.geometry is None:
        return [region.box.x1, region.box.y1, region.box.x2, region.box.y2, region.box.angle]
    return [number for corner in corners_of(region.geometry) for number in corner]


def only(name, text):
    (region,) = find_dialect(name).parse(text).regions
    return region


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['dialect']} {row['text'][:30]}")
def test_an_answer_is_read(row, streamed):
    dialect, text = find_dialect(row["dialect"]), row["text"]
    parsed = dialect.parse(text)
    assert [region.phrase for region in parsed.regions] == [phrase for phrase, _ in row["regions"]]
    for region, (_, wanted) in zip(parsed.regions, row["regions"], strict=True):
        assert numbers(region) == pytest.approx(wanted, abs=1e-6)
    assert [problem.text for problem in parsed.problems] == row["unreadable"]
    assert parsed.plain_text == row["plain"]
    assert "".join(text[slice(*event.span)] for event in parsed.events) == text
    assert streamed(dialect, list(text)) == parsed.events


def test_every_dialect_has_a_row():
    assert {row["dialect"] for row in ROWS} == set(DIALECTS)


def test_the_same_braces_mean_other_boxes():
    text = "{<40><30><20><10>|<30>}"
    assert only("geochat", text).box == OrientedBox(40, 30, 20, 10, 30)  # corners, clockwise
    assert only("skysensegpt", text).box == OrientedBox(30, 25, 50, 35, 30)  # centre and sides, clockwise
    assert only("vrsbench-obb-v1", text).box == OrientedBox(30, 25, 50, 35, -30)  # the same, counter-clockwise
    assert find_dialect("vrsbench").parse(text).regions == ()  # has no angle


def test_nearest_and_farthest_corner_make_the_box_that_was_written():
    dialect, box = find_dialect("vrsbench-obb-v2"), OrientedBox(40, 40, 60, 50, -30)
    written = dialect.write_box(box)
    near, far = re.findall(r"<(\d+)><(\d+)>", written)
    assert (int(near[0]), int(near[1])) == (39, 46)  # of the turned corners that nearest to the origin
    assert (int(far[0]), int(far[1])) == (61, 44)
    assert only("vrsbench-obb-v2", written).box.iou(box) > 0.9


def test_the_order_of_axes_is_the_dialects():
    assert only("gemini", '{"box_2d": [1, 2, 30, 40]}').box == OrientedBox(2, 1, 40, 30)
    assert only("qwen3-vl", '{"bbox_2d": [1, 2, 30, 40]}').box == OrientedBox(1, 2, 30, 40)
    assert only("paligemma", "<loc0001><loc0002><loc0030><loc0040>").box == OrientedBox(2, 1, 40, 30)


@pytest.mark.parametrize(
    ("name", "text", "pixels"),
    [  # the far corner of an image of 2000 x 1000 pixels
        ("internvl", "[[0, 0, 1000, 1000]]", (2000, 1000)),
        ("deepseek-vl2", "[[0, 0, 999, 999]]", (2000, 1000)),
        ("rex-omni", "<|box_start|><0><0><999><999><|box_end|>", (2000, 1000)),
        ("paligemma", "<loc0000><loc0000><loc1023><loc1023>", (2000, 1000)),
        ("florence-2", "<loc_0><loc_0><loc_999><loc_999>", (1999, 999.5)),  # the middle of the last bin
        ("kosmos-2", "<patch_index_0000><patch_index_1023>", (2000 * 31.5 / 32, 1000 * 31.5 / 32)),
        ("qwen2.5-vl", '{"bbox_2d": [0, 0, 1988, 1008]}', (2000, 1000)),
        ("qwen3-vl", '{"bbox_2d": [0, 0, 1000, 1000]}', (2000, 1000)),
        ("llava", "[0.0, 0.25, 1.0, 0.75]", (2000, 1000)),
        ("lhrs", "<bbox>[0.0, 0.0, 1.0, 1.0]</bbox>", (2000, 1000)),
        ("zoomearth", '{"bbox_2d": [0, 0, 1024, 512]}', (2000, 1000)),
    ],
)
def test_the_far_edge_is_where_the_divisor_says(name, text, pixels):
    to_pixels = Frame((2000, 1000), model=find_dialect(name).model_frame).model_to_view
    corners = [to_pixels @ corner for corner in corners_of(only(name, text).shape)]
    assert (max(x for x, _ in corners), max(y for _, y in corners)) == pytest.approx(pixels, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "marked", "bare"),
    [  # what a server leaves that drops special tokens
        ("qwen-vl", "<ref>ship</ref><box>(10,20),(30,40)</box>", "ship(10,20),(30,40)"),
        (
            "qwen2-vl",
            "<|object_ref_start|>ship<|object_ref_end|><|box_start|>(10,20),(30,40)<|box_end|>",
            "ship(10,20),(30,40)",
        ),
        ("internvl", "<ref>ship</ref><box>[[10, 20, 30, 40]]</box>", "ship[[10, 20, 30, 40]]"),
        ("deepseek-vl2", "<|ref|>ship<|/ref|><|det|>[[10, 20, 30, 40]]<|/det|>", "ship[[10, 20, 30, 40]]"),
        ("glm", "<|begin_of_box|>[[10, 20, 30, 40]]<|end_of_box|>", "[[10, 20, 30, 40]]"),
        ("skysensegpt", "<rbox>({<20><30><20><20>})</rbox>", "({<20><30><20><20>})"),
    ],
)
def test_boxes_outlast_the_marks_a_server_drops(name, marked, bare):
    assert only(name, bare).box == only(name, marked).box == OrientedBox(10, 20, 30, 40)


def test_a_loop_is_read_as_far_as_it_goes():
    text = "[" + ", ".join(['{"bbox_2d": [1, 2, 3, 4], "label": "car"}'] * 300) + ', {"bbox_2d": [1, 2'
    parsed = find_dialect("qwen2.5-vl").parse(text)
    assert len(parsed.regions) == 300
    assert [problem.text for problem in parsed.problems] == ['{"bbox_2d": [1, 2']


def test_a_mask_is_passed_over(streamed):
    mask = "iVBORw0KGgo" * 900
    text = f'[{{"box_2d": [1, 2, 3, 4], "mask": "data:image/png;base64,{mask}", "label": "car"}}]'
    assert only("gemini", text).phrase == "car"
    pieces = [text[place : place + 3] for place in range(0, len(text), 3)]
    assert streamed(find_dialect("gemini"), pieces) == find_dialect("gemini").parse(text).events


def test_an_answer_streams_region_by_region():
    reader, dialect = find_dialect("qwen3-vl").reader(), find_dialect("qwen3-vl")
    text = dialect.write("ship", [OrientedBox(1, 2, 30, 40), OrientedBox(5, 6, 70, 80)])
    told = [sum(isinstance(event, Region) for event in reader.feed(char)) for char in text]
    assert [index for index, count in enumerate(told) if count] == [found.end() - 1 for found in re.finditer("}", text)]


def test_earthdials_published_answers_are_read_whole(shared):
    dialect, boxes = find_dialect("earthdial"), 0
    for file in ("referring_geochat_bench.jsonl", "referring_nwpu_vhr10.jsonl"):
        for line in (shared / "reference/scorer" / file).read_text().splitlines():
            row = json.loads(line)
            parsed, true = dialect.parse(row["answer"]), dialect.parse(row["gt_bbox"])
            assert true.problems == ()
            assert len(true.regions) == row["gt_bbox"].count("[[")
            whole = re.findall(r"\[\[[^\[\]]*\]\]", row["answer"])
            assert [[int(n) for n in numbers(region)] for region in parsed.regions] == [json.loads(w)[0] for w in whole]
            left = row["answer"].removeprefix("".join(whole)).lstrip("[")
            assert "".join(problem.text for problem in parsed.problems).lstrip("[") in ("", left)
            boxes += len(whole)
    assert boxes == 12_511
