"""Review of a layer by a person: a sample of its objects and of windows without objects, on one page.

The page shows them, records a verdict on each and saves the verdicts as JSON, from which `geochat.find.verdicts`
computes figures.
"""

import hashlib
import html
import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geochat.assistant.layers import Skipped, layer_boxes
from geochat.errors import DataError, RegionError
from geochat.exports import VectorLayer, read_vector_layer
from geochat.exports.files import draft_of
from geochat.find.asking import unknown
from geochat.find.looking import scene_colours
from geochat.find.thumbnails import Thumbnails
from geochat.find.windows import Grid, WindowPlan
from geochat.geometry import Frame, OrientedBox
from geochat.imagery import BandChoice, Scene, Stretch, Window
from geochat.journal import read_entries

SAMPLE = 50
"""Objects, and windows without objects, that are reviewed."""


@dataclass(frozen=True)
class Reviewed:
    """The parts of a layer that a review needs.

    Attributes:
        path: The file.
        numbers: Numbers of the features that are objects, from 1.
        boxes: These, in pixels of the scene.
        phrases: Phrase of each; None if the layer has none.
        scores: Scores of each; None where the layer does not say.
        digest: Digest of all geometries, by which verdicts know their layer.
    """

    path: Path
    numbers: tuple[int, ...]
    boxes: tuple[OrientedBox, ...]
    phrases: tuple[str | None, ...]
    scores: tuple[float | None, ...]
    digest: str

    @classmethod
    def read(cls, layer: VectorLayer, scene: Scene) -> "Reviewed":
        """Read the objects of a layer inside a scene; of judged candidates, the kept ones.

        Raises:
            RegionError: The layer cannot be laid on the scene, or holds no object.
        """
        laid = layer_boxes(layer, Frame(scene.size, image_to_map=scene.image_to_map, crs=scene.crs))
        is_object = objects_of(layer)
        chosen = [
            (number, box) for number, box in enumerate(laid) if not isinstance(box, Skipped) and is_object[number]
        ]
        if not chosen:
            raise RegionError(f"{layer.path} holds no object on {scene.name}; review a layer that holds some")
        numbers, boxes = zip(*chosen, strict=True)
        phrases, scores = _texts(layer, "phrase"), scores_of(layer)
        return cls(
            layer.path,
            tuple(number + 1 for number in numbers),
            tuple(boxes),
            tuple(phrases[number] for number in numbers),
            tuple(scores[number] for number in numbers),
            digest_of(layer),
        )


@dataclass(frozen=True)
class LookedAt:
    """The windows of a job with complete results.

    Attributes:
        windows: These.
        bands: Bands that the model saw; "auto" if the job does not state them.
    """

    windows: tuple[Window, ...]
    bands: BandChoice = "auto"

    @classmethod
    def read(cls, folder: Path, scene: Scene) -> "LookedAt":
        """Read the windows of a job's folder.

        Raises:
            DataError: It holds no search, or one of another scene.
        """
        try:
            job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
            plan = _plan(job["windows"])
            bands, kind = tuple(int(band) for band in job["scene"]["bands"]), job["kind"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder} is not the folder of a search ({error}); give --job DIR") from error
        if kind != "find" or plan.size != scene.size:
            told = (
                f"a job of the kind {kind!r}"
                if kind != "find"
                else f"a search of {plan.size[0]} x {plan.size[1]} pixels"
            )
            raise DataError(f"{folder} holds {told}, not a search of {scene.name}; give --job DIR")
        numbers = {entry["number"] for entry in read_entries(folder / "journal") if not unknown(entry)}
        windows = tuple(plan.window(number) for number in sorted(numbers) if number < len(plan))
        return cls(windows, bands)

    def without(self, boxes: Sequence[OrientedBox]) -> list[Window]:
        """Return the windows that no object touches."""
        tree = shapely.STRtree([box.polygon() for box in boxes])
        shapes = _shapes(self.windows)
        return [
            self.windows[number] for number in np.setdiff1d(np.arange(len(shapes)), tree.query(shapes, "intersects")[0])
        ]

    @property
    def area(self) -> float:
        """The area of the union of all windows, in square pixels of the scene."""
        return float(shapely.union_all(_shapes(self.windows)).area)


def write_review(
    path: str | Path,
    layer: VectorLayer | str | Path,
    scene: Scene,
    job: str | Path | None,
    *,
    sample: int = SAMPLE,
    seed: int = 0,
) -> tuple[int, int]:
    """Write the page, a self-contained file.

    Args:
        path: The page.
        layer: The objects, or their file.
        scene: The scene, open.
        job: The folder of the search that found them, from which empty windows are taken; None shows none.
        sample: Objects, and empty windows, at most.
        seed: Seed of the draw, without replacement.

    Returns:
        The number of objects and of empty windows on the page.

    Raises:
        RegionError: The layer cannot be read or laid on the scene, or holds no object.
        DataError: The folder holds no search of the scene.
        ImageError: The scene cannot be read.
        ExportError: The page cannot be written.
    """
    layer = layer if isinstance(layer, VectorLayer) else read_vector_layer(layer)
    objects = Reviewed.read(layer, scene)
    looked = LookedAt(()) if job is None else LookedAt.read(Path(job), scene)
    empty = looked.without(objects.boxes)
    draw = random.Random(seed)
    chosen = sorted(draw.sample(range(len(objects.boxes)), min(sample, len(objects.boxes))))
    windows = sorted(draw.sample(empty, min(sample, len(empty))), key=lambda window: (window.row, window.column))
    bands, stretch = scene_colours(scene, looked.bands, Stretch())
    picture = Thumbnails(scene, bands, stretch)
    review = {
        "review": 1,
        "layer": objects.path.name,
        "layer_digest": objects.digest,
        "scene": scene.name,
        "seed": seed,
        "phrases": sorted({phrase for phrase in objects.phrases if phrase}),
        "objects": len(objects.boxes),
        "looked_at_area": looked.area,
        "empty_windows": len(empty),
        "items": [*_objects(objects, chosen, picture), *_empty(windows, picture)],
    }
    text = json.dumps(review, ensure_ascii=False).replace("<", "\\u003c")  # ends no script
    page = files("geochat.find").joinpath("review.html").read_text(encoding="utf-8")
    page = page.replace("<title>Review", f"<title>Review of {html.escape(objects.path.name)}").replace(
        "REVIEW", text, 1
    )
    with draft_of(Path(path)) as draft:
        draft.write_text(page, encoding="utf-8")
    return len(chosen), len(windows)


def job_of(path: str | Path) -> Path | None:
    """Return the folder in which `geochat find` stores the job of a layer, if it holds a search; else None."""
    path = Path(path)
    folder = path.with_name(f"{path.name}.job")
    try:
        return folder if json.loads((folder / "job.json").read_text(encoding="utf-8"))["kind"] == "find" else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def objects_of(layer: VectorLayer) -> list[bool]:
    """Return whether each feature is an object: a kept one for judged candidates, else any."""
    if "verdict" not in layer.columns:
        return [True] * len(layer)
    return [verdict == "kept" for verdict in layer.columns["verdict"].tolist()]


def scores_of(layer: VectorLayer) -> list[float | None]:
    """Return the column "score"; None for features without one."""
    if "score" not in layer.columns:
        return [None] * len(layer)
    values = layer.columns["score"].tolist()
    return [float(value) if _is_number(value) else None for value in values]


def digest_of(layer: VectorLayer) -> str:
    """Return a hash of a layer's geometries."""
    digest = hashlib.sha256()
    for geometry in layer.geometries:
        digest.update(b"" if geometry is None else shapely.to_wkb(geometry))
    return digest.hexdigest()


def _objects(objects: Reviewed, chosen: Sequence[int], pictures: Thumbnails) -> Iterator[dict[str, Any]]:
    for place in chosen:
        box = objects.boxes[place]
        yield {
            "kind": "object",
            "number": objects.numbers[place],
            "phrase": objects.phrases[place],
            "score": objects.scores[place],
            "verdict": None,
            "thumbnail": pictures.url(pictures.around(box), box),
        }


def _empty(windows: Sequence[Window], pictures: Thumbnails) -> Iterator[dict[str, Any]]:
    for window in windows:
        yield {
            "kind": "empty",
            "window": list(window),
            "verdict": None,
            "missed": 0,
            "thumbnail": pictures.url(window),
        }


def _plan(windows: dict[str, Any]) -> WindowPlan:
    """Return the windows of a job by number."""
    size = int(windows["scene"][0]), int(windows["scene"][1])
    grids = []
    for each in windows["grids"]:
        (width, height), (across, down) = each["window"], each["overlap"]
        grids.append(Grid(size, (width, height), (width - across, height - down)))
    return WindowPlan(tuple(grids))


def _shapes(windows: Sequence[Window]) -> np.ndarray:
    bounds = np.array([window.bounds for window in windows], float).reshape(-1, 4)
    return np.asarray(shapely.box(*bounds.T))


def _texts(layer: VectorLayer, name: str) -> list[str | None]:
    if name not in layer.columns:
        return [None] * len(layer)
    return [None if value is None else str(value) for value in layer.columns[name].tolist()]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
