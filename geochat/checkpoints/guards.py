"""Files of a checkpoint are not to be trusted: whatever a library raises about one becomes an error that names it.

What transformers, tokenizers, safetensors, sentencepiece and torch raise about a damaged file has no list: of mutated
files a quarter ended in a TypeError, a ZeroDivisionError, a RecursionError, or a panic of Rust code, which Python knows
as a `BaseException`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geochat.errors import CheckpointError, GeoChatError

_PANIC = "PanicException"  # of pyo3, which has no module to import it from
_LONGEST = 300


@contextmanager
def guarded(what: str | Path, *, remedy: str = "copy the checkpoint again") -> Iterator[None]:
    """Turn any failure of the code within into an error of the hierarchy.

    Args:
        what: The file or folder that is read.
        remedy: What the user can do.

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
    """The first line of an error, with what it announces, shortened; its type where it says nothing."""
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    line = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    named = line if type(error).__name__ in line or len(line) > 20 else f"{type(error).__name__}: {line}"
    return named if len(named) <= _LONGEST else f"{named[:_LONGEST]}..."
