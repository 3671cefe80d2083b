"""GDAL's side file `image.tif.aux.xml` (persistent auxiliary metadata), read without GDAL.

GDAL would follow references in such a file. Only the georeference, nodata values, names and metadata are read here, and
nothing that refers to another file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from affine import Affine

_MOST_BYTES = 16 * 2**20
Point = tuple[float, float, float, float]  # column, row, x, y


@dataclass(frozen=True)
class PamBand:
    """A side file's statements about one band.

    Attributes:
        description: Name of the band, "" without one.
        interpretation: GDAL's colour interpretation in lower case, "" where there is none.
        nodata: The nodata value, None without one.
        tags: Metadata of all domains.
    """

    description: str = ""
    interpretation: str = ""
    nodata: float | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pam:
    """Statements of a side file.

    Attributes:
        transform: The geotransform, None without one.
        crs: The CRS as written, mostly WKT; "" without one.
        points: Ground control points.
        points_crs: Their CRS; "" if there is none.
        bands: By number, from 1.
        tags: Metadata of all domains but those that refer to other files.
        names_file: Whether it names another file as an overview.
        has_rpc: Whether it holds rational polynomial coefficients.
    """

    transform: Affine | None = None
    crs: str = ""
    points: tuple[Point, ...] = ()
    points_crs: str = ""
    bands: Mapping[int, PamBand] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    names_file: bool = False
    has_rpc: bool = False


def read_pam(path: Path) -> Pam:
    """Read a side file.

    Raises:
        ValueError: It is too large, or not what GDAL writes.
        OSError: It cannot be read.
    """
    with path.open("rb") as stream:
        text = stream.read(_MOST_BYTES + 1)
    if len(text) > _MOST_BYTES:
        raise ValueError(f"it is larger than {_MOST_BYTES >> 20} MB")
    if b"\0" in text or b"<!" in text.replace(b"<!--", b"").replace(b"<![CDATA[", b""):
        raise ValueError("it declares entities or is not UTF-8")
    try:
        root = ElementTree.fromstring(text)  # no declarations, so no entities to expand
    except ElementTree.ParseError as error:
        raise ValueError(f"it is no XML ({error})") from error
    if root.tag != "PAMDataset":
        raise ValueError(f"it holds <{root.tag}>, not <PAMDataset>")
    gcps = root.find("GCPList")
    domains = [node.get("domain", "") for node in root.iter("Metadata")]
    keys = {node.get("key", "").upper() for node in root.iter("MDI")}
    return Pam(
        transform=_transform(root.findtext("GeoTransform")),
        crs=(root.findtext("SRS") or "").strip(),
        points=() if gcps is None else tuple(_points(gcps)),
        points_crs="" if gcps is None else gcps.get("Projection", ""),
        bands={number: _band(node) for number, node in enumerate(root.findall("PAMRasterBand"), 1)},
        tags=_tags(root),
        names_file="OVERVIEW_FILE" in keys,
        has_rpc="RPC" in domains,
    )


def _band(node: ElementTree.Element) -> PamBand:
    nodata = node.findtext("NoDataValue")
    return PamBand(
        (node.findtext("Description") or "").strip(),
        (node.findtext("ColorInterp") or "").strip().lower(),
        None if nodata is None else float(nodata),
        _tags(node),
    )


def _tags(node: ElementTree.Element) -> dict[str, str]:
    """Keys and values of the node's own metadata."""
    return {
        item.get("key", ""): (item.text or "").strip()
        for metadata in node.findall("Metadata")
        if metadata.get("domain") != "OVERVIEWS"
        for item in metadata.findall("MDI")
    }


def _transform(text: str | None) -> Affine | None:
    if text is None:
        return None
    numbers = [float(number) for number in text.split(",")]
    if len(numbers) != 6:
        raise ValueError(f"its geotransform has {len(numbers)} numbers, not 6")
    return Affine.from_gdal(*numbers)


def _points(gcps: ElementTree.Element) -> Iterator[Point]:
    for node in gcps.findall("GCP"):
        column, row, x, y = (float(node.get(name, "nan")) for name in ("Pixel", "Line", "X", "Y"))
        yield column, row, x, y
