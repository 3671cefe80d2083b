"""Answers of a server: the object that `geochat ask --json` prints, with the conversions of `Answer`."""

from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochat.client.connection import Event
from geochat.errors import EngineError, ExportError, RegionError
from geochat.prompts import Task
from geochat.streamed import Streamed

if TYPE_CHECKING:
    from PIL import Image

    from geochat.assistant.notices import Notice
    from geochat.exports import GroundedRegion


@dataclass(frozen=True)
class RemoteAnswer:
    """An answer of a server; its attributes are those of `geochat.Answer`.

    Attributes:
        values: The server's answer; see `Answer.to_dict`.
        source: The file that was asked about; None for an image in memory.
        page: Its page.
    """

    values: Mapping[str, Any] = field(repr=False)
    source: Path | None = None
    page: int = 1

    @property
    def text(self) -> str:
        """The model's text with markup."""
        return str(self.values["text"])

    @property
    def plain_text(self) -> str:
        """The text without markup; with offered choices, the chosen one."""
        return str(self.values["plain_text"])

    @property
    def question(self) -> str:
        """The question as asked."""
        return str(self.values["question"])

    @property
    def prompt(self) -> str:
        """The question as the model reads it."""
        return str(self.values["prompt"])

    @property
    def task(self) -> Task:
        """The kind of question."""
        return Task(self.values["task"])

    @property
    def choice(self) -> str | None:
        """The offered answer that was given."""
        choice: str | None = self.values["choice"]
        return choice

    @property
    def model(self) -> str:
        """Name of the model."""
        return str(self.values["model"])

    @property
    def finish(self) -> str:
        """Reason why the text ends."""
        return str(self.values["finish"])

    @property
    def seconds(self) -> float:
        """Seconds from the question to the end of the answer, on the server."""
        return float(self.values["seconds"])

    @property
    def crs(self) -> str | None:
        """The CRS of the regions' map coordinates."""
        crs: str | None = self.values["crs"]
        return crs

    @property
    def notices(self) -> "tuple[Notice, ...]":
        """Notices that accompany the answer."""
        from geochat.assistant.notices import Notice  # noqa: PLC0415 - slow to import, as the rest of the core below

        return tuple(Notice(**notice) for notice in self.values["notices"])

    @property
    def regions(self) -> "tuple[GroundedRegion, ...]":
        """The regions found."""
        return tuple(_region(values, self.values, asked=False) for values in self.values["regions"])

    @property
    def asked(self) -> "tuple[GroundedRegion, ...]":
        """The regions of the question."""
        return tuple(_region(values, self.values, asked=True) for values in self.values["asked"])

    @property
    def features(self) -> "tuple[GroundedRegion, ...]":
        """Regions to draw and export: those found, then those of the question."""
        return (*self.regions, *self.asked)

    @property
    def provenance(self) -> dict[str, Any]:
        """Provenance of the answer.

        Raises:
            ExportError: The question was asked without `geojson=True`.
        """
        members: dict[str, Any] = self.to_geojson()["geochat"]
        return {name: value for name, value in members.items() if name != "coordinates"}

    def to_dict(self) -> dict[str, Any]:
        """Return the object that `geochat ask --json` prints."""
        image = {**self.values["image"], "path": None if self.source is None else str(self.source)}
        return {name: value for name, value in {**self.values, "image": image}.items() if name != "geojson"}

    def to_geojson(self) -> dict[str, Any]:
        """Return the regions as a GeoJSON FeatureCollection.

        Raises:
            ExportError: The question was asked without `geojson=True`.
        """
        document: dict[str, Any] | None = self.values.get("geojson")
        if document is None:
            raise ExportError("the server was not asked for GeoJSON, which files are made of; ask with geojson=True")
        if self.source is not None:
            return {**document, "geochat": {**document["geochat"], "image": str(self.source)}}
        return document

    def draw(self) -> "Image.Image":
        """Draw the features on the view, which is read from the file again.

        Raises:
            ExportError: The image was given in memory.
            ImageError: The file cannot be read any more.
        """
        from geochat.exports import draw  # noqa: PLC0415
        from geochat.imagery import Stretch, open_image  # noqa: PLC0415

        if self.source is None:
            raise ExportError("the image was given in memory; draw on it, or ask about a file")
        image = self.values["image"]
        bands, stretch = tuple(image["bands"]), image["stretch"]
        limits = tuple(tuple(pair) for pair in stretch["limits"])
        how = Stretch(stretch["method"], tuple(stretch["percentiles"]), limits, tuple(stretch["without"]))
        view = open_image(self.source, window=image["window"], bands=bands, stretch=how, page=self.page)
        return draw(view.pil(), self.features, view.frame)

    def save_overlay(self, path: str | Path) -> Path:
        """Write `draw()` as .png or .jpg; errors as `draw` and `provenance`, or the file cannot be written."""
        from geochat.exports import write_picture  # noqa: PLC0415

        return write_picture(path, self.draw(), self.provenance)

    def save_geojson(self, path: str | Path) -> Path:
        """Write `to_geojson()`; errors as there, or the file cannot be written."""
        from geochat.exports import write_geojson  # noqa: PLC0415

        return write_geojson(path, self.to_geojson())

    def to_geopackage(self, path: str | Path) -> Path:
        """Write the features as a GeoPackage; errors as `provenance`, or the file cannot be written."""
        from geochat.exports import write_geopackage  # noqa: PLC0415

        return write_geopackage(path, self.features, self.crs, self.provenance)


class RemoteStream(Streamed[str, RemoteAnswer]):
    """The pieces of an answer as the server writes it: text, with `[1]` in place of the first region.

    Leaving the loop early, or `close`, ends the computation.

    Attributes:
        prompt: The question as the model reads it.
        notices: Texts of the notices known before the first word.
    """

    def __init__(self, events: Generator[Event, None, None], source: Path | None, page: int) -> None:
        start = next((data for name, data in events if name == "start"), None)
        if start is None:
            raise EngineError("the server broke off before it answered; ask again")
        self.prompt: str = start["prompt"]
        self.notices: list[str] = [notice["text"] for notice in start["notices"]]
        super().__init__(_pieces(events, source, page))


def _pieces(events: Generator[Event, None, None], source: Path | None, page: int) -> Generator[str, None, RemoteAnswer]:
    with closing(events):
        for name, data in events:
            if name in ("text", "phrase"):
                yield data["text"]
            elif name == "region":
                yield f"[{data['number']}]"
            elif name == "answer":
                return RemoteAnswer(data, source, page)
    raise EngineError("the server broke off in the middle of its answer; ask again")


def _region(values: Mapping[str, Any], answer: Mapping[str, Any], *, asked: bool) -> "GroundedRegion":
    """Return a region on its image."""
    import shapely  # noqa: PLC0415
    from affine import Affine  # noqa: PLC0415

    from geochat.exports import GroundedRegion  # noqa: PLC0415
    from geochat.geometry import ImagePlace, OrientedBox  # noqa: PLC0415

    image, points = answer["image"], [tuple(point) for point in values["pixels"]]
    to_map = None if image["image_to_map"] is None else Affine(*image["image_to_map"])
    place = ImagePlace(image["width"], image["height"], to_map, answer["crs"])
    shape = shapely.Polygon(points) if len(points) > 2 else shapely.Point(points[0])
    try:
        geometry = OrientedBox.from_polygon(shape)
    except RegionError:  # it has no area
        geometry = OrientedBox(*shape.bounds)
    return GroundedRegion(
        values["phrase"],
        geometry,
        place,
        None if values["box"] is None else OrientedBox(*values["box"]),
        values["score"],
        role="asked" if asked else "found",
        as_asked=values["as_asked"],
        answer=answer["plain_text"] if asked else None,
        attributes=values["attributes"] if asked else {},
        written=shape,
    )
