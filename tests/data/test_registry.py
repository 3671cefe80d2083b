"""Readers of others: registered by a program, or offered by an installed package, and read by the command line."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from geochat.errors import DataError, SettingsError
from geochat.geometry import OrientedBox
from geochat_data.readers import READERS, DataSource, read

EXAMPLE = re.search(
    r"```python\n(.*?)```", (Path(__file__).parents[2] / "data" / "README.md").read_text(encoding="utf-8"), re.DOTALL
)[1]


@pytest.fixture
def labels(folder):
    """Labels in the format of the README's reader, one line of them malformed."""
    folder.picture("a.png")
    return folder.text("labels.csv", "a.png,ship,10,10,30,40\na.png,ship\n")


@pytest.fixture
def mine():
    """The README's reader, registered."""
    exec(EXAMPLE, {})
    yield
    READERS.unregister("mine")


@pytest.mark.usefixtures("mine")
def test_the_reader_of_the_readme_works(labels):
    source = DataSource(labels)
    (image,) = read("mine", source)
    assert image.objects[0].box.iou(OrientedBox(10, 10, 30, 40)) == pytest.approx(1)
    assert source.report.places == {"malformed line": [f"{labels}:2"]}
    assert image.labelled == frozenset()


@pytest.mark.usefixtures("mine")
def test_a_registered_reader_is_accepted_by_the_command_line(labels, geochat_data):
    assert geochat_data("build", "mine", labels, "--out", labels.with_name("train.json")) == 0
    assert "ship" in labels.with_name("train.json").read_text()


def test_a_reader_of_an_installed_package_is_accepted_by_the_command_line(labels, folder):
    (folder / "my_package").mkdir()
    (folder / "my_package" / "readers.py").write_text(EXAMPLE)
    information = folder / "my_package-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[geochat.readers]\nmine = my_package.readers:read_mine\n")
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    build = [sys.executable, "-m", "geochat", "data", "build", "mine", str(labels), "--out", str(folder / "train.json")]
    ended = subprocess.run(build, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert all(row["image"] == "a.png" for row in json.loads((folder / "train.json").read_text()))


def test_a_reader_without_images_is_an_error():
    READERS.register("nothing", lambda _source: iter(()))
    with pytest.raises(DataError, match="holds no usable image"):
        list(read("nothing", DataSource(Path())))
    READERS.unregister("nothing")


def test_an_unknown_reader_is_refused_with_the_known_ones(labels, geochat_data, capsys):
    with pytest.raises(SettingsError, match=r"no reader is called 'nonesuch'; choose one of boxes, coco"):
        read("nonesuch", DataSource(labels))
    with pytest.raises(SystemExit):
        geochat_data("build", "nonesuch", labels, "--out", labels.with_name("train.json"))
    assert "'nonesuch' (choose from 'boxes', 'coco'" in capsys.readouterr().err
