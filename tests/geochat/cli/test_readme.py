"""The README's commands, to the letter."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geochat.cli import main

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
COMMANDS = [line for line in README.splitlines() if line.startswith("geochat ask ")]


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, bands, width, height in (("scene.tif", 3, 400, 300), ("large.tif", 4, 6000, 4000)):
        profile = {"width": width, "height": height, "count": bands, "dtype": "uint8", "tiled": True}
        with rasterio.open(name, "w", driver="GTiff", compress="deflate", crs="EPSG:32631", **profile) as target:
            target.write(np.full((bands, height, width), 90, np.uint8))


def test_there_are_some():
    assert len(COMMANDS) > 4


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.usefixtures("images")
@pytest.mark.parametrize("command", COMMANDS)
def test_it_works_and_writes_what_it_names(answering, capsys, command):
    engine = answering("a plane {<10><30><30><40>|<90>}")
    words = shlex.split(command)
    assert main(words[1:]) == 0
    assert len(engine.requests) == 1
    captured = capsys.readouterr()
    assert "plane" in captured.out
    assert captured.err == ""
    targets = [words[place + 1] for place, word in enumerate(words) if word in ("--overlay", "--geojson")]
    assert all(Path(target).is_file() for target in targets)
