"""A hash by which re-encoded, resized, turned and mirrored copies of an image are found.

The difference hash: the image at 17 x 16 grey pixels, one bit a pixel for whether the next is brighter. Copies differ
in a few of the 256 bits, other images in about half. A shifted neighbour of the same ground is found by `duplicates`
instead, which compares pixels and takes longer.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 16
MOST_BITS = 28  # of 256; distinct photographs of UC Merced differ in 32 or more
Hash = NDArray[np.uint8]  # 32 bytes
_TURNS = (None, *(Image.Transpose(k) for k in range(7)))  # the eight symmetries of the square


@dataclass(frozen=True, slots=True)
class Match:
    """Two images that look alike: their places in the two lists, and how many bits differ."""

    first: int
    second: int
    bits: int


def image_hash(image: Image.Image) -> Hash:
    """The hash of an image as it stands: 256 bits."""
    small = image.convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.int16)
    return np.packbits(pixels[:, 1:] > pixels[:, :-1])


def symmetric_hashes(image: Image.Image) -> NDArray[np.uint8]:
    """The hashes (8, 32) of an image turned and mirrored in all eight ways."""
    grey = image.convert("L").resize((4 * SIDE, 4 * SIDE), Image.Resampling.BOX)
    return np.stack([image_hash(grey if turn is None else grey.transpose(turn)) for turn in _TURNS])


def find_matches(
    first: NDArray[np.uint8], second: NDArray[np.uint8], most: int = MOST_BITS, *, rows: int = 256
) -> Iterator[Match]:
    """Pairs that look alike, however one of them is turned.

    Args:
        first: Symmetric hashes (N, 8, 32).
        second: Symmetric hashes (M, 8, 32).
        most: Bits that may differ.
        rows: How many of `first` are compared at once.
    """
    if not len(first) or not len(second):
        return
    plain = second[:, 0].copy().view(np.uint64)  # (M, 4)
    for start in range(0, len(first), rows):
        turned = first[start : start + rows].copy().view(np.uint64)  # (R, 8, 4)
        best = np.full((len(turned), len(plain)), 255, np.uint16)
        for turn in range(turned.shape[1]):
            different = np.bitwise_count(turned[:, turn, None, :] ^ plain[None]).sum(axis=2, dtype=np.uint16)
            np.minimum(best, different, out=best)
        for i, j in zip(*np.nonzero(best <= most), strict=True):
            yield Match(start + int(i), int(j), int(best[i, j]))
