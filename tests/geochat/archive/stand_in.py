"""A model that boxes the bright rectangle of a window, and scenes with such rectangles; for workers, too."""

import json
import os
import time
import warnings
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning

from geochat.engines import Chunk, TokenScore, Usage, complete, one_by_one
from geochat.geometry import Frame, OrientedBox
from geochat.models import Capabilities, ModelInfo, Settings


class Bright:
    """An engine that boxes what is bright; `seconds` pass before each answer, and `log` gets a line for each."""

    def __init__(self, seconds=0.0, log=None):
        self.seconds, self.log = seconds, log
        self.info = ModelInfo(Settings(name="bright"), 256, 16, None, Capabilities(logprobs=True), (), "0" * 64)

    def stream(self, request):
        time.sleep(self.seconds)
        if self.log is not None:
            with Path(self.log).open("a") as file:
                file.write(f"{os.getpid()}\n")
        text = self.answer(np.asarray(request.images[0])[..., 0] > 128, request.images[0].size)
        yield Chunk(text)
        scores = [TokenScore(place, place + 1, -0.1) for place in range(len(text))]
        yield Chunk("", "stop", Usage(7, len(text)), tuple(scores))

    def answer(self, bright, size):
        if not bright.any():
            return "There is none."
        rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
        box = OrientedBox(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1), 0.0)
        return self.info.dialect.write(
            "ship", [box.transform(Frame(size, model=self.info.frame).between("view", "model"))]
        )

    def generate(self, request):
        return complete(self.stream(request))

    def stream_batch(self, requests):
        return one_by_one(self, requests)

    def cancel(self, request_id):
        """Answers are whole at once."""


def write_scene(path, size=(100, 100), boxes=((20, 30, 40, 50),), crs="EPSG:32631", place=(0, 0)):
    """Write a scene that is dark but for boxes (left, top, right, bottom)."""
    pixels = np.full((3, size[1], size[0]), 20, np.uint8)
    for left, top, right, bottom in boxes:
        pixels[:, top:bottom, left:right] = 240
    step = 1e-5 if crs == "EPSG:4326" else 0.5
    origin = (
        (3 + place[0] * 0.01, 41 - place[1] * 0.01)
        if crs == "EPSG:4326"
        else (500_000 + place[0], 4_600_000 - place[1])
    )
    options = {} if crs is None else {"crs": crs, "transform": Affine(step, 0, origin[0], 0, -step, origin[1])}
    tiles = {"compress": "deflate", "tiled": True, "blockxsize": 64, "blockysize": 64}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", "GTiff", *size, 3, dtype="uint8", **tiles, **options) as target:
            target.write(pixels)
    return path


def rows(folder):
    """The rows of a dataset in canonical order, as plain values."""
    import pyarrow.parquet as pq

    found = []
    for part in sorted((folder / "dataset").glob("scene=*/*.parquet")):
        for row in pq.ParquetFile(part).read().to_pylist():
            found.append(
                (
                    part.parent.name,
                    json.dumps({**row, "geometry": (row["geometry"] or b"").hex(), "score": 0}),
                    row["score"],
                )
            )
    return found


def windows(folder):
    """How often each window of each scene is recorded, as (scene, window)."""
    return [
        (journal.parts[-3], json.loads(line)["number"])
        for journal in sorted((folder / "scenes").glob("*/journal/*.jsonl"))
        for line in journal.read_text().splitlines()
    ]
