"""What a user takes away: the boxes as a picture, GeoJSON, GeoPackage and CSV, and the conversation as text.

Files are made in memory when they are asked for and sent to the page that asked. All regions of the answers that are
shown go into one file, in pixels of the whole image and numbered through: those found, and those asked about with the
answer as attribute. What lies beyond the image is cut off; what the model wrote stands beside it.
"""

import base64
import csv
import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geochat import __version__
from geochat.assistant.table import as_words
from geochat.errors import ExportError
from geochat.exports import (
    GroundedRegion,
    box_numbers,
    draw,
    to_geojson,
    write_geojson,
    write_geopackage,
    write_picture,
)
from geochat.geometry import to_geographic
from geochat_serve.open_scene import OpenScene
from geochat_serve.saved import to_json, to_markdown
from geochat_serve.sessions import Session
from geochat_serve.turns import Turn

_PICTURE_SIDE = 4096


@dataclass(frozen=True)
class Download:
    """A file for the browser to save."""

    name: str
    media_type: str
    content: bytes

    def to_dict(self) -> dict[str, str]:
        """JSON-ready, the content in base64."""
        return {"name": self.name, "type": self.media_type, "content": base64.b64encode(self.content).decode()}


@dataclass(frozen=True)
class Shown:
    """The answers that are shown, over the whole image.

    Attributes:
        scene: The image.
        regions: What is exported, oldest answer first, and the turn of each.
        provenance: Where they came from.
    """

    scene: OpenScene
    regions: tuple[tuple[Turn, GroundedRegion], ...]
    provenance: Mapping[str, Any]

    @property
    def crs(self) -> str | None:
        """The CRS of the regions' map coordinates."""
        return self.scene.image.place.map_crs

    @property
    def features(self) -> list[GroundedRegion]:
        """The regions without their turns."""
        return [region for _, region in self.regions]


def make_download(kind: str, session: Session, hidden: Sequence[int]) -> Download:
    """The file of a kind of `KINDS`.

    Args:
        kind: Which.
        session: Whose.
        hidden: Turns whose boxes are not shown.

    Raises:
        ExportError: There is nothing to put into it.
    """
    if session.scene is None:
        raise ExportError("no image is open; open one first")
    if kind == "training":
        return Download("geochat-kept.zip", "application/zip", session.kept.archive())
    suffix, media_type, make = KINDS[kind]
    stem = Path(session.scene.name).stem or "image"
    return Download(f"{stem}-geochat{suffix}", media_type, make(session, hidden))


def shown(session: Session, hidden: Sequence[int]) -> Shown:
    """The regions that are shown.

    Raises:
        ExportError: There is none.
    """
    if session.scene is None:
        raise ExportError("no image is open; open one first")
    turns = [turn for turn in session.turns if turn.id not in hidden]
    regions = tuple((turn, region) for turn in turns for region in turn.features)
    answered = list(dict.fromkeys(turn for turn, _ in regions))
    answers = [turn.answer for turn in answered if turn.answer is not None]
    if not answers:
        raise ExportError("no boxes are shown; ask for some, or show an answer's boxes")
    provenance = {
        **answers[0].provenance,
        "software": f"geochat {__version__}",
        "image": session.scene.name,
        "question": "; ".join(turn.question or turn.task for turn in answered),
        "task": "; ".join(dict.fromkeys(answer.task.value for answer in answers)),
        "prompt": "; ".join(answer.prompt for answer in answers),
        "window": list(session.scene.image.window),
        "corrected": [turn.id for turn in answered if turn.correction is not None],
    }
    return Shown(session.scene, regions, provenance)


def _picture(session: Session, hidden: Sequence[int]) -> bytes:
    found = shown(session, hidden)
    view = found.scene.view(found.scene.image.window, _PICTURE_SIDE)
    picture = draw(view.pil(), found.features, view.frame)
    return _written(".png", lambda path: write_picture(path, picture, found.provenance))


def _geojson(session: Session, hidden: Sequence[int]) -> bytes:
    found = shown(session, hidden)
    document = to_geojson(found.features, found.crs, found.provenance)
    return _written(".geojson", lambda path: write_geojson(path, document))


def _geopackage(session: Session, hidden: Sequence[int]) -> bytes:
    found = shown(session, hidden)
    return _written(".gpkg", lambda path: write_geopackage(path, found.features, found.crs, found.provenance))


def _written(suffix: str, write: Callable[[Path], Path]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="geochat-export-") as folder:
        return write(Path(folder) / f"boxes{suffix}").read_bytes()


def _csv(session: Session, hidden: Sequence[int]) -> bytes:
    found = shown(session, hidden)
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(_COLUMNS)
    for number, (turn, region) in enumerate(found.regions, 1):
        table.writerow([number, turn.id, *_said(region), *_measures(region), *_on_the_ground(region)])
    return text.getvalue().encode("utf-8-sig")  # as spreadsheets expect it


_COLUMNS = (
    *("number", "turn", "phrase", "role", "answer", "as_asked", "score", "model_box"),
    *("center_x_px", "center_y_px", "width_px", "height_px", "angle_deg"),
    *("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4", "on_image_px"),
    *("longitude", "latitude", "width_m", "height_m", "area_m2"),
)


def _said(region: GroundedRegion) -> list[object]:
    """Words, and the box in the model's own numbers."""
    score = "" if region.score is None else round(region.score, 4)
    as_asked = "" if region.as_asked is None else region.as_asked
    numbers = [] if region.box is None else box_numbers(region.box)
    written = " ".join(f"{number:g}" for number in numbers)
    return [as_words(region.phrase or ""), region.role, as_words(region.answer or ""), as_asked, score, written]


def _measures(region: GroundedRegion) -> list[object]:
    """The box in pixels as it was written, and as WKT the part of it that lies on the image."""
    box = region.geometry
    sizes = [round(value, 2) for value in (*box.center, box.width, box.height, box.angle)]
    corners = [round(value, 2) for point in region.pixels for value in point]
    ring = ", ".join(f"{x:.2f} {y:.2f}" for x, y in (*region.outline, *region.outline[:1]))
    return [*sizes, *corners, f"POLYGON (({ring}))" if ring else "POLYGON EMPTY"]


def _on_the_ground(region: GroundedRegion) -> list[object]:
    """Longitude and latitude of the centre, metres along the sides, square metres; empty without a place on Earth."""
    size, center = region.ground_size, region.place.to_map([region.geometry.center])
    if size is None or center is None:
        return [""] * 5
    longitude, latitude = to_geographic(center, region.place.map_crs)[0].tolist()
    return [round(longitude, 8), round(latitude, 8), *(round(length, 2) for length in size)]


KINDS: dict[str, tuple[str, str, Callable[[Session, Sequence[int]], bytes]]] = {
    "png": (".png", "image/png", _picture),
    "geojson": (".geojson", "application/geo+json", _geojson),
    "gpkg": (".gpkg", "application/geopackage+sqlite3", _geopackage),
    "csv": (".csv", "text/csv", _csv),
    "markdown": (".md", "text/markdown", lambda session, _hidden: to_markdown(session).encode()),
    "json": (".json", "application/json", lambda session, _hidden: to_json(session).encode()),
}
"""What can be taken away, besides the training pairs: ending, media type and maker."""
