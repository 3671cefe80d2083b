"""Properties of every dialect: nothing lost, the same events however a text is cut, and back to half a bin."""

import math
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geochat.dialects import DIALECTS, Unreadable, find_dialect, names_of_dialects
from geochat.dialects.orders import Cells, Spot
from geochat.dialects.shapes import bounds, box_around, corners_of
from geochat.errors import RegionError, SettingsError
from geochat.geometry import Frame, OrientedBox
from geochat.prompts import Task

ASKED = {
    *(
        "geochat",
        "skysensegpt",
        "vrsbench",
        "vrsbench-obb-v1",
        "vrsbench-obb-v2",
        "earthdial",
        "teochat",
        "vhm",
        "lhrs",
    ),
    *("falcon", "falcon-quad", "rscovlm-hbb", "rscovlm-obb", "rscovlm-quad", "qwen-vl", "qwen2-vl", "qwen2.5-vl"),
    *("qwen3-vl", "internvl", "cogvlm", "kosmos-2", "florence-2", "paligemma", "gemini", "molmo", "deepseek-vl2"),
    *("rex-omni", "glm", "llava"),
}
NAMES = st.sampled_from(names_of_dialects())
SHARES = st.floats(0.05, 0.95)


def extent(dialect):
    return dialect.model_frame.scale or 1000.0


def boxes(dialect, cx, cy, w, h, angle):
    """A box inside the frame, upright where the dialect has no angle."""
    unit = extent(dialect)
    radius = 0.99 * min(cx, cy, 1 - cx, 1 - cy) / math.hypot(w, h)
    w, h = 2 * w * radius * unit, 2 * h * radius * unit
    x, y = cx * unit, cy * unit
    angle = angle if dialect.syntax.order.turned or dialect.syntax.order.takes(8) else 0.0
    return OrientedBox(x - w / 2, y - h / 2, x + w / 2, y + h / 2, angle)


def check(dialect, text, streamed=None, cuts=()):
    parsed = dialect.parse(text)
    place = 0
    for event in parsed.events:
        assert event.span[0] == place
        place = event.span[1]
        if isinstance(event, Unreadable):
            assert event.text == text[slice(*event.span)]
            assert event.text
            assert event.reason
    assert place == len(text)
    assert isinstance(parsed.plain_text, str)
    for pieces in cuts:
        events = streamed(dialect, pieces)
        assert events == parsed.events
        assert [event.span for event in events] == [event.span for event in parsed.events]


def test_all_that_were_asked_for_are_there():
    assert set(DIALECTS) >= ASKED
    assert len(DIALECTS) >= 25
    for name in DIALECTS:
        assert find_dialect(name).name == name
        assert find_dialect(name).source
    with pytest.raises(SettingsError, match="no dialect is called 'klingon'; choose one of asking"):
        find_dialect("klingon")


def test_garbled_texts_are_read_without_loss(dialect, samples, garbled, streamed):
    rng, written = random.Random(dialect.name), samples(dialect)
    for number in range(120):
        text = garbled(rng, written)
        cuts = (list(text), [text[place : place + 7] for place in range(0, len(text), 7)]) if number % 4 == 0 else ()
        check(dialect, text, streamed, cuts)


@pytest.mark.slow
def test_a_hundred_thousand_garbled_texts_are_read_without_loss(dialect, samples, garbled, streamed):
    rng, written = random.Random(f"slow {dialect.name}"), samples(dialect)
    for number in range(100_000):
        text = garbled(rng, written)
        check(dialect, text, streamed, (list(text),) if number % 25 == 0 else ())


@settings(max_examples=250)
@given(name=NAMES, data=st.data())
def test_any_cut_gives_the_same_events(name, data, samples, garbled, streamed):
    dialect = find_dialect(name)
    text = garbled(random.Random(data.draw(st.integers())), samples(dialect)) + data.draw(st.text(max_size=8))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    check(dialect, text, streamed, (pieces, list(text)))


@settings(max_examples=300)
@given(name=NAMES, cx=SHARES, cy=SHARES, w=SHARES, h=SHARES, angle=st.floats(-180, 180))
def test_what_is_written_comes_back_within_half_a_bin(name, cx, cy, w, h, angle):
    dialect = find_dialect(name)
    box, bin_ = boxes(dialect, cx, cy, w, h, angle), 10.0**-dialect.decimals
    (region,) = dialect.parse(dialect.write_box(box)).regions
    order = dialect.syntax.order
    if isinstance(order, Spot):
        assert (region.geometry.x, region.geometry.y) == pytest.approx(box.center, abs=bin_ / 2 + 1e-9)
    elif isinstance(order, Cells):  # a cell is known, and no more; its edges where a box is no wider
        assert bounds(region.shape) == pytest.approx(bounds(box), abs=1 + 1e-9)
    elif not order.turned:
        assert _nearest(corners_of(region.shape), corners_of(box)) <= bin_ * math.hypot(0.5, 0.5) + 1e-9
    else:
        slack = math.radians(bin_ / 2) * math.hypot(box.width, box.height) / 2  # of the angle's rounding
        # A box is rounded by its centre and sides, or by its corners before turning: half a bin each.
        assert _nearest(region.box.corners(), box.corners()) <= bin_ * 1.1 + slack
    again = dialect.write_box(region.shape)
    if order.turned and region.box.area:  # once more changes nothing: the numbers were whole
        (twice,) = dialect.parse(again).regions
        assert _nearest(twice.box.corners(), region.box.corners()) <= bin_ * 1.1 + 1e-9


def _nearest(first, second):
    """The greatest distance of a corner of one from the nearest of the other."""
    return max(min(math.dist(one, other) for other in second) for one in first)


@settings(max_examples=150)
@given(name=NAMES, w=SHARES, h=SHARES, angle=st.floats(-90, 90), size=st.sampled_from([(400, 100), (120, 500)]))
def test_pixels_come_back_on_wide_and_tall_images(name, w, h, angle, size):
    """Boxes given in pixels are written in the model's numbers, read, and placed on the image again."""
    dialect = find_dialect(name).fitted(size=336)
    order = dialect.syntax.order
    side = min(size)
    turned = angle if order.turned or order.takes(8) else 0.0
    width, height = side * w * 0.7, side * h * 0.7
    x, y = size[0] / 2, size[1] / 2
    box = OrientedBox(x - width / 2, y - height / 2, x + width / 2, y + height / 2, turned)
    frame = Frame(size, model=dialect.model_frame)
    (region,) = dialect.parse(dialect.write_box(dialect.carried(box, ~frame.model_to_view))).regions
    unit = max(side_ / edge for side_, edge in zip(size, dialect.model_frame.extent(size), strict=True))
    corners = [frame.model_to_view @ corner for corner in corners_of(region.shape)]
    if isinstance(order, Spot):
        assert math.dist(corners[0], box.center) <= unit
        return
    bin_ = unit * 10.0**-dialect.decimals * (1 if not isinstance(order, Cells) else 2)
    slack = math.radians(10.0**-dialect.decimals) * math.hypot(*size) if order.turned else 0
    wanted = box.corners()
    if order.turned and dialect.model_frame.fit == "image":  # a stretched box is the rectangle around the parallelogram
        wanted = [frame.model_to_view @ corner for corner in box_around(box.transform(~frame.model_to_view)).corners()]
    assert _nearest(corners, wanted) <= 1.5 * bin_ + slack


def test_phrases_come_back_where_the_syntax_has_them(dialect):
    unit = extent(dialect) / 100
    box = OrientedBox(20 * unit, 20 * unit, 60 * unit, 40 * unit)
    parsed = dialect.parse(dialect.write_all([("2 ships", [box, box]), ("a pier", [box])], inline=True))
    named = ["2 ships", "2 ships", "a pier"] if dialect.syntax.names else [None] * 3
    assert [region.phrase for region in parsed.regions] == named
    assert "2 ships" in parsed.plain_text
    assert parsed.problems == ()


def test_every_task_can_be_asked(dialect):
    unit = extent(dialect) / 100
    box = OrientedBox(20 * unit, 20 * unit, 60 * unit, 40 * unit)
    assert "the ship" in dialect.compose("the ship", Task.REFER)
    assert dialect.parse(dialect.compose("", Task.IDENTIFY, [box])).regions
    for task in (Task.CAPTION, Task.GROUNDING):
        assert dialect.compose("", task)
    for task in (Task.CHAT, Task.VQA, Task.SCENE):
        assert "harbor" in dialect.compose("Is there a harbor?", task)
    once = dialect.compose("the ship", Task.REFER)
    if not dialect.wordings.templates.get(Task.REFER, ("{}", ""))[1] or Task.REFER not in dialect.wordings.tokens:
        assert dialect.compose(once, Task.REFER) == once


def test_nothing_found_has_its_words(dialect):
    parsed = dialect.parse(dialect.empty or "There are none.")
    assert parsed.regions == ()
    assert parsed.problems == ()
    assert parsed.plain_text == (dialect.empty or "There are none.")
    assert dialect.write_all([]) == (dialect.empty or "")


@pytest.mark.parametrize(
    "phrase", ["x" * 257, "[[1, 2, 3, 4]]", "a<loc_1><loc_2><loc_3><loc_4>", '{"bbox_2d": 1}', "</p>"]
)
def test_a_phrase_comes_back_or_is_refused(dialect, phrase):
    unit = extent(dialect) / 100
    try:
        text = dialect.write(phrase, [OrientedBox(20 * unit, 20 * unit, 60 * unit, 40 * unit)])
    except RegionError:
        return
    (region,) = dialect.parse(text).regions
    assert region.phrase in (phrase, None)


def test_what_is_too_large_is_not_written(dialect):
    with pytest.raises(RegionError, match="decimals=16"):
        dialect.syntax.write([(None, [OrientedBox(1, 2, 3, 4)])], dialect.angles, 16)
    if dialect.syntax.limits is None and not isinstance(dialect.syntax.order, Cells):
        with pytest.raises(RegionError):
            dialect.write_box(OrientedBox(0, 0, 1e12, 1))


def read_in_pieces(dialect, text):
    """Seconds of computing to read a text whole and in pieces."""
    began = time.process_time()
    dialect.parse(text)
    reader = dialect.reader()
    for place in range(0, len(text), 5):
        reader.feed(text[place : place + 5])
    reader.close()
    return time.process_time() - began


REPEATED = ("[", "{", '{"', "<", "(", "1,", "[1, ", '{"a": "', "<point x=", "<loc_", "\\", "```")


@pytest.mark.slow
def test_reading_takes_linear_time(dialect, samples):
    sample = samples(dialect)[0]
    for part in (*REPEATED, sample, sample[:-1], sample[: len(sample) // 2]):
        seconds = read_in_pieces(dialect, part * (100_000 // len(part)))
        assert seconds < 10, f"{part!r}: a second or two; quadratic reading takes minutes"


def test_an_answer_that_repeats_itself_is_read_quickly(dialect, samples):
    """Models fall into loops: the same region again and again, cut off at the last token."""
    sample = samples(dialect)[0]
    looped = (f"{sample} " * (4000 // len(sample)))[:-5]
    assert read_in_pieces(dialect, looped) < 2
    assert len(dialect.parse(looped).regions) >= 20
