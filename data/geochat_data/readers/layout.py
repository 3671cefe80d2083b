"""Layout of data sets on disk: folders, images, label files and splits.

Splits have many names. `val` is also found as `valid`, `validation` or `dev`, and `train` as `train2017`, if only one
of the names exists; this is noted. A split that does not exist is an error that lists the existing ones, and so is
asking for a split of a data set without any.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PureWindowsPath
from typing import TypeVar

from geochat.errors import DataError
from geochat.files import is_file
from geochat_data.readers.report import Report
from geochat_data.readers.source import DataSource, Label, UnreadableLabel
from geochat_data.readers.values import read_text

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".jp2"})
_SUFFIXES = ", ".join(sorted(IMAGE_SUFFIXES))
Part = TypeVar("Part")
_SPLIT_NAMES = {
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


def find_folder(root: Path, *names: str) -> Path:
    """Find the first of the folders that exists below `root`.

    Raises:
        DataError: None exists.
    """
    for name in names:
        if (folder := root / name).is_dir():
            return folder
    raise DataError(f"{root} holds none of the folders {', '.join(names)}; check the path and the format")


def find_image(folder: Path, name: str) -> Path:
    """Path of the image of that name below `folder`; the name may have been written on Windows."""
    path = folder / name
    return folder / PureWindowsPath(name).as_posix() if "\\" in name and not is_file(path) else path


def list_images(folder: Path) -> list[Path]:
    """List the image files below a folder, sorted.

    Raises:
        DataError: There is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder of images; give another with --images")
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)


def find_image_files(folder: Path, report: Report) -> dict[str, Path]:
    """Find the image files below a folder, by their path without suffix, relative to it.

    Images that differ in their suffix alone are left out and counted: a label could mean any of them.

    Raises:
        DataError: There is no such folder, or no image in it.
    """
    found = list_images(folder)
    if not found:
        raise DataError(f"{folder} holds no image (looked for {_SUFFIXES}); check the path, or give --images")
    return dict(_unambiguous(folder, found, report))


def find_label_files(folder: Path, suffix: str) -> dict[str, Path]:
    """Find the label files below a folder, by their path without suffix, relative to it; the suffix in any case."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() == suffix and path.is_file())
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in found}


def _unambiguous(folder: Path, paths: list[Path], report: Report) -> Iterator[tuple[str, Path]]:
    stems: dict[str, list[Path]] = {}
    for path in paths:
        stems.setdefault(path.relative_to(folder).with_suffix("").as_posix(), []).append(path)
    for stem, same in stems.items():
        if len(same) == 1:
            yield stem, same[0]
        else:
            for path in same:
                report.skip("image that differs from another in its suffix alone", str(path))


def usual_split(name: str) -> str | None:
    """The split that a name usually stands for; None if it stands for none."""
    return _SPLIT_NAMES.get(_YEAR.sub("", name.lower()))


def choose_split(source: DataSource, parts: Mapping[str, Part]) -> Part | None:
    """Choose the part of a data set that is the split to read; None if no part is named like a split.

    Raises:
        DataError: The split does not exist while others do, or its name is ambiguous.
    """
    if source.split in parts:
        return parts[source.split]
    asked = source.split.lower()
    same = [name for name in parts if name.lower() == asked]
    found = same or [name for name in parts if usual_split(name) == usual_split(asked) is not None]
    splits = sorted(name for name in parts if usual_split(name) is not None)
    if len(found) == 1:
        if not same:
            source.report.note(f"split {source.split!r} is called {found[0]!r}", str(source.path))
        return parts[found[0]]
    if found:
        raise DataError(
            f"{source.path} has several splits for {source.split!r}: {', '.join(found)}; name one with --split"
        )
    if splits:
        raise DataError(f"{source.path} has no split {source.split!r}; name one of {', '.join(splits)} with --split")
    return None


def require_no_split(source: DataSource) -> None:
    """Refuse a requested split of a data set without splits, unless the path is named after it.

    Raises:
        DataError: A split was requested.
    """
    words = re.split(r"[^a-z0-9]+", f"{source.path.parent.name}/{source.path.name}".lower())
    wanted = {source.split.lower(), usual_split(source.split)}
    if source.split_asked and not any(word in wanted or (usual_split(word) or "") in wanted for word in words):
        raise DataError(f"{source.path} has no splits, so {source.split!r} does not exist; leave out --split")


def split_folder(source: DataSource, holds: Callable[[Path], bool]) -> Path | None:
    """Find the folder `<split>/` among those for which `holds` is true; None if there are no such folders.

    Raises:
        DataError: The source is not a folder, or has folders of other splits only and holds nothing itself.
    """
    if not source.path.is_dir():
        raise DataError(f"{source.path} is a file, and a data set of this format is a folder; give the folder")
    folders = {folder.name: folder for folder in sorted(source.path.iterdir()) if folder.is_dir() and holds(folder)}
    wanted = [
        name for name in folders if name == source.split or usual_split(name) == usual_split(source.split) is not None
    ]
    return choose_split(source, folders) if wanted or not holds(source.path) else None


def split_below(source: DataSource, folder: Path) -> Path | None:
    """Find the folder `<split>/` below one of a data set's folders; None if that has no splits.

    Raises:
        DataError: There are folders of other splits only.
    """
    return choose_split(source, {inner.name: inner for inner in sorted(folder.iterdir()) if inner.is_dir()})


def line_labels(
    path: Path, label: Callable[[list[str], str], Label | UnreadableLabel], head: re.Pattern[str] | None = None
) -> Iterator[Label | UnreadableLabel]:
    """Read the labels of a text file with one label per line; an unreadable file is one unreadable label.

    Args:
        path: The file.
        label: Makes a label from the words of a line and its location.
        head: Matches header lines, which are skipped; None if the format has none.
    """
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError):
        yield UnreadableLabel("unreadable label file", str(path))
        return
    for number, line in enumerate(lines, start=1):
        if (words := line.split()) and not (head and head.match(line)):
            yield label(words, f"{path}:{number}")
