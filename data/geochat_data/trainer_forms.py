"""Rows of training samples in the formats of other trainers: ms-swift, LLaMA-Factory and TRL.

The text is in the dialect of the samples, which is the model's own, so the trainer converts nothing. `swift-objects` is
ms-swift's neutral format instead: `<ref-object>` and `<bbox>` in the text, with names and upright boxes in pixels in
separate fields, which ms-swift writes in the model's format. It has no oriented boxes.

Formats as documented by ms-swift (Customization/Custom-dataset.md), LLaMA-Factory (data/README.md, multimodal sharegpt
in OpenAI form) and TRL (dataset_formats.md, conversational with an `images` column).
"""

import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from geochat.dialects import Dialect, Phrase, Region
from geochat.dialects.conversion import task_in_words
from geochat.dialects.shapes import corners_of
from geochat.errors import DataError
from geochat.files import atomic_draft
from geochat.geometry import Frame, transform_points
from geochat.imagery import image_size
from geochat.prompts import IMAGE_TOKEN
from geochat_data.samples import Sample, to_published, write_samples

Row = dict[str, Any]
_PIXEL_DIGITS = 1


class TrainerForm:
    """Makes rows of samples.

    Args:
        name: One of `FORMS`.
        dialect: The dialect of the samples' text.
        images: The folder their images are relative to; rows hold absolute paths.
    """

    def __init__(self, name: str, dialect: Dialect, images: Path) -> None:
        self.name = name
        self._make, self._dialect, self._images = FORMS[name], dialect, images.resolve()

    def row(self, sample: Sample) -> Row:
        """The row of a sample.

        Raises:
            ImageError: The form needs the size of its image, which cannot be read.
        """
        return self._make(sample, self._dialect, self._images)

    def write(self, path: Path, samples: Iterable[Sample]) -> int:
        """Write a file of rows, .json or .jsonl by its name; for LLaMA-Factory its entry in dataset_info.json too.

        Raises:
            DataError: The file cannot be written, or the dataset_info.json beside it is damaged.
        """
        written = write_samples(path, samples, self.row)
        if self.name == "llamafactory":
            _describe(path)
        return written


def _conversations(sample: Sample, _dialect: Dialect, _images: Path) -> Row:
    return to_published(sample)


def _swift(sample: Sample, dialect: Dialect, images: Path) -> Row:
    return {"messages": _messages(sample, dialect), **_images_of(sample, images)}


def _trl(sample: Sample, dialect: Dialect, images: Path) -> Row:
    messages = [
        {"role": message["role"], "content": [{"type": "text", "text": message["content"].removeprefix(IMAGE_TOKEN)}]}
        for message in _messages(sample, dialect)
    ]
    if sample.image is not None:
        asked = next(message for message in messages if message["role"] == "user")
        asked["content"] = [{"type": "image"}, *asked["content"]]
    return {"messages": messages, **_images_of(sample, images)}


def _swift_objects(sample: Sample, dialect: Dialect, images: Path) -> Row:
    row, objects = _swift(sample, dialect, images), _Objects(sample, dialect, images)
    for message in row["messages"]:
        if message["role"] != "system":
            message["content"] = objects.replaced(message["content"])
    return {**row, "objects": {"ref": objects.names, "bbox": objects.boxes}}


FORMS: dict[str, Callable[[Sample, Dialect, Path], Row]] = {
    "conversations": _conversations,
    "swift": _swift,
    "swift-objects": _swift_objects,
    "llamafactory": _swift,  # the same keys; `dataset_info.json` names them
    "trl": _trl,
}
"""Ways to lay out a row by name; "conversations" is GeoChat_Instruct's."""


def _messages(sample: Sample, dialect: Dialect) -> list[dict[str, str]]:
    """Return turns by role and content: the system prompt of its task first, the image before the first question."""
    turns = [{"role": message.role, "content": message.text} for message in sample.messages]
    first = next(turn for turn in turns if turn["role"] == "user")
    task = task_in_words(first["content"], dialect)
    system = None if task is None else dialect.wordings.system.get(task)
    if sample.image is not None:
        first["content"] = f"{IMAGE_TOKEN}{first['content']}"
    if system is not None and turns[0]["role"] != "system":
        turns.insert(0, {"role": "system", "content": system})
    return turns


def _images_of(sample: Sample, images: Path) -> Row:
    return {} if sample.image is None else {"images": [str(images / sample.image)]}


class _Objects:
    """Extracts the phrases and regions of a sample from its texts, in order."""

    def __init__(self, sample: Sample, dialect: Dialect, images: Path) -> None:
        self.names: list[str] = []
        self.boxes: list[list[float]] = []
        self._sample, self._dialect, self._images = sample, dialect, images

    def replaced(self, text: str) -> str:
        """Return a text with ms-swift's placeholders in place of phrases and regions."""
        pieces = []
        for event in self._dialect.parse(text).events:
            if isinstance(event, Region):
                self.boxes.append(self._pixels(event))
                pieces.append("<bbox>")
            elif isinstance(event, Phrase) and event.text.strip():
                self.names.append(event.text.strip())
                pieces.append("<ref-object>")
            else:
                pieces.append(event.text)
        return "".join(pieces)

    def _pixels(self, region: Region) -> list[float]:
        """The upright box of a region in pixels of the image, or its point."""
        if self._sample.image is None:
            raise DataError(f"sample {self._sample.id} has a region and no image; remove it")
        size = _size_of(self._images / self._sample.image)
        to_pixels = Frame(size, model=self._dialect.model_frame).model_to_view
        corners = transform_points(corners_of(region.shape), to_pixels)
        xs, ys = corners[:, 0].clip(0, size[0]), corners[:, 1].clip(0, size[1])
        edges = (xs[0], ys[0]) if len(corners) == 1 else (xs.min(), ys.min(), xs.max(), ys.max())
        return [round(float(edge), _PIXEL_DIGITS) for edge in edges]


@lru_cache(maxsize=4096)
def _size_of(path: Path) -> tuple[int, int]:
    return image_size(path)


def _describe(path: Path) -> None:
    """Add a file's entry to the `dataset_info.json` in its folder."""
    target = path.with_name("dataset_info.json")
    try:
        known = json.loads(target.read_text(encoding="utf-8")) if target.is_file() else {}
    except ValueError as error:
        raise DataError(f"{target} is not JSON ({error}); repair or remove it") from error
    known[path.stem] = {
        "file_name": path.name,
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "images": "images"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    }
    with atomic_draft(target) as draft:
        draft.write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
