"""The overview and the mask beside an image, open."""

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import Resampling
from rasterio.errors import RasterioError

from geochat.errors import ImageError
from geochat.imagery.companions import Companions, ignored
from geochat.imagery.gdal import QuietReader, open_side_file

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels of the image


class SideFiles:
    """The TIFFs beside an image that hold its smaller copies and its mask, each opened where it fits the image.

    Args:
        dataset: The image, which the smaller copies inside it are read from too.
        companions: What lies beside it.
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
        """Return whether a window of (width, height) at a size is read from the overview beside the image."""
        shrink = min(window[0] / size[0], window[1] / size[1])
        return self._overview is not None and self.factors[0] <= shrink

    def nearest(self, box: Box, size: tuple[int, int]) -> tuple[QuietReader, rasterio.windows.Window]:
        """The dataset to read a box from that is to be shown at (width, height), and the window in it."""
        shrink = min((box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1])
        if self._overview is None or self.factors[0] > shrink:
            return self._dataset, whole_window(box)
        across, down = self._dataset.width / self._overview.width, self._dataset.height / self._overview.height
        return self._overview, _window(box, (across, down))

    def read_mask(self, box: Box, size: tuple[int, int], how: Resampling) -> NDArray[np.uint8]:
        """255 where the mask says that there is data, (1, height, width)."""
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
        """Return whether it has the image's bands, and its sides are the image's divided by one number."""
        across, down = self._dataset.width / found.width, self._dataset.height / found.height
        same = found.count == self._dataset.count and found.dtypes == self._dataset.dtypes
        rounded = 1 / min(found.width, found.height)
        return bool(same and across >= 1 and down >= 1 and abs(across - down) <= rounded * max(across, down) + 1e-9)

    def _outside(self, overview: QuietReader) -> tuple[int, ...]:
        first = max(2, round(self._dataset.width / overview.width))
        return (first, *(first * factor for factor in overview.overviews(1)))


def whole_window(box: Box) -> rasterio.windows.Window:
    """The window of a box in the image itself."""
    return _window(box, (1.0, 1.0))


def _window(box: Box, shrink: tuple[float, float]) -> rasterio.windows.Window:
    left, top, right, bottom = box[0] / shrink[0], box[1] / shrink[1], box[2] / shrink[0], box[3] / shrink[1]
    return rasterio.windows.Window(left, top, right - left, bottom - top)
