"""EXIF orientation, from a file's header alone.

Read here rather than by Pillow, which reads every tag and reports damage by warnings: Python's warning filters belong
to the whole process, so no thread can silence them for itself. What cannot be read is 1, upright.
"""

import io
import os
import re
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

_ORIENTATION = 274  # the same tag in EXIF and TIFF
_VALUES = {1: "B", 3: "H", 4: "I"}  # of the tag's type: BYTE, SHORT, LONG
_MOST_TAGS = 4096
_CHUNK = struct.Struct(">I4s")
_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_DAMAGED = (struct.error, KeyError, ValueError, IndexError, OSError, OverflowError)


def tiff_orientation(path: Path, directory: int = 1) -> int:
    """The orientation of an image in a TIFF or BigTIFF, by the number of its directory from 1."""
    with suppress(*_DAMAGED), path.open("rb") as stream:
        return _from_directory(stream, directory) or 1
    return 1


def picture_orientation(info: Mapping[Any, Any]) -> int:
    """The orientation of a picture, from what Pillow put into `Image.info`: EXIF, else XMP."""
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
    """The EXIF data that some programs write behind a PNG's pixels."""
    descriptor, place = stream.fileno(), 8
    with suppress(*_DAMAGED):
        while len(head := os.pread(descriptor, 8, place)) == 8:
            length, kind = _CHUNK.unpack(head)
            if kind == b"eXIf":
                return os.pread(descriptor, length, place + 8)
            place += 12 + length
    return None


def _from_directory(stream: IO[bytes], number: int = 1) -> int | None:
    """The tag's value in a directory, by its number, of TIFF data; None where it has none."""
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
