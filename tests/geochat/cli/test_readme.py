"""The commands of the README and of docs/ask.md, to the letter."""

import shlex
import shutil
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine

from geochat.cli import main

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "docs" / "ask.md"]
COMMANDS = [
    line.partition("#")[0].strip()
    for page in PAGES
    for line in page.read_text(encoding="utf-8").splitlines()
    if line.startswith("geochat ask ")
]
TARGETS = ("--overlay", "--geojson", "--geopackage", "--table")
SMALL, LARGE = (3, 400, 300), (4, 6000, 4000)  # bands, width, height


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The files that the commands name."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "tiles").mkdir()
    names = ("scene.tif", "tiles/a.tif", "tiles/b.tif", "large.tif")
    for name, bands, width, height in ((name, *LARGE) if name == "large.tif" else (name, *SMALL) for name in names):
        profile = {"width": width, "height": height, "count": bands, "dtype": "uint8", "tiled": True}
        place = {"crs": "EPSG:32631", "transform": Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)}
        with rasterio.open(folder / name, "w", driver="GTiff", compress="deflate", **place, **profile) as target:
            target.write(np.full((bands, height, width), 90, np.uint8))
    field = shapely.box(500_010, 4_999_900, 500_060, 4_999_950)
    pyogrio.raw.write(
        folder / "fields.gpkg", shapely.to_wkb([field]), [], [], crs="EPSG:32631", geometry_type="Polygon"
    )
    return folder


@pytest.fixture
def images(written, tmp_path, monkeypatch):
    """A working directory with those files."""
    monkeypatch.chdir(shutil.copytree(written, tmp_path / "here"))


def test_there_are_some():
    assert len(COMMANDS) > 4


@pytest.mark.usefixtures("images")
@pytest.mark.parametrize("command", COMMANDS)
def test_it_works_and_writes_what_it_names(answering, capsys, command):
    engine = answering(*["a plane {<10><30><30><40>|<90>}"] * 3)
    words = shlex.split(command)
    assert main(words[1:]) == 0
    assert engine.requests
    captured = capsys.readouterr()
    assert "plane" in captured.out
    assert all(line.startswith("geochat: note: ") for line in captured.err.splitlines())
    targets = [words[place + 1] for place, word in enumerate(words) if word in TARGETS]
    assert all(Path(target).exists() for target in targets)
