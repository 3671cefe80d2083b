"""Files next to an image: those that are used, those ignored with a remark, and the open overview and mask.

GDAL is told that an image has no side files (`gdal_session`), because an overview, mask or metadata file may be of any
format, such as VRT or WMS, that makes it read other files or the network. Used here are overviews and masks that are
TIFFs, GDAL's metadata (`pam`) and world files.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import Resampling
from rasterio.errors import RasterioError

from geochat.errors import ImageError
from geochat.imagery.gdal import QuietReader, open_side_file
from geochat.imagery.pam import Pam, read_pam
from geochat.imagery.remarks import Remark

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
NO_PAM = Pam()
_WORLD_BYTES = 4096


@dataclass(frozen=True)
class Companions:
    """Files next to an image.

    Attributes:
        world: The geotransform of a world file, None without one.
        world_name: The world file's name.
        pam: GDAL's metadata.
        overview: A TIFF of smaller copies.
        mask: A TIFF that marks valid pixels.
        rpc: The name of a file of rational polynomial coefficients, which are not used.
        remarks: Remarks on ignored files.
    """

    world: Affine | None = None
    world_name: str = ""
    pam: Pam = NO_PAM
    overview: Path | None = None
    mask: Path | None = None
    rpc: str = ""
    remarks: tuple[Remark, ...] = ()


def find_companions(path: Path) -> Companions:
    """Look for the files that GDAL would also look for next to an image, and read the small ones."""
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
    """Return possible names of a mask next to an image."""
    return [f"{path}.msk", f"{path}.MSK"]


def ignored(path: Path, reason: str) -> Remark:
    """Return the remark about an ignored side file."""
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
    """Read the map from pixels (from their corners) to map coordinates; None if the file does not hold one."""
    try:
        a, d, b, e, c, f = map(float, _head(path, _WORLD_BYTES).decode("ascii").split()[:6])
    except ValueError:
        return None
    centred = Affine(a, b, c, d, e, f)
    usable = not centred.is_degenerate and all(map(_is_finite, centred))
    return centred @ Affine.translation(-0.5, -0.5) if usable else None


def _is_finite(number: float) -> bool:
    return abs(number) < float("inf")


Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels of the image


class SideFiles:
    """The TIFFs next to an image with its overviews and mask, each opened if it fits the image.

    Args:
        dataset: The image, which the smaller copies inside it are read from too.
        companions: Files next to it.
    """

    def __init__(self, dataset: QuietReader, companions: Companions) -> None:
        self._dataset = dataset
        self.remarks = companions.remarks
        self.mask: QuietReader | None = None
        self._overview: QuietReader | None = None
        inside = tuple(dataset.overviews(1))
        if companions.mask is not None:
            self.mask = self._open(companions, "mask")
        if companions.overview is not None and not inside:
            self._overview = self._open(companions, "overview")
        self.factors = inside if self._overview is None else self._outside(self._overview)

    def close(self) -> None:
        """Close both."""
        for dataset in (self.mask, self._overview):
            if dataset is not None:
                dataset.close()

    def uses_overview(self, window: tuple[int, int], size: tuple[int, int]) -> bool:
        """Return whether a window of (width, height) at a size is read from the external overview."""
        shrink = min(window[0] / size[0], window[1] / size[1])
        return self._overview is not None and self.factors[0] <= shrink

    def nearest(self, box: Box, size: tuple[int, int]) -> tuple[QuietReader, rasterio.windows.Window]:
        """Return the dataset from which to read a box for display at (width, height), and the window in it."""
        shrink = min((box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1])
        if self._overview is None or self.factors[0] > shrink:
            return self._dataset, whole_window(box)
        across, down = self._dataset.width / self._overview.width, self._dataset.height / self._overview.height
        return self._overview, _window(box, (across, down))

    def read_mask(self, box: Box, size: tuple[int, int], how: Resampling) -> NDArray[np.uint8]:
        """Read the mask: 255 for valid pixels, (1, height, width)."""
        assert self.mask is not None
        held = self.mask.read([1], window=whole_window(box), out_shape=(1, size[1], size[0]), resampling=how)
        return np.where(held > 0, np.uint8(255), np.uint8(0))

    def _open(self, companions: Companions, role: str) -> QuietReader | None:
        path = companions.mask if role == "mask" else companions.overview
        assert path is not None
        try:
            found = open_side_file(path)
        except (ImageError, RasterioError, CPLE_BaseError, OSError) as error:
            self.remarks = (*self.remarks, ignored(path, str(error)))
            return None
        size, own = (found.width, found.height), (self._dataset.width, self._dataset.height)
        fits = size == own if role == "mask" else self._is_smaller_copy(found)
        if fits:
            return found
        found.close()
        reason = f"its {size[0]} x {size[1]} pixels are not those of {'a mask' if role == 'mask' else 'an overview'} of"
        self.remarks = (*self.remarks, ignored(path, f"{reason} this image of {own[0]} x {own[1]}"))
        return None

    def _is_smaller_copy(self, found: QuietReader) -> bool:
        """Return whether a dataset has the image's bands and the image's sides divided by one number."""
        across, down = self._dataset.width / found.width, self._dataset.height / found.height
        same = found.count == self._dataset.count and found.dtypes == self._dataset.dtypes
        rounded = 1 / min(found.width, found.height)
        return bool(same and across >= 1 and down >= 1 and abs(across - down) <= rounded * max(across, down) + 1e-9)

    def _outside(self, overview: QuietReader) -> tuple[int, ...]:
        first = max(2, round(self._dataset.width / overview.width))
        return (first, *(first * factor for factor in overview.overviews(1)))


def whole_window(box: Box) -> rasterio.windows.Window:
    """Return the window of a box in the image itself."""
    return _window(box, (1.0, 1.0))


def _window(box: Box, shrink: tuple[float, float]) -> rasterio.windows.Window:
    left, top, right, bottom = box[0] / shrink[0], box[1] / shrink[1], box[2] / shrink[0], box[3] / shrink[1]
    return rasterio.windows.Window(left, top, right - left, bottom - top)
