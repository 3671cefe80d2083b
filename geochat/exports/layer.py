"""Layers: features streamed to a file; the file name or the caller selects the format.

    layer = Layer(
        place=ImagePlace(scene.width, scene.height, scene.image_to_map, scene.crs),
        columns={"phrase": str, "score": float, "area_m2": float},
        provenance={"model": "geochat-mini", "image": "scene.tif"},
        image="scene.tif",
    )
    write_layer("ships.gpkg", layer, (Feature(polygon, layer.place, {"phrase": "ship", ...}) for ...))

A format is an `Exporter` in the registry `EXPORTERS`; packages add their own under the entry-point group
"geochat.exporters". Features are consumed once, in order, and written in batches: memory does not grow with their
number, except for FlatGeobuf's spatial index and for pictures.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import shapely

from geochat.dialects.shapes import corners_of
from geochat.errors import ExportError
from geochat.exports.files import check_target
from geochat.exports.grounded import Point, outline_of
from geochat.geometry import ImagePlace
from geochat.registry import Registry

if TYPE_CHECKING:
    from geochat.imagery import GeoImage

NOT_LOOKED_AT: Mapping[str, type] = {"window": str, "reason": str}
"""Columns of the table of windows that were not looked at: [column, row, width, height] as JSON, and the reason."""

_BATCH = 10_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Feature:
    """One row of a layer.

    Attributes:
        polygon: In pixels of the whole image, y down, as found: it may reach beyond the image, where it is cut. Of an
            answer in points, a point.
        place: The image it lies on.
        properties: Values by column; a missing one is null.
    """

    polygon: shapely.Polygon | shapely.Point
    place: ImagePlace
    properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def phrase(self) -> str | None:
        """The value of the column "phrase"."""
        return self.properties.get("phrase")

    @property
    def pixels(self) -> tuple[Point, ...]:
        """Corners in pixels of the whole image, as found."""
        return corners_of(self.polygon)

    @property
    def outline(self) -> tuple[Point, ...]:
        """Corners in pixels of the part inside the image, clockwise on screen; empty if there is none."""
        return outline_of(self.polygon, self.place)


@dataclass(frozen=True)
class Layer:
    """Facts shared by the features of a layer.

    Attributes:
        place: The image; of several images, None, which formats in pixels refuse.
        columns: The type of each property, in the order of the columns: str, int, float or bool.
        provenance: Provenance of the features, JSON-ready, for the file's metadata.
        image: The image's name.
        name: The layer's name.
        bare: Whether tables hold a number and these columns alone: no corners in pixels, no mark of pixel coordinates
            and no style.
        crs: CRS of the geometries, where there are several images; of one image, its place says it.
        view: Returns the view of the image that a picture is drawn on.
    """

    place: ImagePlace | None
    columns: Mapping[str, type]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    image: str = "image"
    name: str = "objects"
    bare: bool = False
    crs: str | None = None
    view: "Callable[[], GeoImage] | None" = None

    @property
    def map_crs(self) -> str | None:
        """The CRS of the geometries; None for pixels."""
        return self.crs if self.place is None else self.place.map_crs

    def require_place(self, path: Path) -> ImagePlace:
        """Return the image's extent, which formats in pixels need.

        Raises:
            ExportError: The layer is one of several images.
        """
        if self.place is None:
            raise ExportError(f"{path} would hold pixels of several images; write .gpkg or .geojson")
        return self.place


class Exporter(Protocol):
    """A file format for layers.

    Attributes:
        suffixes: Endings of file names that choose it; empty for one chosen by name alone.
        holds_second_table: Whether it stores the windows that were not looked at itself; else they go beside the file.
    """

    suffixes: tuple[str, ...]
    holds_second_table: bool

    def write(
        self, path: Path, layer: Layer, features: Iterable[Feature], not_looked_at: Iterable[Feature] | None
    ) -> Path:
        """Write a file atomically.

        Args:
            path: Its name; checked by `exporter_for`.
            layer: Facts shared by the features.
            features: Consumed once.
            not_looked_at: Windows, consumed after the features; None where that is not known.

        Raises:
            ExportError: It cannot be written.
        """
        ...


EXPORTERS: Registry[Exporter] = Registry(
    "exporter",
    "geochat.exporters",
    {
        "geopackage": "geochat.exports.geopackage:GEOPACKAGE",
        "geojson": "geochat.exports.geojson:GEOJSON",
        "flatgeobuf": "geochat.exports.arrow:FLATGEOBUF",
        "geoparquet": "geochat.exports.arrow:GEOPARQUET",
        "coco": "geochat.exports.annotations:COCO",
        "dota": "geochat.exports.annotations:DOTA",
        "yolo-obb": "geochat.exports.annotations:YOLO_OBB",
        "overlay": "geochat.exports.overlay:OVERLAY",
    },
)


def exporter_for(path: str | Path, name: str | None = None) -> Exporter:
    """Find the exporter of a file and check the file's name, so that a long job fails before it starts.

    Args:
        path: The file; its longest known suffix chooses the format.
        name: A name of `EXPORTERS`, which decides instead.

    Raises:
        ExportError: No exporter has its suffix, the suffix is not the named exporter's, or its folder is missing.
        SettingsError: No exporter has that name.
    """
    path = Path(path)
    if name is not None:
        exporter = EXPORTERS[name]
    else:
        suffixes = {suffix: each for each in (EXPORTERS[known] for known in EXPORTERS) for suffix in each.suffixes}
        ends = [suffix for suffix in suffixes if path.name.lower().endswith(suffix)]
        if not ends:
            raise ExportError(
                f"{path} has none of the endings that name a format ({', '.join(sorted(suffixes))}); use one, or name "
                f"a format: {', '.join(EXPORTERS)}"
            )
        exporter = suffixes[max(ends, key=len)]
    check_target(path, exporter.suffixes)
    return exporter


def write_layer(
    path: str | Path,
    layer: Layer,
    features: Iterable[Feature],
    *,
    format: str | None = None,
    not_looked_at: Iterable[Feature] | None = None,
) -> Path:
    """Write a layer atomically; an existing file is replaced.

    Args:
        path: Its suffix chooses the format: .gpkg, .geojson, .fgb, .parquet, .coco.json, .txt (DOTA), .png, ...
        layer: Facts shared by the features.
        features: Consumed once, in order.
        format: A name of `EXPORTERS`, in place of the suffix.
        not_looked_at: Windows that were not looked at, with the columns `NOT_LOOKED_AT`; consumed after `features`.
            Formats of one table get a second file, NAME.not_looked_at.geojson, where there is any.

    Returns:
        The file.

    Raises:
        ExportError: The file cannot be written, or the format cannot hold the layer.
        SettingsError: No exporter has that name.
    """
    path, exporter = Path(path), exporter_for(path, format)
    if exporter.holds_second_table:
        return exporter.write(path, layer, features, not_looked_at)
    written = exporter.write(path, layer, features, None)
    windows = list(not_looked_at or ())
    beside = path.with_name(f"{path.stem}.not_looked_at.geojson")
    if windows:
        unseen = replace(layer, columns=NOT_LOOKED_AT, name="not_looked_at")
        EXPORTERS["geojson"].write(beside, unseen, windows, None)
    elif not_looked_at is not None:
        beside.unlink(missing_ok=True)  # of an earlier run
    return written


def batches(items: Iterable[T], size: int = _BATCH) -> Iterator[list[T]]:
    """Yield items in lists of `size`, the last one shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
