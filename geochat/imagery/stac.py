"""STAC items: resolution of an item's asset to an image.

An item is JSON at an https:// address or in a local file, read by pystac (the extra "stac"). Its assets may be on
servers; local files are allowed only if the item itself is a local file.
"""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from geochat.errors import ImageError
from geochat.imagery.remote import is_address, is_loopback, open_address, require_address

if TYPE_CHECKING:
    import pystac

_MOST_BYTES = 16 * 2**20
_ENDINGS = (".json", ".geojson")
_RASTERS = ("image/tiff", "image/vnd.stac.geotiff", "image/jp2", "image/png", "image/jpeg")
_RASTER_ENDINGS = (".tif", ".tiff", ".jp2", ".png", ".jpg", ".jpeg")
_ASIDE = {"thumbnail", "overview", "metadata"}


def is_item(source: str | Path) -> bool:
    """Return whether a source has the name of a STAC item."""
    path = urlsplit(source).path if is_address(source) else str(source)
    return path.lower().endswith(_ENDINGS)


def find_asset(source: str | Path, asset: str | None = None) -> str | Path:
    """Return the image of an item's asset: an address, or a local file.

    Args:
        source: An https:// address as typed, or the path of a file.
        asset: The asset's name; by default the only image there is, or "visual".

    Raises:
        ImageError: The item cannot be read, has no such asset or no image, or several of which none is chosen; or its
            asset is on this machine while the item is on another; or pystac is not installed.
    """
    item, name = _read(source)
    return _asset_of(item, name, source, asset)


class ListedItem(NamedTuple):
    """An item of a list.

    Attributes:
        image: Its image, as `find_asset` gives it; of an item that has none, or cannot be read, the item's own name.
        datetime: When it was taken, or began to be, in ISO 8601; None where it does not say.
        geometry: Its footprint as GeoJSON, in longitude and latitude; None where it has none.
    """

    image: str | Path
    datetime: str | None = None
    geometry: Mapping[str, Any] | None = None


def list_items(source: str | Path, asset: str | None = None) -> Iterator[ListedItem]:
    """List the items of a file: one item, an item collection such as a search result, or a catalogue with links.

    Args:
        source: An https:// address as typed, or the path of a file.
        asset: The asset of each item that is taken; see `find_asset`.

    Raises:
        ImageError: The file cannot be read or is none of these; or pystac is not installed.
    """
    to_read, seen = [source], set[str]()
    while to_read:
        here = to_read.pop()
        if str(here) in seen:
            continue
        seen.add(str(here))
        name = require_address(here) if is_address(here) else str(here)
        document = _load(here, name)
        kind = document.get("type")
        if kind == "FeatureCollection":
            yield from (
                _listed(feature, here, f"item {number} of {name}", asset)
                for number, feature in enumerate(document.get("features") or (), 1)
            )
        elif kind in ("Catalog", "Collection"):
            links = [each for each in document.get("links") or () if each.get("rel") in ("item", "child")]
            to_read += [_beside(here, str(each.get("href"))) for each in reversed(links)]
        elif here == source:
            yield _listed(document, here, name, asset)
        else:
            with suppress(ImageError):
                yield _listed(document, here, name, asset)
                continue
            yield ListedItem(here)


def _listed(document: Any, source: str | Path, name: str, asset: str | None) -> ListedItem:  # noqa: ANN401 - any JSON
    item = _parse(document if isinstance(document, dict) else {}, source, name)
    taken = item.datetime or item.common_metadata.start_datetime
    image = _asset_of(item, name, source, asset)
    return ListedItem(image, None if taken is None else taken.isoformat(), item.geometry)


def _beside(source: str | Path, href: str) -> str | Path:
    """Return the file that a link in another one names."""
    if is_address(source):
        return urljoin(str(source), href)
    return href if is_address(href) else Path(source).parent / href


def _asset_of(item: "pystac.Item", name: str, source: str | Path, asset: str | None) -> str | Path:
    """Return the image of an item that was read from a source."""
    chosen = item.assets[_choose(item, asset, name)]
    href = chosen.get_absolute_href() or chosen.href
    if is_address(href):
        require_address(href)
        if not _is_here(source) and is_loopback(urlsplit(href).hostname or ""):
            raise ImageError(f"{name} names an asset on this machine ({href}), which is not opened")
        return href
    if is_address(source):
        raise ImageError(f"{name} names the local file {href} as its asset, which is not opened; download the asset")
    return Path(href)


def _read(source: str | Path) -> tuple["pystac.Item", str]:
    name = require_address(source) if is_address(source) else str(source)
    return _parse(_load(source, name), source, name), name


def _parse(document: dict[str, Any], source: str | Path, name: str) -> "pystac.Item":
    try:
        import pystac  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ImageError(f"{source} is a STAC item; install geochat[stac], or give the image itself") from error
    if document.get("type") != "Feature" or "assets" not in document:
        kind = document.get("type", "no type")
        raise ImageError(f"{name} is no STAC item ({kind}); give the address of one item, as a search finds them")
    try:
        return pystac.Item.from_dict(document, href=str(source), preserve_dict=False)
    except Exception as error:  # whatever a malformed item makes pystac raise
        raise ImageError(f"{name} cannot be read as a STAC item ({error}); check it with stac-validator") from error


def _load(source: str | Path, name: str) -> dict[str, Any]:
    try:
        if not is_address(source):
            with Path(source).open("rb") as file:
                text = file.read(_MOST_BYTES + 1)
        elif urlsplit(source).scheme in ("http", "https"):
            with open_address(urllib.request.Request(str(source), headers={"Accept": "application/json"})) as reply:
                text = reply.read(_MOST_BYTES + 1)
        else:
            raise ImageError(f"{name} is read by https:// only; give the item's https:// address, or download it")
    except OSError as error:
        raise ImageError(f"{name} cannot be read ({error.strerror or error}); check it") from error
    if len(text) > _MOST_BYTES:
        raise ImageError(f"{name} is larger than {_MOST_BYTES >> 20} MB, which no STAC item is; check the address")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{name} is no STAC item: it is not JSON ({error})") from error
    return document if isinstance(document, dict) else {}


def _choose(item: "pystac.Item", asset: str | None, name: str) -> str:
    images = [key for key, each in item.assets.items() if _is_image(each)]
    listed = ", ".join(images) or "none"
    if asset is not None:
        if asset in item.assets:
            return asset
        raise ImageError(f"{name} has no asset {asset!r}; its images are: {listed}")
    data = [key for key in images if not _ASIDE & set(item.assets[key].roles or ())] or images
    if not data:
        others = ", ".join(item.assets) or "none"
        raise ImageError(f"{name} has no asset that is an image; its assets are: {others}")
    if len(data) > 1 and "visual" not in data:
        raise ImageError(f"{name} has several images: {listed}; choose one with asset (--asset)")
    return "visual" if "visual" in data else data[0]


def _is_image(asset: "pystac.Asset") -> bool:
    media = (asset.media_type or "").split(";")[0].strip().lower()
    return media in _RASTERS or (not media and urlsplit(asset.href).path.lower().endswith(_RASTER_ENDINGS))


def _is_here(source: str | Path) -> bool:
    """Return whether an item is on this machine."""
    return not is_address(source) or is_loopback(urlsplit(source).hostname or "")
