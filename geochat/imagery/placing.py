"""Georeference of an image: the precedence of its sources, and remarks on them.

A geotransform in a side file takes precedence over the image's own, followed by ground control points and a world file.
Control points are fitted by an affine map, and the residuals are reported. If no affine map fits them, and for rational
polynomial coefficients, which need terrain heights, there is no georeference, and a remark explains how to make one.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import RasterioError

from geochat.geometry import crs_text
from geochat.imagery.gdal import QuietReader
from geochat.imagery.pam import Point
from geochat.imagery.remarks import Remark
from geochat.imagery.side_files import Companions

_MOST_MISSED = 0.02  # of the longer side, by which ground control points may miss an affine map
_WARP = "warp the image first (gdalwarp {options}input.tif output.tif)"
_RPC = (
    "Its place is given by rational polynomial coefficients{where}, which are not used: they need the ground's height."
    " For answers on the map, " + _WARP.format(options="-rpc ") + "."
)


@dataclass(frozen=True)
class Place:
    """Georeference of the stored pixels.

    Attributes:
        transform: Map from pixels to map coordinates, None without a georeference.
        crs: CRS of the map coordinates, as "EPSG:32614" or WKT; None if unknown.
        remarks: Remarks on it.
    """

    transform: Affine | None = None
    crs: str | None = None
    remarks: tuple[Remark, ...] = ()


def place_picture(companions: Companions, size: tuple[int, int]) -> Place:
    """Return the georeference of a picture from side files, because the picture itself has none."""
    return _place(companions, size, _Own())


def place_dataset(dataset: QuietReader, companions: Companions) -> Place:
    """Return the georeference of an open file.

    Raises:
        RasterioError: Its header is damaged.
    """
    transform = dataset.transform
    points, points_crs = dataset.gcps
    own = _Own(
        None if transform.is_identity else transform,  # what rasterio reports for want of one
        _read_crs(dataset),
        tuple((point.col, point.row, point.x, point.y) for point in points),
        points_crs,
        has_rpc=bool(dataset.tags(ns="RPC")),
    )
    return _place(companions, (dataset.width, dataset.height), own)


@dataclass(frozen=True)
class _Own:
    """The georeference that the image itself states."""

    transform: Affine | None = None
    crs: CRS | str | None = None
    points: tuple[Point, ...] = ()
    points_crs: CRS | str | None = None
    has_rpc: bool = False


def _place(companions: Companions, size: tuple[int, int], own: _Own) -> Place:
    pam = companions.pam
    said: list[Remark] = []
    transform = _usable(pam.transform, said) or _usable(own.transform, said)
    crs: CRS | str | None = pam.crs or own.crs
    points, points_crs = (pam.points, pam.points_crs) if pam.points else (own.points, own.points_crs)
    if transform is None and points:
        transform = _fit(points, size, said)
        crs = crs or points_crs
    if transform is None and companions.world is not None:
        transform = companions.world
        without = "" if crs else "; it names no coordinate system, so nothing is said in longitude and latitude"
        said.append(Remark("world-file", f"Its place comes from the world file {companions.world_name}{without}."))
    if transform is None and (own.has_rpc or pam.has_rpc or companions.rpc):
        where = f" ({companions.rpc})" if companions.rpc else ""
        said.append(Remark("rpc-not-used", _RPC.format(where=where)))
    origin = (0.0, 0.0) if transform is None else (transform.c, transform.f)
    return Place(transform, _written(crs, said, origin), tuple(said))


def _usable(transform: Affine | None, said: list[Remark]) -> Affine | None:
    if transform is None or (not transform.is_degenerate and all(map(math.isfinite, transform))):
        return transform
    text = f"Its geotransform {tuple(transform)[:6]} has no inverse and is not used; set it with gdal_edit."
    said.append(Remark("geotransform-not-used", text))
    return None


def _fit(points: Sequence[Point], size: tuple[int, int], said: list[Remark]) -> Affine | None:
    """Fit an affine map to points; None if no map fits."""
    known = np.array([point for point in points if all(map(math.isfinite, point))]).reshape(-1, 4)
    pixels = np.column_stack([known[:, :2], np.ones(len(known))])  # (N, 3)
    if len(known) < 3 or np.linalg.matrix_rank(pixels) < 3:
        text = f"Its {len(points)} ground control points do not span the image and are not used."
        said.append(Remark("gcps-not-used", text))
        return None
    solved, *_ = np.linalg.lstsq(pixels, known[:, 2:], rcond=None)  # (3, 2)
    transform = Affine(*solved[:, 0], *solved[:, 1])
    if transform.is_degenerate:
        said.append(Remark("gcps-not-used", "Its ground control points lie on one line and are not used."))
        return None
    back = np.array([~transform @ (x, y) for x, y in known[:, 2:].tolist()])
    missed = float(np.abs(back - known[:, :2]).max())
    if missed > max(3.0, _MOST_MISSED * max(size)):
        text = (
            f"Its {len(known)} ground control points lie up to {missed:.0f} pixels off an affine map, so it is given no"
            f" place. For answers on the map, {_WARP.format(options='-tps ')}."
        )
        said.append(Remark("gcps-not-used", text))
        return None
    off = "less than 0.1" if missed < 0.1 else f"up to {missed:.1f}"
    text = f"Its place is an affine map fitted to {len(known)} ground control points, {off} pixels off them."
    said.append(Remark("gcps", text))
    return transform


def _read_crs(dataset: QuietReader) -> CRS | str | None:
    """Read the dataset's CRS; "unreadable" if it cannot be read."""
    try:
        return dataset.crs
    except (RasterioError, CPLE_BaseError):
        return "unreadable"


def _written(crs: CRS | str | None, said: list[Remark], origin: tuple[float, float]) -> str | None:
    """Return a CRS as text, tested at a point; None, with a remark, if it is not tied to the Earth."""
    if not crs:
        return None
    name = crs
    try:
        known = CRS.from_string(crs) if isinstance(crs, str) and _is_wkt_or_code(crs) else crs
        name = known if isinstance(known, str) else _name(known.to_wkt())
        if not isinstance(known, str) and (known.is_projected or known.is_geographic):
            return crs_text(known, origin)
    except (RasterioError, CPLE_BaseError, ValueError):
        pass
    text = (
        f"Its coordinate system ({str(name)[:60]}) cannot be resolved to a place on Earth, so answers stay in pixels;"
        " assign the right one with gdal_edit -a_srs EPSG:code."
    )
    said.append(Remark("crs-not-resolved", text))
    return None


def _is_wkt_or_code(text: str) -> bool:
    """Return whether text is WKT or an EPSG code: other PROJ input may name a file or an address."""
    return text.lstrip()[:1].isalpha() and ("[" in text[:20] or text.upper().startswith("EPSG:"))


def _name(wkt: str) -> str:
    return next(iter(_quoted(wkt)), "no name")


def _quoted(wkt: str) -> Iterable[str]:
    return wkt.split('"')[1:2]
