"""GeoJSON or GeoPackage labels over a GeoTIFF, cut into windows.

Labels are transformed from their CRS to the raster's, through the geotransform to pixels, and from there to each window
they touch. Each polygon of a MultiPolygon is an object. The raster is never read whole: its stretch is found on a small
overview and used for all windows, so that colours are consistent.

A feature that is not a polygon, or has no class, makes its class, or every class, unknown in the windows it touches. A
class whose features all lie outside the raster is unknown in every window.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyogrio
import shapely
from shapely.geometry.base import BaseGeometry

from geochat.errors import DataError, ImageError
from geochat.geometry import Frame, pieces_to_pixels
from geochat.imagery import GeoImage, Scene, Window
from geochat_data.readers.alignment import Alignment
from geochat_data.readers.layout import require_no_split
from geochat_data.readers.source import CheckedLabels, DataSource, Label, check_labels
from geochat_data.readers.values import named
from geochat_data.records import LabelledImage

_COLUMNS = ("category", "class", "label", "type", "name")
_OVERVIEW = 1024  # pixels
_OFF = "feature off the raster"


@dataclass(frozen=True)
class _Shape:
    """One polygon or other geometry of a feature, with the reason if it cannot be used."""

    category: str | None
    outline: BaseGeometry  # in pixels of the whole image; empty if its place is unknown
    where: str
    reason: str | None = None


def read_geo(source: DataSource) -> Iterator[LabelledImage]:
    """Read the windows of `source.images` (the raster), row by row, each with its pixels; blank ones are skipped.

    Raises:
        DataError: The labels cannot be read, have no category or one that is a number, all lie off the raster, or no
            raster is given.
        ImageError: The raster cannot be read or has no geotransform.
    """
    if source.images is None:
        raise DataError(f"{source.path} holds labels only; name their GeoTIFF with --images")
    require_no_split(source)
    with Scene.open(source.images) as raster:
        overview = raster.read(max_side=_OVERVIEW)
        shapes, lost = _on_raster(list(_read(source, overview.frame)), raster, source)
        names = frozenset(shape.category for shape in shapes if shape.category is not None)
        tree = shapely.STRtree([shape.outline for shape in shapes])
        for window in _windows(raster.size, source.window):
            view = overview.look(window, max_side=source.window, allow_blank=True)
            if view.blank:
                where = f"{source.images}: column {window.column}, row {window.row}"
                source.report.skip("window without valid pixels", where)
                continue
            frame = shapely.box(*window.bounds)
            near = [shapes[i] for i in sorted(tree.query(frame, predicate="intersects"))]
            yield _window(source, view, [shape for shape in near if _reaches_into(shape, frame)], names, lost)


def _windows(size: tuple[int, int], side: int) -> Iterator[Window]:
    """Windows row by row; those of less than half a side at the right and bottom are left out."""
    width, height = size
    for row in range(0, max(1, height - side // 2), side):
        for column in range(0, max(1, width - side // 2), side):
            if (window := Window(column, row, side, side).clip(size)) is not None:
                yield window


def _reaches_into(shape: _Shape, frame: BaseGeometry) -> bool:
    """Return whether a polygon has area in a window; a geometry without area need only touch it."""
    return bool(shape.outline.area == 0 or shape.outline.intersection(frame).area > 0)


def _window(
    source: DataSource, view: GeoImage, shapes: list[_Shape], names: frozenset[str], lost: frozenset[str | None]
) -> LabelledImage:
    column, row, width, height = view.window
    alignment = Alignment((width, height), view.frame.between("image", "view"))
    labels = [
        Label(shape.category, shapely.get_coordinates(shape.outline).tolist(), shape.where)
        for shape in shapes
        if shape.reason is None
    ]
    checked: CheckedLabels = check_labels(labels, alignment, source)
    unknown = checked.unknown | lost | {shape.category for shape in shapes if shape.reason is not None}
    source.report.unknown_in_image(unknown)
    source.report.used += 1
    return LabelledImage(
        path=None,
        width=width,
        height=height,
        objects=checked.objects,
        ignore=checked.ignored,
        split=source.split,
        labelled=source.labelled(names, checked.ignored, unknown),
        pixels=view.pixels,
        name=f"{view.path.stem if view.path else 'window'}_{column}_{row}",
    )


def _on_raster(shapes: list[_Shape], raster: Scene, source: DataSource) -> tuple[list[_Shape], frozenset[str | None]]:
    """Select the shapes that touch the raster; returns them, and the categories unknown in every window.

    Raises:
        DataError: There are shapes, and none touches the raster.
    """
    frame = shapely.box(*raster.window.bounds)
    here = [shape for shape in shapes if not shape.outline.is_empty and shape.outline.intersects(frame)]
    nowhere = [shape for shape in shapes if shape.outline.is_empty]
    away = [shape for shape in shapes if not shape.outline.is_empty and not shape.outline.intersects(frame)]
    if away and not here:
        left, top, right, bottom = shapely.total_bounds([shape.outline for shape in away])
        raise DataError(
            f"none of the {len(away)} features of {source.path} lies on {source.images}: in pixels they reach from "
            f"({left:.0f}, {top:.0f}) to ({right:.0f}, {bottom:.0f}), and the raster has {raster.width} x "
            f"{raster.height}; check that both are of one place, and that the CRS of the labels is right"
        )
    for shape in away:
        source.report.note(_OFF, shape.where)
    present = {shape.category for shape in here}
    lost = {shape.category for shape in nowhere} | {shape.category for shape in away} - present - {None}
    return here, frozenset(lost)


def _read(source: DataSource, frame: Frame) -> Iterator[_Shape]:
    if frame.image_to_map is None or frame.crs is None:
        raise ImageError(
            f"{source.images} has no geotransform or CRS, so labels cannot be placed on it; georeference it first"
        )
    pyogrio.set_gdal_config_options(
        {"OSR_STRIP_TOWGS84": "NO"}
    )  # use the datum shift of the file itself, as for images
    try:
        meta, fids, shapes, values = pyogrio.raw.read(source.path, return_fids=True)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise DataError(f"{source.path} cannot be read: {error}; check the path") from error
    categories = _categories(source, dict(zip(meta["fields"], values, strict=True)))
    for fid, shape, raw in zip(fids, shapely.from_wkb(shapes), categories, strict=True):
        where = f"{source.path}: feature {fid}"
        category = named(raw, source.names, where)
        for outline, fault in _outlines(shape, meta["crs"] or "EPSG:4326", frame):
            reason = fault or ("feature without a category" if category is None else None)
            if reason is not None:
                source.report.skip_label(reason, where)
            yield _Shape(category, outline, where, reason)


def _outlines(shape: BaseGeometry | None, crs: str, frame: Frame) -> Iterator[tuple[BaseGeometry, str | None]]:
    """The outline in pixels of each polygon and other part of a geometry, and the reason if it cannot be used.

    Two parts that meet at the antimeridian are one polygon.
    """
    leaves = list(_leaves(shape))
    if not leaves:
        yield shapely.Polygon(), "feature without a geometry"
    polygons = [leaf for leaf in leaves if isinstance(leaf, shapely.Polygon)]
    found: list[tuple[BaseGeometry | None, str | None]] = []
    if polygons:
        found += [(piece, None) for piece in pieces_to_pixels(shapely.MultiPolygon(polygons), crs, frame)]
    others = [leaf for leaf in leaves if not isinstance(leaf, shapely.Polygon)]
    found += [
        (piece, "feature that is not a polygon") for leaf in others for piece in pieces_to_pixels(leaf, crs, frame)
    ]
    for outline, fault in found:
        if outline is None or not np.isfinite(shapely.get_coordinates(outline)).all():
            yield shapely.Polygon(), "feature outside the raster's CRS"
        else:
            yield outline, fault


def _leaves(shape: BaseGeometry | None) -> Iterator[BaseGeometry]:
    """The parts of a geometry, nested collections included and empty parts left out."""
    for part in () if shape is None else shapely.get_parts(shape):
        if hasattr(part, "geoms"):
            yield from _leaves(part)
        elif not part.is_empty:
            yield part


def _categories(source: DataSource, columns: dict[str, Any]) -> Any:  # noqa: ANN401 - an array of any type
    wanted = (source.column,) if source.column else _COLUMNS
    by_name = {name.lower(): name for name in reversed(columns)}
    for name in wanted:
        if (found := name if name in columns else by_name.get(name.lower())) is not None:
            return [value.item() if isinstance(value, np.generic) else value for value in columns[found]]
    raise DataError(
        f"{source.path} has none of the attributes {', '.join(wanted)}, only {', '.join(columns) or 'no attribute'}; "
        "name the one with the category with --column"
    )
