"""What a user takes away: the boxes as a picture, GeoJSON, GeoPackage and CSV, and the conversation as text.

Files are made in memory when they are asked for and sent to the page that asked. All boxes of the answers that are
shown go into one file, placed in the frame of the whole image and numbered through.
"""

import base64
import csv
import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geochat import __version__
from geochat.errors import ExportError
from geochat.exports import GroundedRegion, draw, to_geojson, write_geojson, write_geopackage, write_picture
from geochat.frames import Frame, ground_size, to_geographic, transform_points
from geochat.imagery import GeoImage
from geochat.regions import OrientedBox, Region
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
        image: The whole image.
        turns: The answers, oldest first.
        regions: Their boxes and the turn of each.
        provenance: Where they came from.
    """

    image: GeoImage
    turns: tuple[Turn, ...]
    regions: tuple[tuple[Turn, GroundedRegion], ...]
    provenance: Mapping[str, Any]

    @property
    def crs(self) -> str | None:
        """The CRS of the regions' map coordinates."""
        return self.image.crs if self.image.frame.image_to_map is not None else None

    @property
    def boxes(self) -> list[GroundedRegion]:
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
    """The boxes that are shown.

    Raises:
        ExportError: There is none.
    """
    if session.scene is None:
        raise ExportError("no image is open; open one first")
    image = session.scene.image
    turns = tuple(turn for turn in session.turns if turn.boxes and turn.id not in hidden and turn.answer is not None)
    if not turns:
        raise ExportError("no boxes are shown; ask for some, or show an answer's boxes")
    regions = tuple((turn, _over_whole(box, turn, image.frame)) for turn in turns for box in turn.boxes)
    first = turns[0].answer
    provenance = {
        **(first.provenance if first is not None else {}),
        "software": f"geochat {__version__}",
        "image": session.scene.name,
        "question": "; ".join(turn.question or turn.task for turn in turns),
        "prompt": "; ".join(turn.answer.prompt for turn in turns if turn.answer is not None),
        "window": list(session.scene.whole),
        "corrected": [turn.id for turn in turns if turn.corrected is not None],
    }
    return Shown(image, turns, regions, provenance)


def _over_whole(box: Mapping[str, Any], turn: Turn, frame: Frame) -> GroundedRegion:
    """A turn's box in the frame of the whole image; every frame here is a similarity, so it stays the same box."""
    parsed = turn.regions_shown[box["number"] - 1]
    in_pixels = parsed.transform(turn.conversation.image.frame.model_to_image)
    region = Region(in_pixels.transform(frame.between("image", "model")), box["phrase"])
    return GroundedRegion.place(region, frame, box["score"])


def _picture(session: Session, hidden: Sequence[int]) -> bytes:
    found = shown(session, hidden)
    if session.scene is None:
        raise ExportError("no image is open; open one first")
    view = session.scene.view(session.scene.whole, _PICTURE_SIDE)
    frame = replace(view.frame, fit="pad")
    regions = [
        replace(region, box=_pixel_box(region, found.image.frame).transform(frame.between("image", "model")))
        for region in found.boxes
    ]
    return _written(".png", lambda path: write_picture(path, draw(view.pil(), regions, frame), found.provenance))


def _pixel_box(region: GroundedRegion, frame: Frame) -> OrientedBox:
    return region.box.transform(frame.model_to_image)


def _geojson(session: Session, hidden: Sequence[int]) -> bytes:
    found = shown(session, hidden)
    document = to_geojson(found.boxes, found.crs, found.provenance)
    return _written(".geojson", lambda path: write_geojson(path, document))


def _geopackage(session: Session, hidden: Sequence[int]) -> bytes:
    found = shown(session, hidden)
    return _written(".gpkg", lambda path: write_geopackage(path, found.boxes, found.crs, found.provenance))


def _written(suffix: str, write: Callable[[Path], Path]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="geochat-export-") as folder:
        return write(Path(folder) / f"boxes{suffix}").read_bytes()


def _csv(session: Session, hidden: Sequence[int]) -> bytes:
    found = shown(session, hidden)
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(_COLUMNS)
    for number, (turn, region) in enumerate(found.regions, 1):
        table.writerow([number, turn.id, _cell(region.phrase or ""), *_measures(region, found)])
    return text.getvalue().encode("utf-8-sig")  # as spreadsheets expect it


_COLUMNS = (
    *("number", "turn", "phrase", "score", "center_x_px", "center_y_px", "width_px", "height_px", "angle_deg"),
    *("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4"),
    *("longitude", "latitude", "width_m", "height_m", "area_m2"),
)


def _measures(region: GroundedRegion, found: Shown) -> list[object]:
    box = _pixel_box(region, found.image.frame)
    score = "" if region.score is None else round(region.score, 4)
    sizes = [round(value, 2) for value in (*box.center, box.width, box.height, box.angle)]
    corners = [round(value, 2) for point in region.pixels for value in point]
    return [score, *sizes, *corners, *_on_the_ground(box, found)]


def _on_the_ground(box: OrientedBox, found: Shown) -> list[object]:
    affine, crs = found.image.frame.image_to_map, found.image.crs
    metres = None if affine is None or crs is None else ground_size(box.corners(), affine, crs)
    if affine is None or crs is None or metres is None:
        return [""] * 5
    longitude, latitude = to_geographic(transform_points([box.center], affine), crs)[0].tolist()
    return [round(longitude, 8), round(latitude, 8), *(round(length, 2) for length in metres)]


def _cell(text: str) -> str:
    """Words a spreadsheet takes for words: what a model wrote is nobody's formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


KINDS: dict[str, tuple[str, str, Callable[[Session, Sequence[int]], bytes]]] = {
    "png": (".png", "image/png", _picture),
    "geojson": (".geojson", "application/geo+json", _geojson),
    "gpkg": (".gpkg", "application/geopackage+sqlite3", _geopackage),
    "csv": (".csv", "text/csv", _csv),
    "markdown": (".md", "text/markdown", lambda session, _hidden: to_markdown(session).encode()),
    "json": (".json", "application/json", lambda session, _hidden: to_json(session).encode()),
}
"""What can be taken away, besides the training pairs: ending, media type and maker."""
