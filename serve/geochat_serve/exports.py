"""Exports: boxes as an annotated picture, GeoJSON, GeoPackage or CSV; the conversation as Markdown or JSON.

Files are made in memory on request and sent to the page. The regions that the page shows or the user has selected go
into one file, numbered consecutively, in pixels of the whole image: those found, and those asked about with the answer
as attribute. Each carries the turn, question and task it belongs to, and the number it has in its answer. Shapes are
clipped to the image; the box the model wrote stands beside them.
"""

import csv
import io
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

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
from geochat_serve.exchanges import Exchange, longitude_latitude
from geochat_serve.open_scene import OpenScene
from geochat_serve.session import Session
from geochat_serve.transcripts import to_json, to_markdown

Shown: TypeAlias = Collection[str] | None


@dataclass(frozen=True)
class ExportedFile:
    """A file for the browser to save."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class _ShownRegion:
    """A region that the page shows, the exchange it belongs to, and its number there."""

    exchange: Exchange
    number: int
    region: GroundedRegion

    @property
    def origin(self) -> dict[str, Any]:
        """The question it belongs to, as attributes of the exported feature."""
        exchange = self.exchange
        return {
            "turn": exchange.id,
            "number_in_answer": self.number,
            "question": exchange.question,
            "task": exchange.task,
        }


@dataclass(frozen=True)
class _ShownRegions:
    """The regions that the page shows.

    Attributes:
        scene: The scene.
        regions: The regions, oldest answer first.
        provenance: Model, image and questions they came from.
    """

    scene: OpenScene
    regions: tuple[_ShownRegion, ...]
    provenance: Mapping[str, Any]

    @property
    def crs(self) -> str | None:
        """CRS of the regions' map coordinates."""
        return self.scene.overview.place.map_crs

    @property
    def features(self) -> list[GroundedRegion]:
        """The regions without their exchanges."""
        return [shown.region for shown in self.regions]

    @property
    def origins(self) -> list[dict[str, Any]]:
        """The question of each region."""
        return [shown.origin for shown in self.regions]


def export(kind: str, session: Session, shown: Shown = None) -> ExportedFile:
    """Export a session.

    Args:
        kind: One of `FORMATS`, or "training" for the corrections.
        session: The session.
        shown: Keys of the regions to export, as `Exchange.keyed_features` names them; None exports all.

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
    return ExportedFile(f"{stem}-geochat{suffix}", media_type, make(session, shown))


def _shown(session: Session, shown: Shown) -> _ShownRegions:
    """Return the regions to export.

    Raises:
        ExportError: There are none.
    """
    scene = session.require_scene()
    regions = tuple(
        _ShownRegion(exchange, int(key.rpartition("-")[2]), region)
        for exchange in session.exchanges
        for key, region in exchange.keyed_features.items()
        if shown is None or key in shown
    )
    sources = list(dict.fromkeys(each.exchange for each in regions))
    answers = [exchange.answer for exchange in sources if exchange.answer is not None]
    if not answers:
        raise ExportError("no boxes are shown; ask for some, or show the boxes of an answer under “Results”")
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
    return _ShownRegions(scene, regions, provenance)


def _picture(session: Session, keys: Shown) -> bytes:
    shown = _shown(session, keys)
    view = shown.scene.overview  # which is in memory: reading all of a large scene anew takes seconds
    picture = draw(view.pil(), shown.features, view.frame, [each.number for each in shown.regions])
    return _written(".png", lambda path: write_picture(path, picture, shown.provenance))


def _geojson(session: Session, keys: Shown) -> bytes:
    shown = _shown(session, keys)
    document = to_geojson(shown.features, shown.crs, shown.provenance, shown.origins)
    return _written(".geojson", lambda path: write_geojson(path, document))


def _geopackage(session: Session, keys: Shown) -> bytes:
    shown = _shown(session, keys)
    return _written(
        ".gpkg", lambda path: write_geopackage(path, shown.features, shown.crs, shown.provenance, shown.origins)
    )


def _written(suffix: str, write: Callable[[Path], Path]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="geochat-export-") as folder:
        return write(Path(folder) / f"boxes{suffix}").read_bytes()


def _csv(session: Session, keys: Shown) -> bytes:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(_COLUMNS)
    for number, shown in enumerate(_shown(session, keys).regions, 1):
        region = shown.region
        origin = (as_words(value) if isinstance(value, str) else value for value in shown.origin.values())
        table.writerow([number, *origin, *_words(region), *_pixels(region), *_ground(region)])
    return text.getvalue().encode("utf-8-sig")  # spreadsheets expect the byte order mark


_COLUMNS = (
    *("number", "turn", "number_in_answer", "question", "task"),
    *("phrase", "role", "answer", "as_asked", "score", "model_box"),
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
    lonlat, size = longitude_latitude(region), region.ground_size
    degrees = [""] * 2 if lonlat is None else [round(value, 8) for value in lonlat]
    return [*degrees, *([""] * 3 if size is None else (round(length, 2) for length in size))]


FORMATS: dict[str, tuple[str, str, Callable[[Session, Shown], bytes]]] = {
    "png": (".png", "image/png", _picture),
    "geojson": (".geojson", "application/geo+json", _geojson),
    "gpkg": (".gpkg", "application/geopackage+sqlite3", _geopackage),
    "csv": (".csv", "text/csv", _csv),
    "markdown": (".md", "text/markdown", lambda session, _shown: to_markdown(session).encode()),
    "json": (".json", "application/json", lambda session, _shown: to_json(session).encode()),
}
"""Suffix, media type and writer of each export format, the training data aside."""
