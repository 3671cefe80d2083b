"""What stands after the commands of a conversation."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from geochat.assistant import RegionLike
from geochat.assistant.layers import layer_shapes
from geochat.cli import options, values
from geochat.errors import PromptError, RegionError
from geochat.exports import read_vector_layer
from geochat.imagery import GeoImage

_VECTOR = (".geojson", ".json", ".gpkg", ".shp", ".fgb")


def regions(word: str, view: GeoImage) -> Sequence[RegionLike]:
    """A box in pixels of the whole image, or the polygons of a vector file.

    Args:
        word: What was typed.
        view: The view that will be asked about.

    Raises:
        RegionError: It is neither, or the file cannot be read or laid on the image.
    """
    if word.lower().endswith(_VECTOR):
        return layer_shapes(read_vector_layer(path(word)), view.frame)
    try:
        return [values.region(word)]
    except argparse.ArgumentTypeError as error:
        raise RegionError(f"the region {error}; or name a file ({', '.join(_VECTOR)})") from error


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
    args = parser.parse_args(words)
    return options.open_view(args, args.image)


class _Arguments(argparse.ArgumentParser):
    """A parser that does not end the program over a wrong word."""

    def error(self, message: str) -> NoReturn:
        raise PromptError(f"{self.prog}: {message}")
