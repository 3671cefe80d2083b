"""Objects as detections of supervision, and a model as a detector of SAHI, with these packages themselves."""

import sys
import warnings

import numpy as np
import pytest

from geochat.errors import SettingsError

SHIPS = np.array([[100, 100, 160, 130, 0], [300, 330, 370, 350, 30], [480, 400, 560, 430, -45]], float)
TANKS = np.array([[40, 400, 80, 440, 0]], float)


@pytest.fixture
def sv():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        return pytest.importorskip("supervision", reason="needs supervision (pip install 'geochat[supervision]')")


@pytest.fixture
def sahi():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        return pytest.importorskip("sahi.predict", reason="needs sahi (pip install 'geochat[sahi]')")


def test_objects_are_detections(sv, coded, oracle):
    from geochat.find.supervision import to_supervision

    found = list(oracle({"ship": SHIPS, "tank": TANKS}).find(coded(640, 480), ["ship", "tank"], window=256))
    detections = to_supervision(found, ["tank", "ship"])
    assert len(detections) == 4
    assert sorted(detections.class_id.tolist()) == [0, 1, 1, 1]
    assert sorted(detections["class_name"].tolist()) == ["ship"] * 3 + ["tank"]
    assert detections.confidence == pytest.approx(np.full(4, np.exp(-0.1)))
    corners = detections.data[sv.config.ORIENTED_BOX_COORDINATES]
    assert corners.shape == (4, 4, 2)
    for each, rectangle, four in zip(found, detections.xyxy, corners, strict=True):
        assert rectangle == pytest.approx(each.polygon.bounds, abs=1e-3)
        assert four == pytest.approx(np.array(each.box.corners()), abs=1e-3)
    assert detections.area == pytest.approx([each.box.area for each in found], rel=1e-4)  # of the oriented boxes
    with pytest.raises(SettingsError, match="'ship' is not among"):
        to_supervision(found, ["tank"])


def test_supervision_annotates_and_suppresses_them(sv, coded, oracle):
    from geochat.find.supervision import to_supervision

    pixels = coded(640, 480)
    detections = to_supervision(oracle({"ship": SHIPS}).find(pixels, ["ship"], window=256))
    twice = sv.Detections.merge([detections, detections])
    assert len(twice.with_nms(0.5)) == 3
    drawn = sv.OrientedBoxAnnotator().annotate(pixels.copy(), detections)
    assert (drawn != pixels).any()


def test_nothing_found_is_no_detection(sv):
    from geochat.find.supervision import to_supervision

    detections = to_supervision([])
    assert len(detections) == 0
    assert detections.data[sv.config.ORIENTED_BOX_COORDINATES].shape == (0, 4, 2)


def test_sahi_slices_for_the_model(sahi, coded, oracle):
    from geochat.find.sahi import GeoChatDetectionModel

    engine = oracle({"ship": SHIPS, "tank": TANKS}).engine
    detector = GeoChatDetectionModel(["ship", "tank"], model=engine, device="cpu", confidence_threshold=0.5)
    result = sahi.get_sliced_prediction(
        coded(640, 480), detector, slice_height=256, slice_width=256, overlap_height_ratio=0.4,
        overlap_width_ratio=0.4, verbose=0,
    )  # fmt: skip
    found = result.object_prediction_list
    assert sorted(each.category.name for each in found) == ["ship"] * 3 + ["tank"]
    assert all(each.score.value == pytest.approx(np.exp(-0.1)) for each in found)
    tank = next(each for each in found if each.category.id == 1)
    assert tank.bbox.to_xyxy() == pytest.approx([40, 400, 80, 440], abs=1)
    assert len(engine.asked) == 2 * (12 + 1)  # slices, and the whole image at once
    assert len(sahi.get_prediction(coded(200, 200), detector).object_prediction_list) == 1


def test_sahi_leaves_out_low_scores(sahi, coded, oracle):
    from geochat.find.sahi import GeoChatDetectionModel

    engine = oracle({"ship": SHIPS}).engine
    detector = GeoChatDetectionModel(["ship"], model=engine, device="cpu", confidence_threshold=0.95)
    assert sahi.get_prediction(coded(200, 200), detector).object_prediction_list == []


def test_without_supervision_the_extra_is_named(monkeypatch):
    from geochat.find.supervision import to_supervision

    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(SettingsError, match=r"geochat\[supervision\]"):
        to_supervision([])
