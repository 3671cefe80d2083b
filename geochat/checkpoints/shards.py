"""Writing safetensors files tensor by tensor.

The library's own writer needs all tensors of a file at once. The format is simple (a length, a JSON header with
offsets, the bytes) and shapes are known in advance, so here each tensor is made, written and released.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from geochat.errors import SettingsError
from geochat.files import atomic_draft

INDEX_FILE = "model.safetensors.index.json"
_CODES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}


@dataclass(frozen=True)
class Entry:
    """A tensor to write.

    Attributes:
        name: Its name in the file.
        shape: Its shape.
        make: Returns it, in any floating precision and on any device.
    """

    name: str
    shape: tuple[int, ...]
    make: Callable[[], Tensor]


@dataclass(frozen=True)
class Shard:
    """One weights file to write.

    Attributes:
        file: Its name.
        entries: Its tensors in order.
        dtype: The precision they are written in.
    """

    file: str
    entries: tuple[Entry, ...]
    dtype: torch.dtype

    @property
    def size(self) -> int:
        """Bytes of its tensors."""
        return sum(_size(entry, self.dtype) for entry in self.entries)

    def write(self, folder: Path) -> str:
        """Write the file into `folder`; it appears under its name only when it is complete.

        Returns:
            Its SHA-256, in hexadecimal.
        """
        digest = hashlib.sha256()
        with atomic_draft(folder / self.file) as draft, draft.open("wb") as stream:
            for block in self._blocks():
                digest.update(block)
                stream.write(block)
        return digest.hexdigest()

    def _blocks(self) -> Iterable[bytes | memoryview]:
        yield self._header()
        for entry in self.entries:
            tensor = entry.make().detach().to("cpu", self.dtype).contiguous()
            yield tensor.reshape(-1).view(torch.uint8).numpy().data

    def _header(self) -> bytes:
        header: dict[str, object] = {"__metadata__": {"format": "pt"}}
        start = 0
        for entry in self.entries:
            end = start + _size(entry, self.dtype)
            header[entry.name] = {"dtype": _CODES[self.dtype], "shape": entry.shape, "data_offsets": [start, end]}
            start = end
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)  # the tensors begin aligned
        return len(text).to_bytes(8, "little") + text


def split(entries: Iterable[Entry], dtype: torch.dtype, shard_size: str) -> list[Shard]:
    """Split tensors in order over files of at most `shard_size` bytes, or one tensor if that is larger.

    Raises:
        SettingsError: The size is not a number and KB, MB or GB.
    """
    limit = _bytes(shard_size)
    groups: list[list[Entry]] = []
    filled = limit
    for entry in entries:
        size = _size(entry, dtype)
        if filled + size > limit:
            groups.append([])
            filled = 0
        groups[-1].append(entry)
        filled += size
    if len(groups) == 1:
        return [Shard("model.safetensors", tuple(groups[0]), dtype)]
    names = (f"model-{n:05}-of-{len(groups):05}.safetensors" for n in range(1, len(groups) + 1))
    return [Shard(name, tuple(group), dtype) for name, group in zip(names, groups, strict=True)]


def write_index(shards: Sequence[Shard], folder: Path) -> None:
    """Write the index that maps tensors to shards; a single file needs none."""
    if len(shards) == 1:
        return
    places = {entry.name: shard.file for shard in shards for entry in shard.entries}
    index = {"metadata": {"total_size": sum(shard.size for shard in shards)}, "weight_map": places}
    (folder / INDEX_FILE).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _size(entry: Entry, dtype: torch.dtype) -> int:
    return prod(entry.shape) * dtype.itemsize


def _bytes(text: str) -> int:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(KB|MB|GB)\s*", text, re.IGNORECASE)
    if match is None or float(match[1]) == 0:
        raise SettingsError(f"the shard size {text!r} is not a number and KB, MB or GB; use for example '5GB'")
    return int(float(match[1]) * _UNITS[match[2].upper()])
