"""The second look's box lies where the object does, measured with a model that knows where that is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from geochat.dialects import GEOCHAT
from geochat.engines import Chunk, Request, SecondLook, TokenScore, Usage, one_by_one
from geochat.geometry import Frame, ModelFrame, OrientedBox
from geochat.models import ModelInfo, Settings
from geochat.prompts import Message

QUESTION = "[refer] Where is <p> the car </p>?"
SQUARE = ModelFrame(size=100)


class Measuring:
    """Knows where an object lies, finds which part of the image it is shown by its pixels, and writes the box there.

    In the whole image it writes the box too wide, as a model does that sees few pixels.
    """

    def __init__(self, truth, frame, excess=0.0):
        self.info = ModelInfo(Settings(fit=frame.model.fit), 100)
        self.truth, self.frame, self.excess = truth, frame, excess
        self.shown = []
        columns, rows = np.meshgrid(*(np.arange(side, dtype=np.uint8) for side in frame.view_size))
        self.image = Image.fromarray(np.stack([columns, rows, rows], axis=2))

    def stream(self, request):
        (image,) = request.images
        column, row, _ = image.getpixel((0, 0))
        part = self.frame.window(column, row, *image.size)
        excess = 0 if self.shown else self.excess
        self.shown.append(part)
        box = self.truth.transform(part.between("image", "model"))
        box = OrientedBox(box.x1 - excess, box.y1, box.x2 + excess, box.y2, box.angle)
        yield Chunk(GEOCHAT.write("the car", [box]), "stop", Usage(1, 1))

    def stream_batch(self, requests):
        return one_by_one(self, requests)


def located(engine):
    asked = Request((Message("user", QUESTION),), (engine.image,))
    (region,) = GEOCHAT.parse(SecondLook(engine).generate(asked).text).regions
    return region.box


@given(
    size=st.tuples(st.integers(60, 250), st.integers(60, 250)),
    fit=st.sampled_from(["pad", "crop"]),
    at=st.tuples(st.floats(0.05, 0.95), st.floats(0.05, 0.95)),
    sides=st.tuples(st.floats(6, 12), st.floats(6, 12)),
    angle=st.floats(-44, 45),
)
def test_it_lies_where_the_object_does(size, fit, at, sides, angle):
    """Whatever the image's shape: to half a percent of rounding, which is what writing costs."""
    frame = Frame(size, model=ModelFrame(fit, 100))
    shorter = min(size)
    center = [shorter * (part - 0.5) + side / 2 for part, side in zip(at, size, strict=True)]  # what "crop" shows
    half = [shorter * side / 200 for side in sides]
    truth = OrientedBox(center[0] - half[0], center[1] - half[1], center[0] + half[0], center[1] + half[1], angle)
    engine = Measuring(truth, frame)
    found = located(engine).transform(frame.between("model", "image"))
    assert len(engine.shown) == 2
    percent = max(size) / 100 if fit == "pad" else shorter / 100
    reach = np.hypot(*half) * np.radians(0.5)  # of half a degree
    assert found.polygon().hausdorff_distance(truth.polygon()) <= 1.25 * percent + reach  # of the two looks' rounding


def test_its_surroundings_keep_its_relative_place():
    frame = Frame((200, 100), model=SQUARE)
    truth = OrientedBox(168, 8, 180, 14)
    engine = Measuring(truth, frame)
    located(engine)
    whole, closer = (part.between("image", "view") @ truth.center for part in engine.shown)
    assert whole[0] / 200 == pytest.approx(closer[0] / 120, abs=0.01)
    assert whole[1] / 100 == pytest.approx(closer[1] / 60, abs=0.02)


def test_what_was_measured_badly_is_measured_better():
    truth = OrientedBox(100, 100, 115, 110)  # 40 to 46 and 40 to 44 percent
    engine = Measuring(truth, Frame((250, 250), model=SQUARE), excess=2.0)  # 38 to 48 in the first look
    assert located(engine).iou(OrientedBox(40, 40, 46, 44)) > 0.95


def test_the_regions_score_is_the_second_looks():
    class Scoring(Measuring):
        """As likely as a half in the first look and a tenth in the second, phrases always at one."""

        def stream(self, request):
            (chunk,) = super().stream(request)
            start, logprob = chunk.text.index("{"), np.log(0.5 if len(self.shown) == 1 else 0.1)
            tokens = [TokenScore(0, 3, -9.0), TokenScore(3, start - 5, 0.0), TokenScore(start - 5, start, -9.0)]
            tokens += [TokenScore(at, at + 1, logprob) for at in range(start, len(chunk.text))]
            yield Chunk(chunk.text, "stop", Usage(5, 6), tuple(tokens))

    engine = Scoring(OrientedBox(8, 8, 14, 14), Frame((200, 200), model=SQUARE))
    completion = SecondLook(engine).generate(Request((Message("user", QUESTION),), (engine.image,)))
    (region,) = GEOCHAT.parse(completion.text).regions
    inside = [token for token in completion.tokens if token.start >= region.span[0]]
    assert {token.logprob for token in inside} == {np.log(0.1)}
    assert (inside[0].start, inside[-1].end) == region.span == (15, len(completion.text))
    assert completion.usage == Usage(10, 12)
