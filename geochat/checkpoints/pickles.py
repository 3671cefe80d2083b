"""The Python objects a pickle asks for, read from its instructions without carrying any out."""

import pickletools
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import IO

from geochat.checkpoints.guards import guarded
from geochat.errors import CheckpointError

_HARMLESS = frozenset(
    (
        "collections.OrderedDict", "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter", "torch._tensor._rebuild_from_type_v2", "torch.Size", "torch.device",
        "torch.nn.parameter.Parameter", "torch.Tensor", "torch.serialization._get_layout",
    )
)  # fmt: skip
_DTYPES = ("float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool")
_ASKING = frozenset(("INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"))  # which torch's reader of tensors does not know
_PICKLES = 5  # that a file of PyTorch's old format begins with; tensors come after
_LARGEST = 1 << 28  # bytes of instructions


def unsafe_names(file: Path) -> list[str]:
    """The names of what a PyTorch file asks for besides what tensors need.

    Raises:
        CheckpointError: The file cannot be read, or is no pickle.
    """
    with guarded(file, remedy="copy it again"):
        if not zipfile.is_zipfile(file):
            with file.open("rb") as stream:
                return sorted({name for name in _asked_for(stream) if not _is_harmless(name)})
        with zipfile.ZipFile(file) as archive:
            inner = [entry for entry in archive.infolist() if entry.filename.endswith(".pkl")]
            if sum(entry.file_size for entry in inner) > _LARGEST:
                raise CheckpointError(
                    f"{file} holds more instructions than tensors need; get the weights as safetensors"
                )
            pickles = [BytesIO(archive.read(entry)) for entry in inner]
        return sorted({name for stream in pickles for name in _asked_for(stream) if not _is_harmless(name)})


def _asked_for(stream: IO[bytes]) -> Iterator[str]:
    for _ in range(_PICKLES):
        texts: list[str] = []
        for code, argument, _place in pickletools.genops(stream):
            if code.name == "GLOBAL":
                yield str(argument).replace(" ", ".")
            elif code.name in _ASKING:
                yield f"{'.'.join(texts[-2:])} ({code.name})"
            elif isinstance(argument, str):
                texts = [*texts[-1:], argument]
        following = stream.read(1)
        if following != b"\x80":
            return
        stream.seek(-1, 1)


def _is_harmless(name: str) -> bool:
    """Return whether tensors need it: their rebuilding, or a dtype or storage of torch."""
    module, _, last = name.rpartition(".")
    return name in _HARMLESS or (module in ("torch", "torch.storage") and last.endswith(("Storage", *_DTYPES)))
