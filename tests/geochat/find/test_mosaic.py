"""A mosaic of 8,000 x 8,000 pixels on which every object is known."""

import numpy as np
import pytest

from geochat.imagery import Scene

SIDE = 8000


@pytest.fixture(scope="module")
def mosaic(coded):
    with Scene.open(coded(SIDE, SIDE)) as scene:
        yield scene


@pytest.fixture(scope="module")
def known(truth):
    """Objects at the borders and corners of the scene and of windows, alone and in rows; then long ones, and others."""
    rng = np.random.default_rng(8)
    spans = (0, SIDE / 2 - 40, SIDE - 80)
    placed = [(x, y, x + 80, y + 40, 0) for x in spans for y in (*spans[:2], SIDE - 40)]
    edges = [
        (x - 30, y - 12, x + 30, y + 12, 30) for x in (384, 512, 460, 640, 7360) for y in (768, 896, 920, 1100, 7540)
    ]
    longer = truth.scatter(rng, (SIDE, SIDE), ((600, 3000), (20, 60)), 60, [*placed, *edges])
    return truth.scatter(rng, (SIDE, SIDE), ((15, 120), (10, 90)), 900, longer)


@pytest.mark.slow
@pytest.mark.parametrize(("window", "overlap"), [(512, 128), (640, 180), (1000, 0.2)])
def test_precision_and_recall_are_one(oracle, mosaic, known, truth, window, overlap):
    finding = oracle({"ship": known}).find(mosaic, "ship", window=window, overlap=overlap)
    found = np.array([(box.x1, box.y1, box.x2, box.y2, box.angle) for box in (each.box for each in finding)])
    truth.require_each_once(found, known, 0.9)


@pytest.mark.slow
def test_whole_percents_do(oracle, mosaic, known, truth):
    large = known[np.minimum(known[:, 2] - known[:, 0], known[:, 3] - known[:, 1]) >= 20]
    finding = oracle({"ship": large}, dialect="geochat").find(mosaic, "ship", window=512, overlap=150)
    found = np.array([(box.x1, box.y1, box.x2, box.y2, box.angle) for box in (each.box for each in finding)])
    truth.require_each_once(found, large, 0.4)


@pytest.mark.slow
def test_two_sizes_and_the_whole_image(oracle, mosaic, known, truth):
    large = known[np.minimum(known[:, 2] - known[:, 0], known[:, 3] - known[:, 1]) >= 20]
    finding = oracle({"ship": large}).find(mosaic, "ship", window=512, overlap=128, scales=(1, 2))
    found = np.array([(box.x1, box.y1, box.x2, box.y2, box.angle) for box in (each.box for each in finding)])
    truth.require_each_once(found, large, 0.9)
