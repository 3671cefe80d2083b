"""Exports: boxes as an annotated picture, GeoJSON, GeoPackage or CSV; the conversation as Markdown or JSON.

Files are made in memory on request and sent to the page. The regions of all visible answers go into one file, numbered
consecutively, in pixels of the whole image: those found, and those asked about with the answer as attribute. Shapes
are clipped to the image; the box the model wrote stands beside them.
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
from geochat_serve.exchanges import Exchange
from geochat_serve.open_scene import OpenScene
from geochat_serve.sessions import Session
from geochat_serve.transcripts import to_json, to_markdown

_PICTURE_SIDE = 4096


@dataclass(frozen=True)
class ExportedFile:
    """A file for the browser to save."""

    name: str
    media_type: str
    content: bytes

    def to_dict(self) -> dict[str, str]:
        """Return the file JSON-ready, the content in base64."""
        return {"name": self.name, "type": self.media_type, "content": base64.b64encode(self.content).decode()}


@dataclass(frozen=True)
class _VisibleRegions:
    """The regions of the visible answers.

    Attributes:
        scene: The scene.
        regions: The regions with their exchanges, oldest answer first.
        provenance: Model, image and questions they came from.
    """

    scene: OpenScene
    regions: tuple[tuple[Exchange, GroundedRegion], ...]
    provenance: Mapping[str, Any]

    @property
    def crs(self) -> str | None:
        """CRS of the regions' map coordinates."""
        return self.scene.overview.place.map_crs

    @property
    def features(self) -> list[GroundedRegion]:
        """The regions without their exchanges."""
        return [region for _, region in self.regions]


def export(kind: str, session: Session, hidden: Sequence[int]) -> ExportedFile:
    """Export a session.

    Args:
        kind: One of `FORMATS`, or "training" for the corrections.
        session: The session.
        hidden: Ids of the exchanges whose boxes are hidden.

    Raises:
        ExportError: There is no such format, or nothing to export.
        DataError: There are no corrections.
    """
    if kind not in (*FORMATS, "training"):
        raise ExportError(f"there is no export format {kind!r}; choose from {', '.join((*FORMATS, 'training'))}")
    if session.scene is None:
        raise ExportError("no image is open; open one first")
    if kind == "training":
        return ExportedFile("geochat-corrections.zip", "application/zip", session.corrections.archive())
    suffix, media_type, make = FORMATS[kind]
    stem = Path(session.scene.name).stem or "image"
    return ExportedFile(f"{stem}-geochat{suffix}", media_type, make(session, hidden))


def _visible(session: Session, hidden: Sequence[int]) -> _VisibleRegions:
    """Return the visible regions.

    Raises:
        ExportError: There are none.
    """
    scene = session.require_scene()
    exchanges = [exchange for exchange in session.exchanges if exchange.id not in hidden]
    regions = tuple((exchange, region) for exchange in exchanges for region in exchange.features)
    sources = list(dict.fromkeys(exchange for exchange, _ in regions))
    answers = [exchange.answer for exchange in sources if exchange.answer is not None]
    if not answers:
        raise ExportError("no boxes are visible; ask for some, or show the boxes of an answer")
    provenance = {
        **answers[0].provenance,
        "software": f"geochat {__version__}",
        "image": scene.name,
        "question": "; ".join(exchange.question or exchange.task for exchange in sources),
        "task": "; ".join(dict.fromkeys(answer.task.value for answer in answers)),
        "prompt": "; ".join(answer.prompt for answer in answers),
        "window": list(scene.overview.window),
        "corrected": [exchange.id for exchange in sources if exchange.correction is not None],
    }
    return _VisibleRegions(scene, regions, provenance)


def _picture(session: Session, hidden: Sequence[int]) -> bytes:
    visible = _visible(session, hidden)
    view = visible.scene.view(visible.scene.overview.window, _PICTURE_SIDE)
    picture = draw(view.pil(), visible.features, view.frame)
    return _written(".png", lambda path: write_picture(path, picture, visible.provenance))


def _geojson(session: Session, hidden: Sequence[int]) -> bytes:
    visible = _visible(session, hidden)
    document = to_geojson(visible.features, visible.crs, visible.provenance)
    return _written(".geojson", lambda path: write_geojson(path, document))


def _geopackage(session: Session, hidden: Sequence[int]) -> bytes:
    visible = _visible(session, hidden)
    return _written(".gpkg", lambda path: write_geopackage(path, visible.features, visible.crs, visible.provenance))


def _written(suffix: str, write: Callable[[Path], Path]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="geochat-export-") as folder:
        return write(Path(folder) / f"boxes{suffix}").read_bytes()


def _csv(session: Session, hidden: Sequence[int]) -> bytes:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(_COLUMNS)
    for number, (exchange, region) in enumerate(_visible(session, hidden).regions, 1):
        table.writerow([number, exchange.id, *_words(region), *_pixels(region), *_ground(region)])
    return text.getvalue().encode("utf-8-sig")  # spreadsheets expect the byte order mark


_COLUMNS = (
    *("number", "turn", "phrase", "role", "answer", "as_asked", "score", "model_box"),
    *("center_x_px", "center_y_px", "width_px", "height_px", "angle_deg"),
    *("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4", "on_image_px"),
    *("longitude", "latitude", "width_m", "height_m", "area_m2"),
)


def _words(region: GroundedRegion) -> list[object]:
    """Return the words of a region, and its box in the model's own numbers."""
    score = "" if region.score is None else round(region.score, 4)
    as_asked = "" if region.as_asked is None else region.as_asked
    numbers = [] if region.box is None else box_numbers(region.box)
    written = " ".join(f"{number:g}" for number in numbers)
    return [as_words(region.phrase or ""), region.role, as_words(region.answer or ""), as_asked, score, written]


def _pixels(region: GroundedRegion) -> list[object]:
    """Return the box in pixels as written, or around what was, and the part on the image as WKT."""
    box = region.geometry
    sizes = [round(value, 2) for value in (*box.center, box.width, box.height, box.angle)]
    corners = [round(value, 2) for point in box.corners() for value in point]
    outline = region.outline
    if len(outline) == 1:
        return [*sizes, *corners, f"POINT ({outline[0][0]:.2f} {outline[0][1]:.2f})"]
    ring = ", ".join(f"{x:.2f} {y:.2f}" for x, y in (*outline, *outline[:1]))
    return [*sizes, *corners, f"POLYGON (({ring}))" if ring else "POLYGON EMPTY"]


def _ground(region: GroundedRegion) -> list[object]:
    """Return longitude and latitude of the centre, the sides in metres and the area; empty if not georeferenced."""
    size, center = region.ground_size, region.place.to_map([region.geometry.center])
    if size is None or center is None:
        return [""] * 5
    longitude, latitude = to_geographic(center, region.place.map_crs)[0].tolist()
    return [round(longitude, 8), round(latitude, 8), *(round(length, 2) for length in size)]


FORMATS: dict[str, tuple[str, str, Callable[[Session, Sequence[int]], bytes]]] = {
    "png": (".png", "image/png", _picture),
    "geojson": (".geojson", "application/geo+json", _geojson),
    "gpkg": (".gpkg", "application/geopackage+sqlite3", _geopackage),
    "csv": (".csv", "text/csv", _csv),
    "markdown": (".md", "text/markdown", lambda session, _hidden: to_markdown(session).encode()),
    "json": (".json", "application/json", lambda session, _hidden: to_json(session).encode()),
}
"""Suffix, media type and writer of each export format, the training data aside."""
