"""Where label files and their images lie, whatever system wrote their names."""

import codecs
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from geochat.errors import DataError
from geochat.files import is_file
from geochat_data.readers.report import Report

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".jp2"})
_SUFFIXES = ", ".join(sorted(IMAGE_SUFFIXES))


def read_text(path: Path) -> str:
    """A text file in UTF-8, or in UTF-16 where it begins with that mark; the mark is left out.

    Raises:
        OSError, ValueError: It cannot be read, or is in another encoding.
    """
    content = path.read_bytes()
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if wide else "utf-8-sig")


def find_folder(root: Path, *names: str) -> Path:
    """The first of the folders that exists below `root`.

    Raises:
        DataError: None does.
    """
    for name in names:
        if (folder := root / name).is_dir():
            return folder
    raise DataError(f"{root} holds none of the folders {', '.join(names)}; check the path and the format")


def find_image(folder: Path, name: str) -> Path:
    """Where the image of that name would lie below `folder`; the name may have been written on Windows."""
    path = folder / name
    return folder / PureWindowsPath(name).as_posix() if "\\" in name and not is_file(path) else path


def list_images(folder: Path) -> list[Path]:
    """The image files below a folder, sorted.

    Raises:
        DataError: There is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder of images; give another with --images")
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)


def image_files(folder: Path, report: Report) -> dict[str, Path]:
    """Image files below a folder by their path without suffix, relative to it.

    Images that differ in their suffix alone are left out and counted: nobody knows which of them a label means.

    Raises:
        DataError: There is no such folder, or no image in it.
    """
    found = list_images(folder)
    if not found:
        raise DataError(f"{folder} holds no image (looked for {_SUFFIXES}); check the path, or give --images")
    return dict(_unambiguous(folder, found, report))


def label_files(folder: Path, suffix: str) -> dict[str, Path]:
    """Label files below a folder by their path without suffix, relative to it; the suffix in any case."""
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
                report.skip("image whose name another has with a different suffix", str(path))
