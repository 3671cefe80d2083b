import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from geochat.vision import build_image_processor


def pixel_hash(image: Image.Image, fit: str) -> str:
    values = build_image_processor(504, fit)(image, return_tensors="np")["pixel_values"][0]
    assert values.dtype == np.float32
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_pixels_are_bit_equal_with_the_original(fixtures, fit):
    recorded = json.loads((fixtures / "original.json").read_text())["pixel_values_sha256"]
    with Image.open(fixtures / "synthetic_333x201.png") as image:
        assert pixel_hash(image.convert("RGB"), fit) == recorded[fit]


def test_pixels_are_bit_equal_with_the_original_on_photographs(shared):
    reference = shared / "reference/original"
    recorded = json.loads((reference / "pixel_values.json").read_text())
    assert recorded
    for case, values in recorded.items():
        name, fit = case.rsplit(".", 1)
        with Image.open(reference / "images" / f"{name}.png") as image:
            assert pixel_hash(image.convert("RGB"), fit) == values["sha256_f32"], case
