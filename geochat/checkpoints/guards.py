"""Protection against untrusted checkpoint files.

Every exception that a library raises about such a file becomes an error that names the file. There is no list of the
exceptions that transformers, tokenizers, safetensors, sentencepiece and torch raise for damaged files: a quarter of
mutated files ended in a TypeError, a ZeroDivisionError, a RecursionError, or a panic of Rust code, which is a
`BaseException` in Python.

The Python objects that a pickle imports are read from its instructions, without executing any.
"""

import pickletools
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO

from geochat.errors import CheckpointError, GeoChatError

_PANIC = "PanicException"  # of pyo3, which has no module to import it from
_LONGEST = 300


@contextmanager
def guarded(what: str | Path, *, remedy: str = "copy the checkpoint again") -> Iterator[None]:
    """Turn any failure in the body into an error of the hierarchy.

    Args:
        what: The file or folder that is read.
        remedy: Remedy for the user.

    Raises:
        CheckpointError: Anything but an error of the hierarchy, or a signal to end, was raised within.
    """
    try:
        yield
    except GeoChatError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
            raise
        raise CheckpointError(f"{what} cannot be read ({reason(error)}); {remedy}") from error


def reason(error: BaseException) -> str:
    """Return the first line of an error, shortened; its type if the message is empty."""
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    line = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    named = line if type(error).__name__ in line or len(line) > 20 else f"{type(error).__name__}: {line}"
    return named if len(named) <= _LONGEST else f"{named[:_LONGEST]}..."


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
    """Return the names that a PyTorch file imports besides those that tensors need.

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
    """Return whether tensors need a name: their rebuilding functions, or a dtype or storage of torch."""
    module, _, last = name.rpartition(".")
    return name in _HARMLESS or (module in ("torch", "torch.storage") and last.endswith(("Storage", *_DTYPES)))
