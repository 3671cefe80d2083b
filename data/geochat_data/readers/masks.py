"""Run-length masks of COCO files, read by pycocotools (`pip install geochat[data]`)."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geochat.errors import DataError
from geochat_data.readers.placing import Size
from geochat_data.records import Point

_MOST = 2**29  # pixels


def mask_points(mask: dict[str, Any], declared: Size | None) -> tuple[list[Point], Size]:
    """Find points whose hull is that of a mask's pixels, the ends of each of its rows, and the mask's (width, height).

    Args:
        mask: `size` (height, width) and `counts`, a list or compressed text.
        declared: The (width, height) of its image, which a mask must have; None where it declares none.

    Raises:
        DataError: pycocotools is missing, or the mask is damaged, empty or of another size than its image; the message
            is the same for all masks of the kind.
    """
    try:
        height, width = (int(side) for side in mask["size"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError("run-length mask without a size") from error
    if (width, height) != (declared or (width, height)):
        raise DataError("run-length mask of another size than its image declares")
    pixels = _decode(mask.get("counts"), height, width)
    if pixels is None:
        raise DataError("damaged run-length mask")
    rows = np.flatnonzero(pixels.any(axis=1))
    if not len(rows):
        raise DataError("empty run-length mask")
    left = pixels[rows].argmax(axis=1)
    right = width - pixels[rows][:, ::-1].argmax(axis=1)
    points = [
        (float(x), float(row + below))
        for row, first, last in zip(rows, left, right, strict=True)
        for x in (first, last)
        for below in (0, 1)
    ]
    return points, (width, height)


def _decode(counts: Any, height: int, width: int) -> NDArray[np.uint8] | None:  # noqa: ANN401 - decoded JSON
    """The mask (height, width) of 0 and 1; None where the runs do not fill it."""
    try:
        from pycocotools import mask as rle  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise DataError("run-length mask, which needs pycocotools (`pip install geochat[data]`)") from error
    if not 0 < width * height <= _MOST:
        return None
    pixels: NDArray[np.uint8] | None = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools' arrays are of NumPy 1
            if isinstance(counts, list):
                if sum(counts) == height * width and min(counts) >= 0:
                    pixels = rle.decode(rle.frPyObjects({"size": [height, width], "counts": counts}, height, width))
            else:
                packed = counts.encode()
                found = rle.decode({"size": [height, width], "counts": packed})
                # Of a text that is too short, decoding leaves the rest of the mask to chance.
                pixels = found if rle.encode(np.asfortranarray(found))["counts"] == packed else None
    except (TypeError, ValueError, AttributeError, OverflowError):
        return None
    return pixels
