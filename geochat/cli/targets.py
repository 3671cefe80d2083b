"""The files a command is to write: checked before the model is loaded, written after the answer."""

import argparse
import os
from pathlib import Path

from geochat.assistant import Answer
from geochat.assistant.table import ENDINGS, AnswerTable, Row
from geochat.errors import ExportError
from geochat.exports import check_target

_KINDS = {
    "overlay": (".png", ".jpg", ".jpeg"),
    "geojson": (".geojson", ".json"),
    "geopackage": (".gpkg",),
    "table": ENDINGS,
}


def check_targets(args: argparse.Namespace, *, several: bool = False) -> None:
    """Find out before the model is loaded that a result could not be written.

    Args:
        args: With `overlay`, `geojson`, `geopackage` and `table`.
        several: Whether `overlay` is a folder of pictures.

    Raises:
        ExportError: A file is a folder, its folder is missing or read-only, or its ending is not one of its kind.
    """
    for name, endings in _KINDS.items():
        path = getattr(args, name)
        if path is None:
            continue
        if name == "overlay" and several:
            _check_folder(path)
        else:
            _check_writable(check_target(path, endings))


def write_files(answer: Answer, args: argparse.Namespace, image: Path) -> None:
    """Write what `--overlay`, `--geojson`, `--geopackage` and `--table` ask for about one answer.

    Raises:
        ExportError: A file cannot be written.
    """
    if args.overlay:
        answer.save_overlay(args.overlay)
    if args.geojson:
        answer.save_geojson(args.geojson)
    if args.geopackage:
        answer.to_geopackage(args.geopackage)
    if args.table:
        with AnswerTable(args.table) as table:
            table.write(Row.of(str(image), answer))


def _check_folder(path: Path) -> None:
    """Check that a folder of pictures is there or can be created, and create it."""
    if path.suffix.lower() in _KINDS["overlay"]:
        raise ExportError(f"{path} is named as one picture; several images are drawn into a folder, name one")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"the folder {path} cannot be created: {error.strerror}; choose another") from error
    if not os.access(path, os.W_OK):
        raise ExportError(f"the folder {path} is read-only; choose another")


def _check_writable(path: Path) -> None:
    try:
        is_folder = path.is_dir()
    except OSError as error:  # such as a name that is too long
        raise ExportError(f"{path} cannot be written: {error.strerror}; choose another name") from error
    if is_folder:
        raise ExportError(f"{path} cannot be written: it is a folder; name a file")
    if not os.access(path.parent, os.W_OK):
        raise ExportError(f"{path} cannot be written: the folder {path.parent} is read-only; choose another place")
