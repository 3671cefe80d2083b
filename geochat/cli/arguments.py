"""What stands after the commands of a conversation."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from geochat.assistant import RegionLike
from geochat.cli import options, values
from geochat.cli.output import read_geojson
from geochat.errors import PromptError, RegionError
from geochat.imagery import GeoImage


def region(word: str) -> RegionLike:
    """A box in pixels of the whole image, or the GeoJSON of a file.

    Raises:
        RegionError: It is neither, or the file cannot be read.
    """
    if word.lower().endswith((".geojson", ".json")):
        return read_geojson(path(word))
    try:
        return values.region(word)
    except argparse.ArgumentTypeError as error:
        raise RegionError(f"the region {error}; or name a .geojson file") from error


def path(word: str) -> Path:
    """A path, with `~` for the user's home: no shell has been at it."""
    try:
        return Path(word).expanduser()
    except RuntimeError:  # nobody's home: then it is a name like any other
        return Path(word)


def image(words: Sequence[str]) -> GeoImage:
    """Open what `/image` names: a file, and the options of `geochat ask` for what is looked at.

    Raises:
        GeoChatError: The words are wrong, or the image cannot be read.
    """
    parser = _Arguments(prog="/image", add_help=False)
    parser.add_argument("image", metavar="FILE", type=path)
    options.add_view_options(parser)
    return options.open_view(parser.parse_args(words))


class _Arguments(argparse.ArgumentParser):
    """A parser that does not end the program over a wrong word."""

    def error(self, message: str) -> NoReturn:
        raise PromptError(f"{self.prog}: {message}")
