"""GeoJSON or GeoPackage labels over a GeoTIFF, cut into windows.

Labels go from their CRS to the raster's, through the geotransform to pixels, and from there to each window they touch.
The raster is never read whole: its stretch is found on a small overview and kept for all windows, so that one colour
is one colour everywhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyogrio
import shapely
from shapely.geometry.base import BaseGeometry

from geochat.errors import DataError, ImageError
from geochat.geometry import geometry_from_geographic, geometry_to_geographic, transform_geometry
from geochat.imagery import GeoImage, Scene, Window
from geochat_data.readers.source import Label, Source, category_name, check_labels
from geochat_data.records import LabelledImage

_COLUMNS = ("category", "class", "label", "type", "name")
_OVERVIEW = 1024  # pixels


@dataclass(frozen=True)
class _Shape:
    category: str
    outline: BaseGeometry  # in pixels of the whole image
    where: str


def read_geo(source: Source) -> Iterator[LabelledImage]:
    """The windows of `source.images` (the raster), row by row, each with its pixels; blank ones are passed over.

    Raises:
        DataError: The labels cannot be read, have no category, or no raster is given.
        ImageError: The raster cannot be read or has no geotransform.
    """
    if source.images is None:
        raise DataError(f"{source.path} holds labels alone; name the GeoTIFF they lie on with --images")
    with Scene.open(source.images) as raster:
        overview = raster.read(max_side=_OVERVIEW)
        shapes = list(_read(source, raster))
        names = {shape.category for shape in shapes}
        tree = shapely.STRtree([shape.outline for shape in shapes])
        for window in _windows(raster.size, source.window):
            view = overview.look(window, max_side=source.window, allow_blank=True)
            if view.blank:
                where = f"{source.images}: column {window.column}, row {window.row}"
                source.report.skip("window without valid pixels", where)
                continue
            near = tree.query(shapely.box(*window.bounds), predicate="intersects")
            yield _window(source, view, [shapes[i] for i in sorted(near)], names)


def _windows(size: tuple[int, int], side: int) -> Iterator[Window]:
    """Row by row; slivers at the right and bottom, under half a side, are left out."""
    width, height = size
    for row in range(0, max(1, height - side // 2), side):
        for column in range(0, max(1, width - side // 2), side):
            if (window := Window(column, row, side, side).clip(size)) is not None:
                yield window


def _window(source: Source, view: GeoImage, shapes: list[_Shape], names: set[str]) -> LabelledImage:
    column, row, width, height = view.window
    to_view = view.frame.between("image", "view")
    labels = [
        Label(shape.category, shapely.get_coordinates(transform_geometry(shape.outline, to_view)).tolist(), shape.where)
        for shape in shapes
    ]
    objects, ignore = check_labels(labels, width, height, source.report)
    source.report.used += 1
    return LabelledImage(
        path=None,
        width=width,
        height=height,
        objects=objects,
        ignore=ignore,
        split=source.split,
        labelled=source.labelled(names, ignore),
        pixels=view.pixels,
        name=f"{view.path.stem if view.path else 'window'}_{column}_{row}",
    )


def _read(source: Source, raster: Scene) -> Iterator[_Shape]:
    image_to_map, crs = raster.image_to_map, raster.crs
    if image_to_map is None or crs is None:
        raise ImageError(
            f"{source.images} has no geotransform or CRS; labels cannot be laid on it, georeference it first"
        )
    try:
        meta, fids, shapes, values = pyogrio.raw.read(source.path, return_fids=True)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise DataError(f"{source.path} cannot be read: {error}; check the path") from error
    categories = _categories(source, dict(zip(meta["fields"], values, strict=True)))
    to_pixels = ~image_to_map
    for fid, shape, category in zip(fids, shapely.from_wkb(shapes), categories, strict=True):
        where = f"{source.path}: feature {fid}"
        if shape is None or shape.is_empty or shape.geom_type not in ("Polygon", "MultiPolygon"):
            source.report.skip("feature that is no polygon", where)
        elif category is None or not str(category).strip():
            source.report.skip("feature without a category", where)
        else:
            outline = transform_geometry(_in_crs(shape, meta["crs"] or "EPSG:4326", crs), to_pixels)
            if np.isfinite(shapely.get_coordinates(outline)).all():
                yield _Shape(category_name(str(category)), outline, where)
            else:
                source.report.skip("feature outside the raster's CRS", where)


def _in_crs(shape: BaseGeometry, crs: str, target: str) -> BaseGeometry:
    return shape if crs == target else geometry_from_geographic(geometry_to_geographic(shape, crs), target)


def _categories(source: Source, columns: dict[str, Any]) -> Any:  # noqa: ANN401 - an array of any type
    wanted = (source.column,) if source.column else _COLUMNS
    for name in wanted:
        if name in columns:
            return columns[name]
    raise DataError(f"{source.path} has none of the attributes {', '.join(wanted)}; name the category's with --column")
