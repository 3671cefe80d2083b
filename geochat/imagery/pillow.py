"""Images read with Pillow: ordinary pictures, PIL images, arrays.

Pillow decodes PNG, JPEG, WebP and BMP of ordinary size, because models are trained on its output; libjpeg builds differ
by a level or two. It also decodes the JPEG 2000 files that GDAL cannot read or reads incorrectly. GDAL reads the rest.
Files are opened with the class of their format, never with `Image.open`, whose pixel limit is a global of the process;
the limit here is the caller's.
"""

import io
from contextlib import suppress
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from geochat.errors import ImageError
from geochat.imagery import files, jpeg2000
from geochat.imagery.labels import Labels
from geochat.imagery.orientation import picture_orientation, tiff_orientation, trailing_exif
from geochat.imagery.rasters import ArrayRaster, Facts
from geochat.imagery.remarks import Remark

_EXIF_ORIENTATION = 274
_DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_COLOURS = ("red", "green", "blue", "alpha")


class _Jpeg(JpegImagePlugin.JpegImageFile):
    def _read_dpi_from_exif(self) -> None:
        """Skip Pillow's DPI reading, which is not needed here and warns of damaged EXIF data."""


_READERS: dict[str, type[ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": _Jpeg,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "JP2OpenJPEG": Jpeg2KImagePlugin.Jpeg2KImageFile,
}
_ONE_OF_SEVERAL = "The file is an animation of {count} pictures; the first is shown."
_SUBSAMPLED = "Its colours are stored at another resolution than its brightness; it was decoded whole, by Pillow."
_SIGNED = "Its samples are signed; they are shown from the least, black, to the greatest."


def read_header(file: files.ImageFile) -> Facts | None:
    """Read the header of a picture; None if GDAL reads it, as for samples with more than 8 bits.

    None too where Pillow does not understand the header: GDAL has the last word on those.
    """
    if file.kind.driver not in _READERS:
        return None
    if file.kind.driver == "JP2OpenJPEG":
        return _read_jpeg2000(file)
    if file.kind.driver == "PNG" and file.head[24:25] == b"\x10":  # 16 bits, half of which Pillow drops in silence
        return None
    with file.decoding(), file.path.open("rb") as stream, suppress(*files.DECODING_ERRORS):
        image = _READERS[file.kind.driver](stream)
        if image.mode in _DEEP_MODES:
            return None
        count = getattr(image, "n_frames", 1)
        remarks = (Remark("page", _ONE_OF_SEVERAL.format(count=count)),) if count > 1 else ()
        return _facts(image, _orientation(image, stream), remarks)
    return None


def decode(file: files.ImageFile) -> ArrayRaster:
    """Decode the samples of a picture, as stored.

    Raises:
        ImageError: It is damaged.
    """
    with file.decoding(), file.path.open("rb") as stream:
        if file.kind.driver != "JP2OpenJPEG":
            return _samples(_READERS[file.kind.driver](stream))
        header = jpeg2000.read_header(file.path)
        bits = 8 if header is None else min(8, header.components[0].bits)
        return _samples(_open_jpeg2000(stream, header), top=255 >> (8 - bits) << (8 - bits))


def read_orientation(file: files.ImageFile, directory: int = 1) -> int:
    """Read the EXIF orientation of a file that GDAL reads, from its header alone; 1 if missing or unreadable.

    Args:
        file: The file.
        directory: The number of the page's directory in a TIFF.
    """
    if file.kind.driver == "GTiff":
        return tiff_orientation(file.path, directory)
    with suppress(*files.DECODING_ERRORS), file.path.open("rb") as stream:
        if file.kind.driver in _READERS and file.kind.driver != "JP2OpenJPEG":
            return _orientation(_READERS[file.kind.driver](stream), stream)
    return 1


def from_pillow(image: Image.Image) -> tuple[ArrayRaster, int]:
    """Return the samples of a PIL image, as stored, and its EXIF orientation.

    Palettes, CMYK and the like are converted to RGB; transparency of any kind becomes an alpha channel.
    """
    with files.decoding("the image"):
        image.load()  # before the tag is read: Pillow turns TIFFs itself while loading, and then drops the tag
        orientation = 1
        with suppress(*files.DECODING_ERRORS):
            orientation = int(image.getexif().get(_EXIF_ORIENTATION, 1))
        return _samples(image), orientation


def from_array(array: NDArray[np.generic]) -> ArrayRaster:
    """Return an array (height, width) or (height, width, bands) as a raster.

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
    return _as_raster(np.moveaxis(np.atleast_3d(array), -1, 0))


def _as_raster(samples: NDArray[np.generic], top: int = 255) -> ArrayRaster:
    bands = len(samples)
    if samples.dtype != np.uint8 or bands not in (3, 4):
        return ArrayRaster(samples, Labels(("",) * bands), top=top)
    alpha = samples[3].astype(np.uint8, copy=False) if bands == 4 else None
    return ArrayRaster(samples, Labels(_COLOURS[:bands]), alpha, top)


def _read_jpeg2000(file: files.ImageFile) -> Facts | None:
    """Read the header of a JPEG 2000 file that Pillow shows correctly and GDAL does not."""
    header = jpeg2000.read_header(file.path)
    if header is None or not header.needs_pillow:
        return None
    with file.decoding(), file.path.open("rb") as stream:
        text = _SUBSAMPLED if header.is_subsampled else _SIGNED
        image = _open_jpeg2000(stream, header)
        if len(image.getbands()) != len(header.components) or not header.can_be_joined:
            raise ImageError(
                f"{file.name} has {len(header.components)} components of kinds that cannot be shown together; convert"
                " it to a GeoTIFF (opj_decompress -upsample)"
            )
        return _facts(image, 1, (Remark("jpeg2000", text),))


def _open_jpeg2000(stream: IO[bytes], header: jpeg2000.Header | None) -> ImageFile.ImageFile:
    if header is not None and len(steps := {each.step for each in header.components}) == 1 and steps != {(1, 1)}:
        stream = io.BytesIO(jpeg2000.as_full_size(stream.read(), header))
    return Jpeg2KImagePlugin.Jpeg2KImageFile(stream)


def _facts(image: ImageFile.ImageFile, orientation: int, remarks: tuple[Remark, ...]) -> Facts:
    labels = _labels(image)
    return Facts(image.size, orientation, labels, ("",) * len(labels), "uint8", 255, remarks=remarks)


def _samples(image: Image.Image, top: int = 255) -> ArrayRaster:
    if image.mode in _DEEP_MODES:
        return from_array(np.asarray(image))
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[len(_labels(image))]
    pixels = np.atleast_3d(np.asarray(image if image.mode == mode else image.convert(mode)))
    return _as_raster(np.moveaxis(pixels, -1, 0), top)


def _labels(image: Image.Image) -> tuple[str, ...]:
    """Return the labels of the bands to which an 8-bit image is converted."""
    if image.has_transparency_data:
        return _COLOURS
    return ("",) if image.mode in ("1", "L") else _COLOURS[:3]


def _orientation(image: ImageFile.ImageFile, stream: IO[bytes]) -> int:
    if image.format == "PNG" and "exif" not in image.info and (trailing := trailing_exif(stream)):
        return picture_orientation({**image.info, "exif": trailing})
    return picture_orientation(image.info)
