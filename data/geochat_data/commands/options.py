"""Arguments and messages that the actions share."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")


def add_file(parser: argparse.ArgumentParser) -> None:
    """`FILE` and `--images`."""
    parser.add_argument("file", metavar="FILE", type=Path, help="samples, .json or .jsonl")
    parser.add_argument("--images", metavar="DIR", type=Path, help="folder the file's image paths are relative to")


def extent(text: str) -> tuple[int, int]:
    """`6-10`, or `8` for exactly eight."""
    low, _, high = text.partition("-")
    try:
        return int(low), int(high or low)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no range; write 6-10") from None


def positive(text: str) -> int:
    """A whole number from 1 up."""
    return _whole(text, 1)


def number(text: str) -> int:
    """A whole number from 0 up."""
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} up")
    return value


def shares(text: str) -> dict[str, float]:
    """`identify=3,count=1`; a name alone has the share 1."""
    found = {}
    for item in names(text):
        name, _, share = item.partition("=")
        try:
            found[name] = float(share or 1)
        except ValueError:
            found[name] = 0.0
        if not found[name] > 0:
            raise argparse.ArgumentTypeError(f"{item!r} is no kind with its share; write identify=3,count=1")
    return found


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def tell(text: str) -> None:
    """Tell something beside the results."""
    print(text, file=sys.stderr)


def require_folder(path: Path) -> None:
    """Check, before any work, that a file can be put where it shall be.

    Raises:
        SettingsError: Its folder does not exist.
    """
    from geochat.errors import SettingsError

    if not path.parent.is_dir():
        raise SettingsError(f"{path} cannot be written: there is no folder {path.parent}; create it first")


def counted(items: Iterable[Item], what: str) -> Iterator[Item]:
    """The items, with a running count where somebody watches."""
    watched = sys.stderr.isatty()
    for number, item in enumerate(items, start=1):
        yield item
        if watched and number % 20 == 0:
            print(f"\r{number} {what}", end="", file=sys.stderr, flush=True)
    if watched:
        print("\r", end="", file=sys.stderr)
