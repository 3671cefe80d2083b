"""Photographs of the same ground are found, look-alikes are not, and the lists made from them are sound."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from geochat.errors import SettingsError
from geochat_data.duplicates import find_overlaps
from geochat_data.readers import read_ucm
from geochat_data.splits import read_list


def test_a_shifted_copy_is_found_and_nothing_else(tmp_path):
    rng = np.random.default_rng(0)
    blobs = Image.fromarray(rng.integers(0, 255, (50, 50, 3), np.uint8)).resize((500, 500))
    ground = np.asarray(blobs)
    files = {"a": (0, 0), "b": (150, 30), "c": (244, 244)}
    for name, (x, y) in files.items():
        Image.fromarray(ground[y : y + 256, x : x + 256]).save(tmp_path / f"{name}.png")
    paths = [tmp_path / f"{name}.png" for name in files]
    found = {(o.first.stem, o.second.stem): o for o in find_overlaps(paths, paths)}
    assert set(found) == {("a", "b"), ("b", "a"), ("b", "c"), ("c", "b")}
    assert (found["a", "b"].dx, found["a", "b"].dy) == (150, 30)
    assert found["a", "b"].shared == pytest.approx(106 * 226 / 256**2, abs=0.01)
    assert found["a", "b"].difference < 1


def test_known_pairs_and_known_lookalikes(shared):
    ucm = shared / "imagery" / "ucm"
    test = [ucm / "test" / "airplane" / f"airplane{n}.jpg" for n in (76, 90, 98)]
    train = [ucm / "train" / "airplane" / f"airplane{n}.jpg" for n in (75, 91, 97, 72, 40)]
    found = {(o.first.stem, o.second.stem) for o in find_overlaps(test, train)}
    assert found == {("airplane76", "airplane75"), ("airplane90", "airplane91"), ("airplane98", "airplane97")}
    rows = [ucm / "test" / "runway" / "runway77.jpg", ucm / "test" / "tenniscourt" / "tenniscourt27.jpg"]
    like = [ucm / "train" / "runway" / "runway75.jpg", ucm / "train" / "tenniscourt" / "tenniscourt26.jpg"]
    assert find_overlaps(rows, like) == []


def test_nothing_to_compare():
    assert find_overlaps([], []) == []


def test_lists_name_training_photographs_and_no_test_ones(shared):
    train = {i.path.name: i.scene for i in read_ucm(shared / "imagery" / "ucm", "train")}
    test = {i.path.name for i in read_ucm(shared / "imagery" / "ucm", "test")}
    overlap, validation = read_list("ucm_overlap"), read_list("ucm_val")
    assert (overlap | validation) <= train.keys()
    assert not (overlap | validation) & test
    assert not overlap & validation
    assert {f"airplane{n}.jpg" for n in (68, 75, 91, 97)} <= overlap
    per_class = Counter(train[name] for name in validation)
    assert len(per_class) == 21
    assert set(per_class.values()) == {8}


def test_unknown_list():
    with pytest.raises(SettingsError, match="secret"):
        read_list("secret")
