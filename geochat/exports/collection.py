"""The regions of several images as one layer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geochat.errors import ExportError
from geochat.exports.geojson import to_geojson, write_geojson
from geochat.exports.geopackage import write_geopackage
from geochat.exports.grounded import GroundedRegion
from geochat.geometry.geographic import WGS84

_OF_AN_IMAGE = ("image", "image_sha256", "image_size", "crs", "bands", "stretch", "window")


class Collection:
    """Regions collected image by image, without pixels.

    A region has the property `image`, the image's name as given. Provenance that all answers share is written once;
    that of single images is listed by image in GeoJSON, and repeated for each region in a GeoPackage.
    """

    def __init__(self) -> None:
        self._regions: list[GroundedRegion] = []
        self._images: list[str] = []  # of each region
        self._provenance: dict[str, Mapping[str, Any]] = {}

    def add(self, image: str, regions: Sequence[GroundedRegion], provenance: Mapping[str, Any]) -> None:
        """Add the regions of a georeferenced image; there may be none.

        Args:
            image: Its name.
            regions: Its regions.
            provenance: Provenance, JSON-ready, with the image's `crs`.
        """
        self._regions += regions
        self._images += [image] * len(regions)
        self._provenance[image] = provenance

    @property
    def crs_list(self) -> tuple[str, ...]:
        """The CRSs of the images, without duplicates."""
        return tuple(dict.fromkeys(str(each["crs"]) for each in self._provenance.values()))

    @property
    def crs(self) -> str:
        """The CRS shared by all images, else EPSG:4326."""
        shared = self.crs_list
        return shared[0] if len(shared) == 1 else WGS84

    def save_geojson(self, path: str | Path) -> Path:
        """Write the layer as GeoJSON, in longitude and latitude.

        Raises:
            ExportError: No image with a place was added, or the file cannot be written.
        """
        self._require_images(path)
        images = {
            name: {key: value for key, value in each.items() if key in _OF_AN_IMAGE}
            for name, each in self._provenance.items()
        }
        beside = [{"image": name} for name in self._images]
        document = to_geojson(self._regions, WGS84, {**self._common(), "images": images}, beside)
        return write_geojson(path, document)

    def to_geopackage(self, path: str | Path) -> Path:
        """Write the layer as a GeoPackage, in `crs`.

        Raises:
            ExportError: No image with a place was added, or the file cannot be written.
        """
        self._require_images(path)
        common = self._common()
        own = {
            name: {"image": name, **{key: value for key, value in each.items() if key not in ("image", *common)}}
            for name, each in self._provenance.items()
        }
        return write_geopackage(path, self._regions, self.crs, common, [own[name] for name in self._images])

    def _common(self) -> dict[str, Any]:
        """Return the provenance that all images share, without that of single images."""
        first, *rest = self._provenance.values()
        return {
            key: value
            for key, value in first.items()
            if key not in _OF_AN_IMAGE and all(key in each and each[key] == value for each in rest)
        }

    def _require_images(self, path: str | Path) -> None:
        if not self._provenance:
            raise ExportError(f"{path} was not written: no image that was answered has a place on Earth")
