"""Which files may be opened, and the settings GDAL opens them under.

Only existing local files in one of `FORMATS`, told by their first bytes and opened with that one driver: GDAL would
otherwise follow URLs, archives and formats such as VRT that name other files. A TIFF can do so too, through an
external overview named in its own metadata; such a file is refused.
"""

import os
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import rasterio
from rasterio._err import CPLE_BaseError  # GDAL's errors that rasterio passes on unwrapped have no public name
from rasterio.errors import RasterioError

from geochat.errors import ImageError

# What GDAL and Pillow raise for damaged files.
DECODING_ERRORS = (
    *(RasterioError, CPLE_BaseError, OSError, EOFError, SyntaxError, ValueError),
    *(TypeError, IndexError, KeyError, OverflowError, MemoryError, struct.error, zlib.error),
)

_CACHE_BYTES = 64 * 2**20  # GDAL's own default is 5 % of the machine's memory

_warnings_lock = threading.Lock()


@dataclass(frozen=True)
class Format:
    """A raster format: the name of GDAL's driver, and the bytes its files begin with."""

    driver: str
    signatures: tuple[bytes, ...]
    decoded_whole: bool = False


FORMATS = (
    Format("GTiff", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    Format("PNG", (b"\x89PNG\r\n\x1a\n",)),
    Format("JPEG", (b"\xff\xd8\xff",)),
    Format("WEBP", (b"RIFF",), decoded_whole=True),
    Format("JP2OpenJPEG", (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")),
)


def local_file(source: str | Path) -> Path:
    """The absolute path of an existing local file.

    Raises:
        ImageError: It is a URL, a GDAL virtual path, a folder, missing, or not an ordinary file.
    """
    text = os.fspath(source)
    if not text or "\0" in text:
        raise ImageError(f"{text!r} is not a file name; give the path of an image")
    if text.startswith("/vsi") or "://" in text:
        raise ImageError(f"{text!r} is not a local file; download the image and give its path")
    path = Path(text).absolute()
    if path.is_dir():
        raise ImageError(f"{text!r} is a folder; give one image file in it")
    if not path.exists():
        raise ImageError(f"{text!r} does not exist; check the path (URLs and GDAL dataset names are not opened)")
    if not path.is_file():
        raise ImageError(f"{text!r} is not an ordinary file; save the image to one")
    return path


def identify(path: Path) -> Format:
    """The format of a file, by its first bytes.

    Raises:
        ImageError: The file cannot be read, is empty, or is of no known format.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(16)
    except OSError as error:
        raise ImageError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    if not head:
        raise ImageError(f"{path} is empty; fetch or export it again")
    for kind in FORMATS:
        if head.startswith(kind.signatures) and (kind.driver != "WEBP" or head[8:12] == b"WEBP"):
            return kind
    raise ImageError(f"{path} is not a TIFF, PNG, JPEG, WebP or JPEG 2000 image; convert it to one of these")


def has_companion(path: Path) -> bool:
    """Whether a file beside a picture may say where it lies: a world file, MapInfo's table, GDAL's or ESRI's own.

    The names are those that GDAL tries for PNG, JPEG and WebP.
    """
    ending = path.suffix[1:]
    stem = str(path).removesuffix(path.suffix)
    worlds = {f"{ending[0]}{ending[-1]}w", f"{ending}w"} if ending else set()
    endings = {cased for each in {"wld", "tab", "aux", *worlds} for cased in (each.lower(), each.upper())}
    names = (*(f"{stem}.{each}" for each in endings), f"{path}.aux", f"{path}.aux.xml")
    return any(map(os.path.exists, names))


@contextmanager
def gdal_session() -> Iterator[None]:
    """Settings for every use of GDAL: a small cache, no network, an error where a JPEG breaks off.

    One thread, because the JPEG 2000 driver's workers write their complaints to standard error.
    """
    with rasterio.Env(
        GDAL_CACHEMAX=_CACHE_BYTES,
        GDAL_NUM_THREADS=1,
        CPL_VSIL_CURL_ALLOWED_EXTENSIONS="none",
        GDAL_ERROR_ON_LIBJPEG_WARNING="YES",
    ):
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings while a file is opened: having no georeference or odd EXIF data is no fault here.

    The filters are the whole process's, so threads take turns.
    """
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Turn what GDAL and Pillow raise for damaged files into an `ImageError` that names the image."""
    try:
        yield
    except DECODING_ERRORS as error:
        reason = str(error.__cause__ or error) or type(error).__name__
        raise ImageError(
            f"{name} cannot be decoded ({reason}); it may be damaged or cut short: fetch or export it again"
        ) from error
