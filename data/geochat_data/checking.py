"""What is wrong with a file of samples: rows, images, regions, repeats, and images that another split holds too."""

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
from geochat_data.formats import read_samples
from geochat_data.perceptual import find_matches, symmetric_hashes
from geochat_data.readers import Report
from geochat_data.readers.finding import IMAGE_SUFFIXES
from geochat_data.samples import Sample

_TOGETHER = 1024  # images decoded before the next are taken up
_NO_HASHES = np.empty((0, 8, 32), np.uint8)


def check_samples(path: Path, images: Path | None, dialect: Dialect) -> tuple[Report, dict[str, Path]]:
    """Look at every sample of a file.

    Args:
        path: A .json or .jsonl file.
        images: The folder its images are relative to; None leaves images alone.
        dialect: How its text is written.

    Returns:
        The findings, by kind and place, and the images named, each once.

    Raises:
        DataError: The file cannot be read at all.
    """
    report, seen, files, named = Report(), _Seen(), dict[str, Path](), dict[str, str]()
    for sample in read_samples(path, report):
        where = f"{path}: sample {sample.id}"
        for finding in (*seen.repeats(sample), *_regions(sample, dialect)):
            report.skip(finding, where)
        if images is not None and sample.image is not None and sample.image not in files:
            files[sample.image] = images / sample.image
            named[sample.image] = where
    for name, fault in _faults(files):
        report.skip("image missing or unreadable", f"{named[name]}: {fault}")
    return report, files


def check_leakage(ours: Iterable[Path], theirs: Iterable[Path], report: Report) -> None:
    """Count in `report` every image of one collection that is, or looks like, one of the other."""
    first, hashes = hash_images(ours)
    second, others = hash_images(theirs)
    for match in find_matches(hashes, others):
        where = f"{first[match.first]} is like {second[match.second]} ({match.bits} of 256 bits differ)"
        report.skip("image that the other split holds too", where)


def hash_images(paths: Iterable[Path]) -> tuple[list[Path], NDArray[np.uint8]]:
    """The paths that could be read and their symmetric hashes (N, 8, 32)."""
    kept, hashes = [], []
    for path in paths:
        try:
            hashes.append(symmetric_hashes(open_image(path).pil()))
        except ImageError:
            continue
        kept.append(path)
    return kept, np.stack(hashes) if hashes else _NO_HASHES


def image_paths(path: Path, images: Path | None = None) -> list[Path]:
    """The images of a folder, or those a file of samples names.

    Raises:
        DataError: The file cannot be read, or is given without its folder of images.
    """
    if path.is_dir():
        return sorted(found for found in path.rglob("*") if found.suffix.lower() in IMAGE_SUFFIXES)
    if images is None:
        raise DataError(f"{path} names images below some folder; give it with --against-images")
    return [images / name for name in dict.fromkeys(s.image for s in read_samples(path)) if name is not None]


class _Seen:
    """What has been met before, kept as 8-byte digests so that millions of samples fit in memory."""

    def __init__(self) -> None:
        self.ids: set[bytes] = set()
        self.questions: dict[bytes, bytes] = {}

    def repeats(self, sample: Sample) -> list[str]:
        found = []
        name, asked = _digest(sample.id), _digest(sample.image, *(m.text for m in sample.messages[:-1]))
        answer = _digest(sample.messages[-1].text)
        if name in self.ids:
            found.append("id used before")
        if asked in self.questions:
            same = self.questions[asked] == answer
            found.append("sample repeated" if same else "question repeated with another answer")
        self.ids.add(name)
        self.questions.setdefault(asked, answer)
        return found


def _digest(*parts: str | None) -> bytes:
    return hashlib.blake2b("\0".join(part or "" for part in parts).encode(), digest_size=8).digest()


def _regions(sample: Sample, dialect: Dialect) -> list[str]:
    """Corners may lie outside the model's square, as those of turned boxes do; a box with nothing inside may not."""
    found = []
    square = rectangle(0, 0, dialect.model_frame.scale, dialect.model_frame.scale)
    for message in sample.messages:
        read = dialect.parse(message.text)
        found += [f"unreadable region ({problem.reason})" for problem in read.problems]
        for region in read.regions:
            if region.box.area == 0:
                found.append("region without area")
            elif not region.box.polygon().intersects(square):
                found.append("region outside the image")
    return found


def _faults(files: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """The names of those that a model could not be shown, and why; several are decoded at once."""
    names = iter(files)
    with ThreadPoolExecutor() as pool:
        while some := list(islice(names, _TOGETHER)):
            faults = pool.map(_fault, (files[name] for name in some))
            yield from ((name, fault) for name, fault in zip(some, faults, strict=True) if fault is not None)


def _fault(path: Path) -> str | None:
    """Why a model could not be shown an image; None where it can."""
    try:
        open_image(path)
    except ImageError as error:
        return str(error)
    return None
