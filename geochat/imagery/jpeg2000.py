"""Components of a JPEG 2000 file: facts that GDAL does not report or cannot read."""

import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

CMYK = 12  # of the enumerated colour spaces
_MOST_BOXES = 1000
_MOST_BYTES = 2**20
_SIZ = struct.Struct(">HHIIIIIIIIH")
_DAMAGED = (struct.error, OSError, ValueError, IndexError)


@dataclass(frozen=True)
class Component:
    """One component of a codestream.

    Attributes:
        bits: Bits of its samples.
        signed: Whether they may be negative.
        step: (columns, rows) of the image a sample covers.
    """

    bits: int
    signed: bool
    step: tuple[int, int]


@dataclass(frozen=True)
class Header:
    """Components of a file.

    Attributes:
        size: (width, height) of the image.
        components: In their order.
        colours: The enumerated colour space, None where there is none.
        opacity: The index of the component that is transparency, None for none or unknown.
        size_at: Offset of the codestream's size in the file.
    """

    size: tuple[int, int]
    components: tuple[Component, ...]
    colours: int | None
    opacity: int | None
    size_at: int

    @property
    def is_subsampled(self) -> bool:
        """Return whether components have fewer samples than the image has pixels, in a way that GDAL does not open.

        It opens the one with colour at half the resolution, as JPEG has it.
        """
        steps = [component.step for component in self.components]
        halved = [(1, 1), (2, 2), (2, 2)]
        return set(steps) != {(1, 1)} and steps != halved

    @property
    def can_be_joined(self) -> bool:
        """Return whether all components have one resolution, or are brightness and two of colour."""
        steps = [component.step for component in self.components]
        return len(set(steps)) == 1 or (len(steps) == 3 and steps[0] == (1, 1) and steps[1] == steps[2])

    @property
    def needs_pillow(self) -> bool:
        """Return whether Pillow shows the file correctly and GDAL does not: GDAL clips negative 8-bit values."""
        return self.is_subsampled or any(each.signed and each.bits <= 8 for each in self.components)


def read_header(path: Path) -> Header | None:
    """Read the header; None if it is damaged."""
    with suppress(*_DAMAGED), path.open("rb") as stream:
        if stream.read(4) == b"\xff\x4f\xff\x51":
            return _codestream(stream, 0, b"")
        return _boxes(stream)
    return None


def as_full_size(data: bytes, header: Header) -> bytes:
    """Return the file with the size of its samples, if all components cover the same (columns, rows) of the image."""
    step = header.components[0].step
    patched = bytearray(data)
    fields = list(_SIZ.unpack_from(patched, header.size_at))
    for place in range(2, 10):
        fields[place] = -(-fields[place] // step[place % 2])
    _SIZ.pack_into(patched, header.size_at, *fields)
    for number in range(len(header.components)):
        at = header.size_at + _SIZ.size + 3 * number
        patched[at + 1 : at + 3] = b"\1\1"
    if (box := patched.find(b"ihdr", 0, header.size_at)) >= 0:
        struct.pack_into(">II", patched, box + 4, fields[3] - fields[5], fields[2] - fields[4])
    return bytes(patched)


def _boxes(stream: IO[bytes]) -> Header | None:
    about, place = b"", 0
    for _ in range(_MOST_BOXES):
        stream.seek(place)
        length, kind = struct.unpack(">I4s", stream.read(8))
        start = place + 8
        if length == 1:
            (length,) = struct.unpack(">Q", stream.read(8))
            start = place + 16
        if kind == b"jp2h":
            about = stream.read(min(length, _MOST_BYTES))
        if kind == b"jp2c":
            return _codestream(stream, start, about)
        place += max(8, length)
    return None


def _codestream(stream: IO[bytes], start: int, about: bytes) -> Header:
    stream.seek(start + 4)
    at = start + 4
    fields = _SIZ.unpack(stream.read(_SIZ.size))
    described = stream.read(3 * fields[-1])
    components = tuple(
        Component((depth & 0x7F) + 1, bool(depth & 0x80), (across, down))
        for depth, across, down in struct.iter_unpack("BBB", described)
    )
    size = fields[2] - fields[4], fields[3] - fields[5]
    if not components or min(size) < 1 or any(min(component.step) < 1 for component in components):
        raise ValueError("no image has such components")
    colours = about.find(b"colr\1")
    enumerated = struct.unpack_from(">I", about, colours + 7)[0] if colours >= 0 else None
    return Header(size, components, enumerated, _opacity(about), at)


def _opacity(about: bytes) -> int | None:
    """Return the component that a channel definition box declares as opacity, premultiplied or not."""
    box = about.find(b"cdef")
    if box < 0:
        return None
    (count,) = struct.unpack_from(">H", about, box + 4)
    channels = [struct.unpack_from(">HHH", about, box + 6 + 6 * number) for number in range(count)]
    return next((channel for channel, kind, _ in channels if kind in (1, 2)), None)
