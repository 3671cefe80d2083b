"""What Pillow reads: ordinary pictures, PIL images, and EXIF orientation.

Pillow decodes PNG, JPEG and WebP of ordinary size, because models are trained on what it decodes; libjpeg builds
differ by a level or two. GDAL reads the rest. Files are opened by the class of their format, never by
`Image.open`, whose limit on pixels is a global of the process; the limit here is the caller's.
"""

from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from geochat.errors import ImageError
from geochat.imagery.files import DECODING_ERRORS, quiet
from geochat.imagery.rasters import ArrayRaster

_ORIENTATION = 274  # the same tag in EXIF and TIFF
_DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_READERS: dict[str, type[ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
}


def can_decode(driver: str) -> bool:
    """Whether Pillow may decode files of this GDAL driver."""
    return driver in _READERS


def decode(path: Path, driver: str) -> tuple[ArrayRaster, int]:
    """The samples of a picture, as stored, and its EXIF orientation."""
    with path.open("rb") as stream:
        return from_pillow(_read_header(stream, driver))


def decode_plain(path: Path, driver: str, max_pixels: int) -> tuple[ArrayRaster, int] | None:
    """As `decode`; None where the samples have more than 8 bits, or too many, or Pillow cannot read the header."""
    with path.open("rb") as stream:
        if driver == "PNG" and stream.read(25)[24:] == b"\x10":  # Pillow drops half of 16-bit colour and keeps silent
            return None
        stream.seek(0)
        image = None
        with suppress(*DECODING_ERRORS):
            image = _read_header(stream, driver)
        if image is None or image.width * image.height > max_pixels:
            return None
        return from_pillow(image)


def read_orientation(path: Path, driver: str) -> int:
    """EXIF orientation from a file's header alone, 1 where there is none or it cannot be read."""
    with path.open("rb") as stream, suppress(*DECODING_ERRORS):
        if driver == "GTiff":
            with quiet():
                return _tiff_orientation(stream)
        if driver in _READERS:
            exif = Image.Exif()
            exif.load(_read_header(stream, driver).info.get("exif", b""))
            return int(exif.get(_ORIENTATION, 1))
    return 1


def from_pillow(image: Image.Image) -> tuple[ArrayRaster, int]:
    """The samples of a PIL image, as stored, and its EXIF orientation.

    Palettes, CMYK and the like are converted to RGB; transparency of any kind becomes an alpha channel.
    """
    image.load()  # before the tag is read: Pillow turns TIFFs itself while loading, and then drops the tag
    orientation = 1
    with quiet(), suppress(*DECODING_ERRORS):
        orientation = int(image.getexif().get(_ORIENTATION, 1))
    if image.mode in _DEEP_MODES:
        return from_array(np.asarray(image)), orientation
    if image.has_transparency_data:
        samples = np.asarray(image.convert("RGBA"))
    else:
        mode = "L" if image.mode in ("1", "L") else "RGB"
        samples = np.asarray(image if image.mode == mode else image.convert(mode))
    return from_array(samples), orientation


def from_array(array: NDArray[np.generic]) -> ArrayRaster:
    """An array (height, width) or (height, width, bands) as a raster.

    Three bands of uint8 are red, green, blue and a fourth is transparency, unless the caller picks bands by number;
    bool is black and white.

    Raises:
        ImageError: The array is empty, or of another shape or kind.
    """
    if array.ndim not in (2, 3) or array.size == 0:
        raise ImageError(f"an array of shape {array.shape} is no image; give (height, width) or (height, width, bands)")
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind not in "uif":
        raise ImageError(f"an array of {array.dtype} is no image; give integers or floats")
    samples = np.moveaxis(np.atleast_3d(array), -1, 0)
    bands = len(samples)
    if samples.dtype != np.uint8 or bands not in (3, 4):
        return ArrayRaster(samples, ("",) * bands)
    labels = ("red", "green", "blue", "alpha")[:bands]
    return ArrayRaster(samples, labels, samples[3] if bands == 4 else None)


def _read_header(stream: IO[bytes], driver: str) -> ImageFile.ImageFile:
    with quiet():
        return _READERS[driver](stream)


def _tiff_orientation(stream: IO[bytes]) -> int:
    """Read from the first directory alone: Pillow's TIFF reader refuses many of the rasters that GDAL reads."""
    header = stream.read(8)
    if 43 in header[2:4]:  # BigTIFF
        header += stream.read(8)
    directory = TiffImagePlugin.ImageFileDirectory_v2(header)
    stream.seek(directory.next)
    directory.load(stream)
    return int(directory.get(_ORIENTATION, 1))
