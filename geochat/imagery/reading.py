"""Opening of an image for a single view."""

from collections.abc import Sequence
from pathlib import Path

from geochat.imagery.bands import BandChoice
from geochat.imagery.image import GeoImage
from geochat.imagery.scene import MAX_PIXELS, MAX_SIDE, Scene
from geochat.imagery.sources import ImageSource
from geochat.imagery.stretch import Method, Stretch


def open_image(
    source: ImageSource,
    *,
    bands: BandChoice = "auto",
    stretch: Stretch | Method = "auto",
    window: Sequence[int] | None = None,
    page: int = 1,
    asset: str | None = None,
    max_side: int = MAX_SIDE,
    max_pixels: int = MAX_PIXELS,
) -> GeoImage:
    """Open an image as 8-bit RGB, in bounded memory whatever its size.

    For several views of one image, open a `Scene`, or look again with `GeoImage.look`.

    Args:
        source: As `Scene.open`: a string that a user typed may be an address, a `Path` never is one.
        bands: Bands to show; see `choose_bands`. True colour by default.
        stretch: Mapping of samples to 8 bits; see `Stretch`. Percentiles are those of the view read.
        window: (column, row, width, height) in pixels of the whole image, after the turn EXIF asks for; the whole
            image by default.
        page: Number of the image in a TIFF with several, from 1.
        asset: Asset of a STAC item.
        max_side: The view's longer side at most; larger windows are averaged down, from overviews where there are.
        max_pixels: Maximum number of decoded pixels for this view, against decompression bombs.

    Raises:
        ImageError: The source is missing, not an image, out of reach, damaged, too large, or has no valid pixel; or
            the bands, the window, the page or the asset are not in it.
        SettingsError: The stretch or `max_side` has an impossible value.
    """
    with Scene.open(source, page=page, asset=asset) as scene:
        return scene.read(window, max_side=max_side, bands=bands, stretch=stretch, max_pixels=max_pixels)


def image_size(path: str | Path) -> tuple[int, int]:
    """Return the (width, height) of an image file after EXIF orientation, from its header alone.

    Raises:
        ImageError: It is missing, not a local image, or its header is damaged.
    """
    with Scene.open(path) as scene:
        return scene.size
