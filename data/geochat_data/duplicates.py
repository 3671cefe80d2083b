"""Duplicate images: copies by a perceptual hash, and photographs of the same ground by correlation.

Copies that were re-encoded, resized, turned or mirrored are found by the difference hash: the image at 17 x 16 grey
pixels, one bit a pixel for whether the next is brighter. Copies differ in a few of the 256 bits, other images in about
half.

Photographs of the same ground, perhaps shifted, take longer. Every pair is compared at every shift by normalised
cross-correlation of the shared part (Padfield 2012, "Masked object registration in the Fourier domain"), on small
high-passed copies. Rows of crops and the markings of runways correlate highly without being the same place, so each
candidate is aligned at full resolution, where the same ground of the same flight agrees within a few grey levels and a
look-alike does not.
"""

import argparse
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from geochat.imagery import open_image

HASH_SIDE = 16
MOST_BITS = 28  # of 256 for a copy; distinct photographs of UC Merced differ in 32 or more
Hash = NDArray[np.uint8]  # 32 bytes
_TURNS = (None, *(Image.Transpose(k) for k in range(7)))  # the eight symmetries of the square


@dataclass(frozen=True, slots=True)
class Match:
    """Two similar images: their indices in the two lists, and the number of bits that differ."""

    first: int
    second: int
    bits: int


def image_hash(image: Image.Image) -> Hash:
    """Hash an image without turning it: 32 bytes, 256 bits."""
    small = image.convert("L").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.int16)
    return np.packbits(pixels[:, 1:] > pixels[:, :-1])


def symmetric_hashes(image: Image.Image) -> NDArray[np.uint8]:
    """Hash an image turned and mirrored in all eight ways: (8, 32)."""
    grey = image.convert("L").resize((4 * HASH_SIDE, 4 * HASH_SIDE), Image.Resampling.BOX)
    return np.stack([image_hash(grey if turn is None else grey.transpose(turn)) for turn in _TURNS])


def find_matches(
    first: NDArray[np.uint8], second: NDArray[np.uint8], most: int = MOST_BITS, *, rows: int = 256
) -> Iterator[Match]:
    """Find similar pairs, however one of them is turned or mirrored.

    Args:
        first: Symmetric hashes (N, 8, 32).
        second: Symmetric hashes (M, 8, 32).
        most: Maximum number of differing bits.
        rows: Number of rows of `first` compared at once.
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


COARSE = 48  # side of the small copies, in pixels
SIDE = 256  # side of the copies that are aligned
LEAST_SHARED = 0.025  # of the area
LEAST_SIGNIFICANCE = 14.0  # Fisher's z of the correlation times the root of the number of pixels
LEAST_CORRELATION = 0.6  # of the detail, aligned
MOST_DIFFERENCE = 3.0  # grey levels, the mean over the shared part; true overlaps lie below 2.4, look-alikes above 3.2
Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two photographs of the same ground.

    Attributes:
        first: One file.
        second: The other file; its pixel (x, y) shows the same ground as (x + dx, y + dy) of the first.
        dx: Shift to the right in pixels of a 256-pixel side.
        dy: Shift down.
        shared: Common share of the area.
        correlation: Correlation of the detail in the shared part.
        difference: Mean difference of the shared part, in grey levels.
    """

    first: Path
    second: Path
    dx: int
    dy: int
    shared: float
    correlation: float
    difference: float


def find_overlaps(first: Sequence[Path], second: Sequence[Path]) -> list[Overlap]:
    """Find all pairs, one of each collection, that show the same ground; a file is not compared with itself.

    It takes about a second for 10,000 pairs on one core.
    """
    if not first or not second:
        return []
    candidates = _candidates([_coarse(path) for path in first], [_coarse(path) for path in second])
    pairs = ((first[i], second[j], dx, dy) for i, j, dx, dy in candidates if first[i] != second[j])
    return [found for pair in pairs if (found := _verify(*pair)) is not None]


def _candidates(first: list[Array], second: list[Array]) -> Iterable[tuple[int, int, int, int]]:
    """Indices and shift (dx, dy in full pixels) of pairs whose best shift is significant."""
    size = 2 * COARSE
    ones = _spectrum(np.ones((COARSE, COARSE), np.float32))
    shared = np.maximum(_inverse(ones * np.conj(ones)), 1)
    allowed = shared >= LEAST_SHARED * COARSE**2
    spectra = np.stack([_spectrum(image) for image in second])
    sums = [_moments(ones * np.conj(_spectrum(b)), ones * np.conj(_spectrum(b * b)), shared) for b in second]
    means, deviations = (np.stack(values) for values in zip(*sums, strict=True))
    for i, a in enumerate(first):
        spectrum = _spectrum(a)
        mean, deviation = _moments(spectrum * np.conj(ones), _spectrum(a * a) * np.conj(ones), shared)
        for start in range(0, len(second), 128):
            part = slice(start, start + 128)
            products = _inverse(spectrum * np.conj(spectra[part]))
            correlation = (products - mean * means[part] * shared) / (deviation * deviations[part])
            strength = np.arctanh(np.clip(correlation, -0.99, 0.99)) * np.sqrt(shared) * allowed
            best = strength.reshape(len(strength), -1).argmax(axis=1)
            for j, k in enumerate(best):
                dy, dx = divmod(int(k), size)
                if strength[j, dy, dx] >= LEAST_SIGNIFICANCE:
                    right, down = (round((v - size * (v > COARSE)) * SIDE / COARSE) for v in (dx, dy))
                    yield i, start + j, right, down


def _moments(total: NDArray[Any], squares: NDArray[Any], shared: Array) -> tuple[Array, Array]:
    """Mean, and root of the summed squared deviations, of the shared part at every shift."""
    mean = _inverse(total) / shared
    return mean, np.sqrt(np.maximum(_inverse(squares) - mean**2 * shared, 1e-2))


def _verify(first: Path, second: Path, dx: int, dy: int) -> Overlap | None:
    a, b = _full(first), _full(second)
    for reach, step in ((6, 2), (1, 1)):
        dx, dy = _aligned(a[1], b[1], (dx, dy), reach, step)
    correlation = _correlation(*_shared(a[1], b[1], dx, dy))
    colour_a, colour_b = _shared(a[0], b[0], dx, dy)
    difference = float(np.abs(colour_a - colour_b).mean())
    if correlation < LEAST_CORRELATION or difference > MOST_DIFFERENCE:
        return None
    part = colour_a.shape[0] * colour_a.shape[1] / SIDE**2
    return Overlap(first, second, dx, dy, round(part, 3), round(correlation, 3), round(difference, 2))


def _aligned(a: Array, b: Array, around: tuple[int, int], reach: int, step: int) -> tuple[int, int]:
    nearby = range(-reach, reach + 1, step)
    shifts = [(around[0] + x, around[1] + y) for x, y in itertools.product(nearby, nearby)]
    return max(shifts, key=lambda shift: _correlation(*_shared(a, b, *shift)))


def _shared(a: Array, b: Array, dx: int, dy: int) -> tuple[Array, Array]:
    """The overlapping parts of two images when the second is shifted."""
    ours = a[max(0, dy) : SIDE + min(0, dy), max(0, dx) : SIDE + min(0, dx)]
    theirs = b[max(0, -dy) : SIDE + min(0, -dy), max(0, -dx) : SIDE + min(0, -dx)]
    return ours, theirs


def _correlation(a: Array, b: Array) -> float:
    if a.size < 2:
        return -1.0
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (np.sqrt((a * a).sum() * (b * b).sum()) + 1e-6))


def _coarse(path: Path) -> Array:
    grey = open_image(path).pil().convert("L")
    detail = _detail(grey.resize((COARSE, COARSE), Image.Resampling.BOX), 2)
    return np.asarray(detail / (detail.std() + 3), dtype=np.float32)


@lru_cache(maxsize=256)
def _full(path: Path) -> tuple[Array, Array]:
    """The lightly smoothed colours, and the detail of the brightness, at full size."""
    full = open_image(path).pil().resize((SIDE, SIDE))
    colour = np.asarray(full.filter(ImageFilter.GaussianBlur(1)), dtype=np.float32)
    return colour, _detail(full.convert("L"), 2)


def _detail(image: Image.Image, radius: float) -> Array:
    smooth = image.filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(image, dtype=np.float32) - np.asarray(smooth, dtype=np.float32)


def _spectrum(image: Array) -> NDArray[Any]:
    return np.fft.rfft2(image, s=(2 * COARSE, 2 * COARSE)).astype(np.complex64)


def _inverse(spectrum: NDArray[Any]) -> Array:
    return np.fft.irfft2(spectrum, s=(2 * COARSE, 2 * COARSE)).astype(np.float32)


def main() -> None:
    """Write the list of photographs of one folder that overlap those of another."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("train", type=Path, help="folder whose files are listed, searched with its subfolders")
    parser.add_argument("test", type=Path, help="folder they are compared with")
    parser.add_argument("output", type=Path, help="text file to write")
    arguments = parser.parse_args()
    train, test = (sorted(folder.rglob("*.jpg")) for folder in (arguments.train, arguments.test))
    lines = sorted(
        f"{found.second.name}  # {found.first.name}, {found.shared:.1%} shared, "
        f"correlation {found.correlation:.2f}, difference {found.difference:.1f}"
        for found in find_overlaps(test, train)
    )
    arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
