"""The files beside an image: which are used, and which are passed over with a remark.

GDAL is told that an image has no neighbours (`gdal_session`), because what it takes for an overview, a mask or metadata
may be of any format, such as VRT or WMS, that makes it read other files or the network. Used here are overviews and
masks that are TIFFs, GDAL's metadata (`pam`) and world files.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from affine import Affine

from geochat.imagery.pam import Pam, read_pam
from geochat.imagery.remarks import Remark

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
NO_PAM = Pam()
_WORLD_BYTES = 4096


@dataclass(frozen=True)
class Companions:
    """Files beside an image.

    Attributes:
        world: The geotransform of a world file, None for want of one.
        world_name: The world file's name.
        pam: GDAL's metadata.
        overview: A TIFF of smaller copies.
        mask: A TIFF of which pixels hold data.
        rpc: The name of a file of rational polynomial coefficients, which are not used.
        remarks: What was passed over.
    """

    world: Affine | None = None
    world_name: str = ""
    pam: Pam = NO_PAM
    overview: Path | None = None
    mask: Path | None = None
    rpc: str = ""
    remarks: tuple[Remark, ...] = ()


def find_companions(path: Path) -> Companions:
    """Look for the files that GDAL, too, would look for beside an image, and read the small ones."""
    remarks: list[Remark] = []
    stem, ending = os.path.splitext(path)  # noqa: PTH122 - this is done for each of a thousand images
    world, metadata = _first(_world_names(stem, ending)), _first([f"{path}.aux.xml"])
    transform, pam = None, NO_PAM
    if world is not None and (transform := _read_world(world)) is None:
        remarks.append(_ignored(world, "it does not hold the six numbers of a world file"))
    if metadata is not None:
        try:
            pam = read_pam(metadata)
        except (ValueError, OSError) as error:
            remarks.append(_ignored(metadata, str(error)))
        if pam.names_file:
            remarks.append(_ignored(metadata, "it names another file as an overview", "That part of "))
    overview = _tiff([f"{path}.ovr", f"{path}.OVR"], "an overview", remarks)
    mask = _tiff(mask_names(path), "a mask", remarks)
    for other, begins in ((".tab", b"!table"), (".aux", b"EHFA_HEADER_TAG")):
        found = _first([*_cased(stem, other), f"{path}{other}"])
        if found is not None and _head(found, len(begins)).lower() == begins.lower():
            remarks.append(_ignored(found, "files of its format are not read"))
    rpc = _first([f"{stem}_RPC.TXT", f"{stem}_rpc.txt", *_cased(stem, ".rpb")])
    return Companions(
        transform,
        "" if world is None else world.name,
        pam,
        overview,
        mask,
        "" if rpc is None else rpc.name,
        tuple(remarks),
    )


def mask_names(path: Path) -> list[str]:
    """Possible names of a mask beside an image."""
    return [f"{path}.msk", f"{path}.MSK"]


def ignored(path: Path, reason: str) -> Remark:
    """The remark that a side file is passed over."""
    return _ignored(path, reason)


def _ignored(path: Path, reason: str, part: str = "") -> Remark:
    return Remark("side-file-ignored", f"{part}{path.name}, beside the image, is ignored: {reason}.")


def _tiff(names: list[str], role: str, remarks: list[Remark]) -> Path | None:
    found = _first(names)
    if found is None or _head(found, 4) in TIFF_SIGNATURES:
        return found
    remarks.append(_ignored(found, f"{role} beside an image must be a TIFF, and nothing else is opened"))
    return None


def _world_names(stem: str, ending: str) -> list[str]:
    letters = ending[1:]
    endings = {"wld", f"{letters[0]}{letters[-1]}w", f"{letters}w"} if letters else {"wld"}
    return [name for each in sorted(endings) for name in _cased(stem, f".{each}")]


def _cased(stem: str, ending: str) -> list[str]:
    return [f"{stem}{ending.lower()}", f"{stem}{ending.upper()}"]


def _first(names: list[str]) -> Path | None:
    return next((Path(name) for name in names if os.path.isfile(name)), None)  # noqa: PTH113 - faster, and never raises


def _head(path: Path, count: int) -> bytes:
    try:
        with path.open("rb", buffering=0) as stream:
            return stream.read(count)
    except OSError:
        return b""


def _read_world(path: Path) -> Affine | None:
    """Pixels, from their corners, to map coordinates; None where the file does not hold that."""
    try:
        a, d, b, e, c, f = map(float, _head(path, _WORLD_BYTES).decode("ascii").split()[:6])
    except ValueError:
        return None
    centred = Affine(a, b, c, d, e, f)
    usable = not centred.is_degenerate and all(map(_is_finite, centred))
    return centred @ Affine.translation(-0.5, -0.5) if usable else None


def _is_finite(number: float) -> bool:
    return abs(number) < float("inf")
