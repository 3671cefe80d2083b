"""Numbers of all frames over images that are not square."""

import ast
import importlib.util
import math
import random
from pathlib import Path

import pytest

from geochat.errors import SettingsError
from geochat.geometry import Frame, ModelFrame
from geochat.geometry.frame import SmartResize

_SMALL = SmartResize(max_pixels=392 * 784)


@pytest.fixture(scope="module")
def theirs():
    """`smart_resize` of transformers, whose module imports only beside torchvision."""
    package = importlib.util.find_spec("transformers")
    assert package is not None
    assert package.origin is not None
    file = Path(package.origin).parent / "models/qwen2_vl/image_processing_qwen2_vl.py"
    if not file.is_file():
        pytest.skip("this transformers keeps smart_resize elsewhere")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "smart_resize")
    namespace = {"math": math}
    exec(compile(ast.Module([function], []), str(file), "exec"), namespace)
    return namespace["smart_resize"]


def test_images_are_resized_as_transformers_does(theirs):
    rng = random.Random(0)
    for _ in range(3000):
        width, height = rng.randint(1, 9000), rng.randint(1, 9000)
        if max(width, height) > 200 * min(width, height):
            continue  # refused there
        factor, bounds = rng.choice((28, 32)), rng.choice(((3136, 12_845_056), (65_536, 1_003_520)))
        assert SmartResize(factor, *bounds)((width, height)) == theirs(height, width, factor, *bounds)[::-1]


@pytest.mark.parametrize(
    ("frame", "size", "numbers", "pixels"),
    [
        (ModelFrame("image", scale=1000), (400, 200), (500, 500), (200, 100)),
        (ModelFrame("image", scale=999), (400, 200), (999, 999), (400, 200)),
        (ModelFrame("image", scale=1023), (400, 200), (1023, 0), (400, 0)),
        (ModelFrame("image", scale=1000, bins=True), (400, 200), (0, 999), (0.2, 199.9)),
        (ModelFrame("image", scale=1), (400, 200), (0.25, 0.75), (100, 150)),
        (ModelFrame("pad", scale=1), (400, 200), (0.5, 0.5), (200, 100)),
        (ModelFrame("pad", scale=1), (400, 200), (0, 0.25), (0, 0)),
        (ModelFrame("crop", 336, scale=100), (400, 200), (0, 0), (100, 0)),
        (ModelFrame("resize", scale=None), (1000, 700), (1008, 700), (1000, 700)),
        (ModelFrame("resize", scale=None, resize=_SMALL), (4000, 2000), (392, 196), (2000, 1000)),
        (ModelFrame("shrink", 1024, scale=None), (2048, 512), (512, 128), (1024, 256)),
        (ModelFrame("shrink", 1024, scale=None), (300, 200), (300, 200), (300, 200)),
    ],
)  # fmt: skip
def test_a_number_has_its_place(frame, size, numbers, pixels):
    to_view = Frame(size, model=frame).model_to_view
    assert to_view @ numbers == pytest.approx(pixels)
    assert ~to_view @ pixels == pytest.approx(numbers)


@pytest.mark.parametrize(
    ("frame", "shown", "extent"),
    [
        (ModelFrame(), (400, 200), (100, 100)),
        (ModelFrame("image", scale=1000), (400, 200), (1000, 1000)),
        (ModelFrame("resize", scale=None), (392, 196), (392, 196)),
        (ModelFrame("shrink", 100, scale=None), (100, 50), (100, 50)),
    ],
)
def test_what_is_sent_is_not_resized_again(frame, shown, extent):
    assert frame.shown_size((400, 200)) == shown
    assert frame.shown_size(shown) == shown
    assert frame.extent((400, 200)) == extent


@pytest.mark.parametrize(
    "frame",
    [
        {"fit": "stretch"},
        {"fit": "shrink"},
        {"fit": "crop", "size": 0},
        {"fit": "pad", "scale": None},
        {"fit": "image", "scale": -1},
    ],
)
def test_an_impossible_frame_is_refused(frame):
    with pytest.raises(SettingsError, match=r"fit=|scale="):
        ModelFrame(**frame)


def test_an_impossible_resizing_is_refused():
    with pytest.raises(SettingsError, match="resizing rule"):
        SmartResize(28, 100, 50)
