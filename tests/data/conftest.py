"""Fixtures of the data room: folders of labelled images, painted and rendered images, the command line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from geochat.cli import build_parser
from geochat_data.records import LabelledImage, LabelledObject
from geochat_data.synthetic import OBJECT_CATEGORIES, render_scene

_PAINTS = {
    "white": (240, 240, 238), "black": (20, 22, 20), "gray": (128, 130, 126), "red": (190, 30, 30),
    "green": (60, 140, 60), "blue": (50, 80, 170), "yellow": (220, 200, 50), "brown": (110, 70, 40),
}  # fmt: skip


class Folder(type(Path())):
    """A folder in which one call writes an image or a text file, and the folders above it."""

    def picture(self, name, size=(100, 80), colour="white"):
        path = self / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, colour).save(path)
        return path

    def text(self, name, content):
        path = self / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture(scope="session")
def painted():
    """A function that draws an image of rectangles: (category, colour, x, y, width, height)."""

    def draw(*rows, size=300, ignore=()):
        canvas = Image.new("RGB", (size, size), (90, 110, 80))
        made = []
        for category, colour, x, y, width, height in (*rows, *ignore):
            corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
            ImageDraw.Draw(canvas).polygon(corners, fill=_PAINTS[colour])
            made.append(LabelledObject(category, corners))
        objects, ignored = tuple(made[: len(rows)]), tuple(made[len(rows) :])
        return LabelledImage(
            None, size, size, objects, ignored, labelled=OBJECT_CATEGORIES, pixels=np.asarray(canvas), scene="airplane"
        )

    return draw


@pytest.fixture(scope="session")
def scenes():
    """Eighteen synthetic scenes."""
    return [render_scene(seed, 128) for seed in range(18)]


@pytest.fixture(scope="session")
def geochat_data():
    """A function that runs `geochat data` in this process and returns its exit status."""

    def run(*argv):
        args = build_parser().parse_args(["data", *map(str, argv)])
        return args.run(args)

    return run
