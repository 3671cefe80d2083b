"""Images and their captions: JSON lines of `image`, `captions` (or `caption`) and optionally `split`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from geochat.clip import DualEncoder
from geochat.errors import DataError
from geochat.imagery import open_image
from geochat_data.readers import Report
from geochat_data.readers.json_files import read_jsonl

Pair = tuple[Path, str]


@dataclass(frozen=True)
class Pairs(Dataset[Pair]):
    """Pairs of an image and one of its captions: item `i + n * len(images)` is image `i` with caption `n`, cyclically.

    Attributes:
        images: The files.
        captions: Captions of each image.
        report: Report of skipped items.
    """

    images: Sequence[Path]
    captions: Sequence[tuple[str, ...]]
    report: Report

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Pair:
        turn, image = divmod(index, len(self.images))
        said = self.captions[image]
        return self.images[image], said[turn % len(said)]

    def in_turn(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return items for an order of images in which each repetition of an image uses its next caption."""
        seen = np.zeros(len(self.images), np.int64)
        items = order.copy()
        for place, image in enumerate(order):
            items[place] = image + seen[image] * len(self.images)
            seen[image] += 1
        return items


def read_pairs(path: Path, images: Path, split: str) -> Pairs:
    """Read the pairs of a file; rows of another split are skipped.

    Raises:
        DataError: The file cannot be read or holds no pair, or images are missing.
    """
    report = Report()
    files: list[Path] = []
    captions: list[tuple[str, ...]] = []
    for where, row in read_jsonl(path, report):
        said = row.get("captions", [row["caption"]] if "caption" in row else None)
        if not isinstance(row.get("image"), str) or not isinstance(said, list):
            report.skip("row without image or captions", where)
            continue
        if row.get("split", split) != split:
            continue
        texts = tuple(text.strip() for text in said if isinstance(text, str) and text.strip())
        if not texts:
            report.skip("row without image or captions", where)
            continue
        report.used += 1
        files.append(images / row["image"])
        captions.append(texts)
    if not files:
        raise DataError(f"{path} holds no captioned image of the split {split!r} ({report})")
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(files)} images are missing, such as {missing[0]}; give the folder they are "
            "relative to with images"
        )
    return Pairs(files, captions, report)


@dataclass(frozen=True)
class PairCollator:
    """Converts pairs to the inputs of a dual encoder.

    Attributes:
        encoder: Whose tokenizer and image processor to use.
    """

    encoder: DualEncoder

    def __call__(self, pairs: Sequence[Pair]) -> dict[str, Tensor]:
        """Return `pixel_values` (B, 3, S, S), `input_ids` and `attention_mask` (B, T).

        Raises:
            ImageError: An image is unreadable.
        """
        pixels = [self._pixels(path) for path, _ in pairs]
        config: Any = self.encoder.model.config.text_config
        longest = int(config.max_position_embeddings)
        words = self.encoder.tokenizer(
            [text for _, text in pairs],
            padding="max_length",
            truncation=True,
            max_length=longest,
            return_tensors="pt",
        )
        ids = {name: words[name] for name in ("input_ids", "attention_mask")}
        return {"pixel_values": torch.cat(pixels), **ids}

    def _pixels(self, path: Path) -> Tensor:
        values: Tensor = self.encoder.processor(open_image(path).pil(), return_tensors="pt")["pixel_values"]
        return values
