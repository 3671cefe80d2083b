"""EXIF orientation, read from a file's header alone, and the rotation or flip that it means.

It is read here rather than with Pillow, which reads every tag and reports damage by warnings: Python's warning filters
are global to the process, so a thread cannot silence them. Unreadable orientations are 1, upright.
"""

import io
import os
import re
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from geochat.imagery.windows import Window

_ORIENTATION = 274  # the same tag in EXIF and TIFF
_VALUES = {1: "B", 3: "H", 4: "I"}  # of the tag's type: BYTE, SHORT, LONG
_MOST_TAGS = 4096
_CHUNK = struct.Struct(">I4s")
_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_DAMAGED = (struct.error, KeyError, ValueError, IndexError, OSError, OverflowError)


def tiff_orientation(path: Path, directory: int = 1) -> int:
    """Read the orientation of an image in a TIFF or BigTIFF, by its directory number from 1."""
    with suppress(*_DAMAGED), path.open("rb") as stream:
        return _from_directory(stream, directory) or 1
    return 1


def picture_orientation(info: Mapping[Any, Any]) -> int:
    """Return the orientation of a picture, from Pillow's `Image.info`: EXIF, else XMP."""
    with suppress(*_DAMAGED):
        exif = info.get("exif")
        if exif is None and (profile := info.get("Raw profile type exif")):  # how ImageMagick writes it into a PNG
            exif = bytes.fromhex("".join(profile.split("\n")[3:]))
        while exif and exif.startswith(b"Exif\0\0"):
            exif = exif[6:]
        if exif and (found := _from_directory(io.BytesIO(exif))) is not None:
            return found
    xmp = info.get("XML:com.adobe.xmp") or info.get("xmp") or b""
    match = _XMP.search(xmp.encode() if isinstance(xmp, str) else xmp)
    return int(match[1]) if match else 1


def trailing_exif(stream: IO[bytes]) -> bytes | None:
    """Return the EXIF data that some programs write after a PNG's pixels."""
    descriptor, place = stream.fileno(), 8
    with suppress(*_DAMAGED):
        while len(head := os.pread(descriptor, 8, place)) == 8:
            length, kind = _CHUNK.unpack(head)
            if kind == b"eXIf":
                return os.pread(descriptor, length, place + 8)
            place += 12 + length
    return None


def _from_directory(stream: IO[bytes], number: int = 1) -> int | None:
    """Read the tag's value in a directory of TIFF data, by its number; None if it has none."""
    header = stream.read(8)
    order = {b"II": "<", b"MM": ">"}[header[:2]]
    big = struct.unpack(order + "H", header[2:4]) == (43,)
    offset, length = struct.Struct(order + ("Q" if big else "I")), struct.Struct(order + ("Q" if big else "H"))
    entry = struct.Struct(order + ("HHQ8s" if big else "HHI4s"))
    (start,) = offset.unpack(stream.read(8) if big else header[4:8])
    for _ in range(number - 1):
        stream.seek(start)
        (count,) = length.unpack(stream.read(length.size))
        stream.seek(start + length.size + count * entry.size)
        (start,) = offset.unpack(stream.read(offset.size))
    stream.seek(start)
    (count,) = length.unpack(stream.read(length.size))
    for _ in range(min(count, _MOST_TAGS)):
        tag, kind, _number, value = entry.unpack(stream.read(entry.size))
        if tag == _ORIENTATION:
            (found,) = struct.unpack_from(order + _VALUES[kind], value)
            return int(found)
    return None


# EXIF tag 274: whether rows and columns are swapped, then whether columns, then rows, run backwards.
_TURNS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}


@dataclass(frozen=True)
class Orientation:
    """Orientation of the stored raster, from EXIF tag 274; unknown values mean no change.

    Attributes:
        tag: 1 to 8 as in EXIF, 1 being upright.
        stored_size: (width, height) of the raster as stored.
    """

    tag: int
    stored_size: tuple[int, int]

    @property
    def _turn(self) -> tuple[bool, bool, bool]:
        return _TURNS.get(self.tag, _TURNS[1])

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) after orientation."""
        return self.swapped(self.stored_size)

    def swapped(self, size: tuple[int, int]) -> tuple[int, int]:
        """Swap (width, height) between the oriented and the stored image if needed."""
        return (size[1], size[0]) if self._turn[0] else size

    @property
    def to_stored(self) -> Affine:
        """Map from pixels of the oriented image to stored pixels."""
        swap, mirror_columns, mirror_rows = self._turn
        width, height = self.size
        x = (-1, width) if mirror_columns else (1, 0)
        y = (-1, height) if mirror_rows else (1, 0)
        unmirror = Affine(x[0], 0, x[1], 0, y[0], y[1])
        return Affine.permutation() @ unmirror if swap else unmirror

    def window_to_stored(self, window: Window) -> Window:
        """Return the stored pixels that a window of the oriented image shows."""
        if not any(self._turn):
            return window
        first = self.to_stored @ (float(window.column), float(window.row))
        last = self.to_stored @ (float(window.column + window.width), float(window.row + window.height))
        column, row = round(min(first[0], last[0])), round(min(first[1], last[1]))
        return Window(column, row, *self.swapped(window.size))

    def turn(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Orient an array of (..., height, width) as stored."""
        swap, mirror_columns, mirror_rows = self._turn
        turned = np.swapaxes(stored, -1, -2) if swap else stored
        return turned[..., :: -1 if mirror_rows else 1, :: -1 if mirror_columns else 1]
