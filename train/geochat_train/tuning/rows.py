"""Samples of a run: read, measured, checked for their images, and grouped into rows.

A small file is read into memory and a large one through an Arrow index; an index can also be given. Samples that cannot
be trained on, or are too long, are skipped and counted. A missing image is reported before training, not during it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset
from transformers import LlavaProcessor

from geochat.errors import DataError
from geochat_data.encoding import IGNORED, encode_sample
from geochat_data.index import SampleIndex, write_index
from geochat_data.readers import Report
from geochat_data.samples import Sample, read_samples

Row = tuple[Sample, ...]
_SMALL = 64 << 20  # bytes of JSON that are held in memory
_QUESTIONS = 32  # most samples in a row


@dataclass(frozen=True)
class Rows(Dataset[Row]):
    """Samples grouped into rows of one image each, or of one sample.

    Attributes:
        samples: Training samples.
        groups: The samples of each row.
        lengths: Tokens of each row.
        said: Tokens that the answers hold.
        report: Report of skipped items.
    """

    samples: Sequence[Sample]
    groups: Sequence[Sequence[int]]
    lengths: NDArray[np.int32]
    said: frozenset[int]
    report: Report

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> Row:
        return tuple(self.samples[number] for number in self.groups[index])


def read_rows(
    path: Path,
    images: Path | None,
    processor: LlavaProcessor,
    *,
    max_length: int,
    share_images: bool = False,
    scratch: Path | None = None,
) -> Rows:
    """Read and group a file of samples (.json, .jsonl) or an index (.arrow).

    Args:
        path: The file.
        images: The folder its image paths are relative to; None takes the file's.
        processor: Whose tokens are counted.
        max_length: Longest row, in tokens.
        share_images: Whether samples about one image make a row together.
        scratch: Folder for a large file's index.

    Raises:
        DataError: The file cannot be read, holds nothing to train on, or images are missing.
    """
    report = Report()
    labels: set[int] = set()

    def measure(sample: Sample) -> int:
        example = encode_sample(sample, processor, max_length)
        labels.update(example.labels)
        return len(example.input_ids)

    samples, lengths = _measured(path, measure, scratch, report)
    if path.suffix == ".arrow":  # which may have been made for another model
        lengths = np.array([_length_or_zero(sample, measure, report) for sample in samples], np.int32)
    usable = [index for index, length in enumerate(lengths) if length]
    if not usable:
        raise DataError(f"{path} holds no sample to train on ({report}); look at it with `geochat data check`")
    _check_images(samples, usable, images or path.parent)
    said = frozenset(labels - {IGNORED})
    if not share_images:
        return Rows(samples, [[index] for index in usable], lengths[usable], said, report)
    shared = _beginning(next((samples[index] for index in usable if samples[index].image), None), processor, max_length)
    groups, sums = _by_image(samples, usable, lengths, shared, max_length)
    return Rows(samples, groups, sums, said, report)


def _measured(
    path: Path, measure: Callable[[Sample], int], scratch: Path | None, report: Report
) -> tuple[Sequence[Sample], NDArray[np.int32]]:
    if path.suffix == ".arrow":
        index = SampleIndex(path)
        return index, index.lengths  # type: ignore[return-value]
    if scratch is not None and path.is_file() and path.stat().st_size > _SMALL:
        scratch.mkdir(parents=True, exist_ok=True)
        target = scratch / f"{path.stem}.arrow"
        write_index(target, read_samples(path, report), measure, report)
        index = SampleIndex(target)
        return index, index.lengths  # type: ignore[return-value]
    samples = list(read_samples(path, report))
    return samples, np.array([_length_or_zero(sample, measure, report) for sample in samples], np.int32)


def _length_or_zero(sample: Sample, measure: Callable[[Sample], int], report: Report) -> int:
    try:
        return measure(sample)
    except DataError as error:
        report.skip("sample that cannot be trained on", f"{sample.id}: {error}")
        return 0


def _check_images(samples: Sequence[Sample], usable: Sequence[int], images: Path) -> None:
    names = {name for name in (samples[index].image for index in usable) if name is not None}
    missing = sorted(name for name in names if not (images / name).is_file())
    if missing:
        raise DataError(
            f"{len(missing)} of {len(names)} images are not in {images}, such as {missing[0]}; give the folder they "
            "are relative to, or fetch them"
        )


def _beginning(sample: Sample | None, processor: LlavaProcessor, max_length: int) -> int:
    """Return the tokens up to the image's last, which all samples about the image begin with."""
    if sample is None:
        return 0
    ids = encode_sample(sample, processor, max_length).input_ids
    return len(ids) - ids[::-1].index(processor.image_token_id)


def _by_image(
    samples: Sequence[Sample], usable: Sequence[int], lengths: NDArray[np.int32], shared: int, max_length: int
) -> tuple[list[list[int]], NDArray[np.int32]]:
    """Return groups of samples about one image, each within the permitted length, and their lengths."""
    groups: list[list[int]] = []
    sums: list[int] = []
    open_group: dict[str, int] = {}  # image -> its last group
    for index in usable:
        name, length = samples[index].image, int(lengths[index])
        own = length - shared
        at = None if name is None else open_group.get(name)
        if at is not None and len(groups[at]) < _QUESTIONS and sums[at] + own <= max_length:
            groups[at].append(index)
            sums[at] += own
            continue
        groups.append([index])
        sums.append(length)
        if name is not None:
            open_group[name] = len(groups) - 1
    return groups, np.array(sums, np.int32)
