"""Tensors in files, listed from the files' headers and read one by one.

Safetensors and PyTorch's zip files are memory-mapped, so a 7B checkpoint is inspected in a second and converted with
little more than one of its tensors in memory. PyTorch files are unpickled with `weights_only=True`: files that hold
code are refused.
"""

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from geochat.checkpoints.guards import guarded, reason
from geochat.errors import CheckpointError

WEIGHTS_FILES = ("model.safetensors", "pytorch_model.bin")
_LFS_POINTER = b"version https://git-lfs"
_ZIP = b"PK"
_TRAINING_STATE = "state_dict"
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I8": torch.int8,
    "U8": torch.uint8,
}

ReadByName = Callable[[str], Tensor]
OpenTensors = Callable[[Path], ReadByName]


@dataclass(frozen=True)
class Stored:
    """A tensor in a file.

    Attributes:
        file: The file.
        name: Its name in the file.
        shape: Its shape.
        dtype: Its precision.
    """

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return prod(self.shape) * self.dtype.itemsize

    def load(self, opened: OpenTensors) -> Tensor:
        """The tensor, by what opens its file."""
        return opened(self.file)(self.name)


class Reader:
    """Reads tensors, keeping the file last read open."""

    def __init__(self) -> None:
        self._open = lru_cache(maxsize=1)(open_tensors)

    def read(self, stored: Stored) -> Tensor:
        """The tensor, mapped from its file where the format allows.

        Raises:
            CheckpointError: The file cannot be read.
        """
        with guarded(stored.file, remedy="copy it again"):
            return stored.load(self._open)


def weight_files(folder: Path) -> list[Path]:
    """Return the weights files in `folder`: safetensors before PyTorch's, and of shards those in the index.

    Raises:
        CheckpointError: There are none, one is missing, the index is damaged, or a whole file lies beside an index of
            shards, of which transformers and vLLM would read the former.
    """
    for name in WEIGHTS_FILES:
        index = folder / f"{name}.index.json"
        if index.is_file():
            files = _indexed_files(index)
            if (folder / name).is_file() and folder / name not in files:
                raise CheckpointError(
                    f"{folder} holds {name} and shards that {index.name} lists, so which weights are meant is unknown; "
                    "remove what is left over, or convert the checkpoint again"
                )
            return files
        if (folder / name).is_file():
            return [folder / name]
    raise CheckpointError(f"{folder} holds no {' or '.join(WEIGHTS_FILES)}, whole or in shards; copy the weights there")


def stored_tensors(file: Path) -> list[Stored]:
    """List every tensor of a safetensors or PyTorch file, in file order, from the header alone.

    Raises:
        CheckpointError: The file is a git-LFS pointer, truncated, of another format, or holds more than tensors.
    """
    if file.suffix == ".safetensors":
        with _safetensors(file) as tensors, guarded(file, remedy="copy it again"):
            slices = [(name, tensors.get_slice(name)) for name in tensors.offset_keys()]
            return [Stored(file, name, tuple(s.get_shape()), _dtype(file, name, s.get_dtype())) for name, s in slices]
    return [Stored(file, name, tuple(t.shape), t.dtype) for name, t in _pytorch(file).items()]


def open_tensors(file: Path) -> ReadByName:
    """Open a file for reading tensors by name; errors as in `stored_tensors`."""
    if file.suffix == ".safetensors":
        read: ReadByName = _safetensors(file).get_tensor
        return read
    return _pytorch(file).__getitem__


def _indexed_files(index: Path) -> list[Path]:
    kind = "." + index.name.removesuffix(".index.json").rpartition(".")[2]
    with guarded(f"{index} is not an index of weights and"):
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        outside = [name for name in names if Path(name).name != name or not name.endswith(kind)]
    if outside:
        raise CheckpointError(f"{index} names {outside[0]!r}, which is not a file beside it; copy the checkpoint again")
    files = [index.parent / name for name in names]
    for file in files:
        if not file.is_file():
            raise CheckpointError(f"{file} is named by {index.name} and missing; copy the checkpoint again")
    return files


def _safetensors(file: Path) -> safe_open:
    _refuse_pointer(file)
    try:
        return safe_open(file, framework="pt")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} cannot be read as safetensors ({error}); copy it again") from error


def _pytorch(file: Path) -> dict[str, Tensor]:
    _refuse_pointer(file)
    try:
        state: Any = torch.load(file, map_location="cpu", weights_only=True, mmap=_starts_with(file, _ZIP))
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{file} holds Python objects besides tensors, or is damaged; it is not loaded, because such a file can "
            "run code. Get the weights as safetensors, or copy the file again"
        ) from error
    except Exception as error:  # what a damaged file makes torch raise has no list
        raise CheckpointError(f"{file} cannot be read as PyTorch weights ({reason(error)}); copy it again") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{file} holds a {type(state).__name__}, expected named tensors")
    if isinstance(state.get(_TRAINING_STATE), dict):  # of a checkpoint that training can go on from
        state = state[_TRAINING_STATE]
    tensors: dict[str, Tensor] = state
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise CheckpointError(f"{file} holds {name!r}, which is a {type(tensor).__name__} and not a named tensor")
        if tensor.layout != torch.strided or tensor.is_meta:
            raise CheckpointError(f"{file} holds {name!r}, which is not stored whole; copy the checkpoint again")
    return tensors


def _refuse_pointer(file: Path) -> None:
    if _starts_with(file, _LFS_POINTER):
        raise CheckpointError(f"{file} is a git-LFS pointer, not weights; run `git lfs pull` where it came from")


def _starts_with(file: Path, magic: bytes) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(len(magic)) == magic
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read ({error.strerror}); copy it again") from error


def _dtype(file: Path, name: str, code: str) -> torch.dtype:
    if code not in _DTYPES:
        raise CheckpointError(f"{file}: tensor {name} is of type {code}, which no checkpoint of this kind has")
    return _DTYPES[code]
