"""`scripts/corpus` says what became of each file of a folder: also of a file that ends or holds up the process."""

import importlib.machinery
import importlib.util
import json
import struct
import subprocess
import sys
import warnings
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

SCRIPT = Path(__file__).parents[3] / "scripts" / "corpus"
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def corpus():
    """The script as a module."""
    loader = importlib.machinery.SourceFileLoader("corpus", str(SCRIPT))
    spec = importlib.util.spec_from_loader("corpus", loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules["corpus"] = module
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        loader.exec_module(module)
        yield module
    finally:
        sys.dont_write_bytecode = before
        del sys.modules["corpus"]


def png_of(width, height):
    """A PNG that claims a size its data do not have."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def make_nasty(folder):
    """Files of every kind that opens, and of many that should not; returns how many are images."""
    noise = RNG.integers(0, 256, (90, 120, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    for suffix in ("png", "jpg", "webp", "bmp", "tif", "jp2"):
        picture.save(folder / f"good.{suffix}")
    exif = Image.Exif()
    exif[274] = 6
    picture.save(folder / "turned.jpg", exif=exif)
    picture.quantize(16).save(folder / "palette.png", transparency=3)
    picture.convert("CMYK").save(folder / "inks.jpg")
    picture.convert("RGBA").save(folder / "alpha.tif")
    deep = RNG.integers(0, 5000, (3, 90, 120), dtype=np.uint16)
    size = {"driver": "GTiff", "count": 3, "height": 90, "width": 120}
    with warnings.catch_warnings(action="ignore"):
        with rasterio.open(folder / "deep.tif", "w", dtype="uint16", **size) as file:
            file.write(deep)
        with rasterio.open(folder / "float.tif", "w", dtype="float32", **size) as file:
            file.write(np.where(deep < 40, np.nan, deep).astype(np.float32))
    good = len(list(folder.iterdir()))
    for path in list(folder.glob("good.*")):
        content = path.read_bytes()
        (folder / f"cut{path.suffix}").write_bytes(content[: len(content) // 2])
        (folder / f"header{path.suffix}").write_bytes(content[:24])
        for number in range(3):
            damaged = bytearray(content)
            for place in RNG.integers(0, len(content), 20):
                damaged[place] = RNG.integers(0, 256)
            (folder / f"damaged{number}{path.suffix}").write_bytes(damaged)
    (folder / "bomb.png").write_bytes(png_of(200_000, 200_000))
    (folder / "empty.tif").write_bytes(b"")
    (folder / "page.html").write_text("<html>not found</html>")
    (folder / "other.vrt").write_text("<VRTDataset rasterXSize='1' rasterYSize='1'/>")
    (folder / "latin\udce9.png").write_bytes((folder / "good.png").read_bytes())
    return good


def test_a_folder_of_nasty_files(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    good = make_nasty(folder)
    rows_file = tmp_path / "rows.jsonl"
    command = [sys.executable, str(SCRIPT), str(folder), "--rows", str(rows_file), "--seconds", "60"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in rows_file.read_text().splitlines()]
    outcomes = Counter(row["outcome"] for row in rows)
    assert set(outcomes) == {"opened", "refused", "no image"}
    assert outcomes["opened"] >= good + 1
    assert outcomes["no image"] == 2
    whole = [row for row in rows if Path(row["path"]).stem in {"good", "turned", "palette", "inks", "alpha", "deep"}]
    assert {row["colours"] for row in whole} == {"same"}
    assert max(row["megabytes"] for row in rows) < 500
    last = [line for line in done.stdout.splitlines() if line.startswith("| all |")]
    assert last[0].split("|")[2].strip() == str(len(rows))


CHILD = """
import json, os, sys, time
for line in sys.stdin:
    name = os.path.basename(json.loads(line))
    if name == "hangs":
        time.sleep(60)
    if name == "crashes":
        os.abort()
    print(json.dumps({"outcome": "opened", "seconds": 0.1, "megabytes": 1}), flush=True)
    if name == "reference-hangs":
        time.sleep(60)
    print(json.dumps({"colours": "same"}), flush=True)
"""


def test_what_ends_or_holds_up_a_child_is_told_and_the_rest_goes_on(corpus, tmp_path):
    names = ["a", "crashes", "b", "hangs", "c", "reference-hangs", "d"]
    limits = corpus.Limits(seconds=1)
    rows = list(corpus.examine([tmp_path / name for name in names], limits, [sys.executable, "-IS", "-c", CHILD]))
    found = {Path(row["path"]).name: row for row in rows}
    assert [found[name]["outcome"] for name in ("a", "b", "c", "d")] == ["opened"] * 4
    assert found["crashes"]["outcome"] == "crash"
    assert found["hangs"]["outcome"] == "hang"
    assert found["reference-hangs"]["outcome"] == "opened"
    assert found["reference-hangs"]["colours"] == "no reference"
    lines = corpus.table(rows).splitlines()
    assert any(line.startswith("- crash:") for line in lines)
    assert any(line.startswith("- hang:") for line in lines)


def test_more_memory_than_allowed_is_refused(tmp_path):
    Image.new("RGB", (5000, 5000)).save(tmp_path / "large.png")
    command = [sys.executable, str(SCRIPT), str(tmp_path), "--memory", "60"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    row = done.stdout.splitlines()[2].split("|")
    assert (row[3].strip(), row[4].strip()) == ("0", "1"), done.stdout
