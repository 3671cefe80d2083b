"""Checks of training files: rows, images, regions, duplicates, and images shared with another split."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from shapely import box as rectangle

from geochat.dialects import Dialect
from geochat.errors import DataError, ImageError
from geochat.imagery import open_image
from geochat_data.duplicates import find_matches, symmetric_hashes
from geochat_data.readers.layout import IMAGE_SUFFIXES
from geochat_data.readers.report import Report
from geochat_data.samples import Sample, read_samples

_BATCH = 1024  # images checked before more are queued
_NO_HASHES = np.empty((0, 8, 32), np.uint8)


def check_samples(path: Path, images: Path | None, dialect: Dialect) -> tuple[Report, dict[str, Path]]:
    """Check every sample of a file.

    Args:
        path: A .json or .jsonl file.
        images: The folder its images are relative to; None does not check images.
        dialect: The dialect of its text.

    Returns:
        The findings, by kind and place, and the distinct images of the file.

    Raises:
        DataError: The file cannot be read at all.
    """
    report, seen, files, places = Report(), _Seen(), dict[str, Path](), dict[str, str]()
    for sample in read_samples(path, report):
        where = f"{path}: sample {sample.id}"
        for finding in (*seen.duplicates(sample), *_regions(sample, dialect)):
            report.skip(finding, where)
        if images is not None and sample.image is not None and sample.image not in files:
            files[sample.image] = images / sample.image
            places[sample.image] = where
    for name, fault in _faults(files):
        report.skip("image missing or unreadable", f"{places[name]}: {fault}")
    return report, files


def check_leakage(ours: Iterable[Path], theirs: Iterable[Path], report: Report) -> None:
    """Count in `report` every image of one collection that equals or resembles one of the other."""
    first, hashes = hash_images(ours)
    second, others = hash_images(theirs)
    for match in find_matches(hashes, others):
        where = f"{first[match.first]} resembles {second[match.second]} ({match.bits} of 256 bits differ)"
        report.skip("image that is in the other split too", where)


def hash_images(paths: Iterable[Path]) -> tuple[list[Path], NDArray[np.uint8]]:
    """Hash images; returns the paths that can be read, and their symmetric hashes (N, 8, 32)."""
    kept, hashes = [], []
    for path in paths:
        try:
            hashes.append(symmetric_hashes(open_image(path).pil()))
        except ImageError:
            continue
        kept.append(path)
    return kept, np.stack(hashes) if hashes else _NO_HASHES


def image_paths(path: Path, images: Path | None = None) -> list[Path]:
    """List the images of a folder, or those named by a file of samples.

    Raises:
        DataError: The file cannot be read, or is given without its folder of images.
    """
    if path.is_dir():
        return sorted(found for found in path.rglob("*") if found.suffix.lower() in IMAGE_SUFFIXES)
    if images is None:
        raise DataError(f"{path} names images relative to a folder; give it with --against-images")
    return [images / name for name in dict.fromkeys(s.image for s in read_samples(path)) if name is not None]


class _Seen:
    """Ids and questions met so far, kept as 8-byte digests so that millions of samples fit in memory."""

    def __init__(self) -> None:
        self.ids: set[bytes] = set()
        self.questions: dict[bytes, bytes] = {}

    def duplicates(self, sample: Sample) -> list[str]:
        found = []
        name, asked = _digest(sample.id), _digest(sample.image, *(m.text for m in sample.messages[:-1]))
        answer = _digest(sample.messages[-1].text)
        if name in self.ids:
            found.append("id used before")
        if asked in self.questions:
            same = self.questions[asked] == answer
            found.append("duplicate sample" if same else "duplicate question with another answer")
        self.ids.add(name)
        self.questions.setdefault(asked, answer)
        return found


def _digest(*parts: str | None) -> bytes:
    return hashlib.blake2b("\0".join(part or "" for part in parts).encode(), digest_size=8).digest()


def _regions(sample: Sample, dialect: Dialect) -> list[str]:
    """Return faults of regions. Corners may lie outside the model's square for rotated boxes; a whole box may not.

    Where numbers are pixels of an image, whose size is not in the file, that is not checked.
    """
    found, scale = [], dialect.model_frame.scale
    square = None if scale is None else rectangle(0, 0, scale, scale)
    for message in sample.messages:
        read = dialect.parse(message.text)
        found += [f"unreadable region ({problem.reason})" for problem in read.problems]
        for region in read.regions:
            if region.box.area == 0 and region.geometry is None:
                found.append("region without area")
            elif square is not None and not region.box.polygon().intersects(square):
                found.append("region outside the image")
    return found


def _faults(files: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """Yield the names of images that cannot be opened, and the reasons; several are opened in parallel."""
    names = iter(files)
    with ThreadPoolExecutor() as pool:
        while some := list(islice(names, _BATCH)):
            faults = pool.map(_fault, (files[name] for name in some))
            yield from ((name, fault) for name, fault in zip(some, faults, strict=True) if fault is not None)


def _fault(path: Path) -> str | None:
    """Return the reason why an image cannot be opened; None if it can."""
    try:
        open_image(path)
    except ImageError as error:
        return str(error)
    return None
