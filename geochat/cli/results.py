"""Result files of a command: checked before the model is loaded, written after the answer."""

import argparse
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from geochat.assistant.table import ENDINGS, AnswerTable, Row
from geochat.cli.images import ImageName, label_of
from geochat.cli.output import note
from geochat.errors import ExportError
from geochat.exports import check_target

if TYPE_CHECKING:
    from geochat.cli.images import AnyAnswer

_KINDS = {
    "overlay": (".png", ".jpg", ".jpeg"),
    "geojson": (".geojson", ".json"),
    "geopackage": (".gpkg",),
    "table": ENDINGS,
}

Result = TypeVar("Result")


def check_targets(args: argparse.Namespace, *, several: bool = False) -> None:
    """Check that every result can be written.

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


def write_files(answer: "AnyAnswer", args: argparse.Namespace, image: ImageName) -> None:
    """Write the files of `--overlay`, `--geojson`, `--geopackage` and `--table` for one answer.

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
            table.write(Row.of(label_of(image), answer.to_dict()))


@contextmanager
def table_writer(path: Path | None) -> Iterator[Callable[[Row], None]]:
    """Yield a function that writes a row to the table of `--table`; without a path it does nothing.

    Where the user interrupts, a note names the file with the rows written so far.

    Raises:
        ExportError: The table cannot be written.
    """
    if path is None:
        yield lambda _row: None
        return
    with AnswerTable(path) as table:
        try:
            yield table.write
        except KeyboardInterrupt:
            note(f"interrupted; the {table.rows} rows written so far are in {table.part}")
            raise


def in_order(results: Iterable[tuple[int, Result]]) -> Iterator[tuple[int, Result]]:
    """Yield numbered results in order from 0, each as soon as the results before it are done."""
    waiting: dict[int, Result] = {}
    following = 0
    for number, result in results:
        waiting[number] = result
        while following in waiting:
            yield following, waiting.pop(following)
            following += 1


def _check_folder(path: Path) -> None:
    """Create a folder of images if it is missing, and check that it is writable."""
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
