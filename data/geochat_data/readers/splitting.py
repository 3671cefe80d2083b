"""Which part of a data set is read: its splits go by many names.

`val` is also found as `valid`, `validation` or `dev`, and `train` as `train2017`, where only one of the names is there;
that is noted. A split that is not there is an error that names those that are, and so is asking for one where there are
none.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from geochat.errors import DataError
from geochat_data.readers.source import Source

Part = TypeVar("Part")
_SYNONYMS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
    "trainval": "trainval",
}
_YEAR = re.compile(r"[-_]?\d{4}$")


def meaning(name: str) -> str | None:
    """The split that a name is usual for; None where it is for none."""
    return _SYNONYMS.get(_YEAR.sub("", name.lower()))


def choose(source: Source, parts: Mapping[str, Part]) -> Part | None:
    """The part of the split to read; None where no part is called as splits are, so that there are no splits.

    Raises:
        DataError: There are splits, and not that one, or several may be meant.
    """
    if source.split in parts:
        return parts[source.split]
    asked = source.split.lower()
    same = [name for name in parts if name.lower() == asked]
    found = same or [name for name in parts if meaning(name) == meaning(asked) is not None]
    splits = sorted(name for name in parts if meaning(name) is not None)
    if len(found) == 1:
        if not same:
            source.report.note(f"split {source.split!r} is called {found[0]!r}", str(source.path))
        return parts[found[0]]
    if found:
        raise DataError(f"{source.path} may mean {', '.join(found)} by {source.split!r}; name one with --split")
    if splits:
        raise DataError(f"{source.path} has no split {source.split!r}; name one of {', '.join(splits)} with --split")
    return None


def require_no_split(source: Source) -> None:
    """Refuse a split that was asked for where there are none, unless the path's own name says that it is that one.

    Raises:
        DataError: It was asked for.
    """
    words = re.split(r"[^a-z0-9]+", f"{source.path.parent.name}/{source.path.name}".lower())
    wanted = {source.split.lower(), meaning(source.split)}
    if source.split_asked and not any(word in wanted or (meaning(word) or "") in wanted for word in words):
        raise DataError(f"{source.path} has no splits, so none is called {source.split!r}; leave out --split")


def split_folder(source: Source, holds: Callable[[Path], bool]) -> Path | None:
    """The folder `<split>/` where folders of splits hold what is looked for; None where there are none.

    Raises:
        DataError: The source is no folder, or has folders of splits, but not of that one, and holds nothing itself.
    """
    if not source.path.is_dir():
        raise DataError(f"{source.path} is a file, and a data set of this format is a folder; give that")
    folders = {folder.name: folder for folder in sorted(source.path.iterdir()) if folder.is_dir() and holds(folder)}
    wanted = [name for name in folders if name == source.split or meaning(name) == meaning(source.split) is not None]
    return choose(source, folders) if wanted or not holds(source.path) else None


def split_below(source: Source, folder: Path) -> Path | None:
    """The folder `<split>/` below one of a data set's folders; None where that has no splits.

    Raises:
        DataError: There are folders of splits, but not of that one.
    """
    return choose(source, {inner.name: inner for inner in sorted(folder.iterdir()) if inner.is_dir()})
