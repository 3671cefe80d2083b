"""`--for MODEL`: the model whose way of writing regions is read and written, where none is loaded."""

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geochat.dialects import Dialect

PUBLISHED = "the published GeoChat"


def add_for(group: Any, what: str, default: str = PUBLISHED, option: str = "--for") -> None:  # noqa: ANN401 - argparse keeps its type private
    """`--for MODEL`; `dialect_of` and `stated_dialect` read it.

    Args:
        group: A parser or a group of options.
        what: What the model is, in the help: "the model FILE was built for".
        default: Whose dialect it is otherwise.
        option: Its name, where a command has two.
    """
    group.add_argument(
        option,
        metavar="MODEL",
        dest=_name(option),
        help=f"{what}, a checkpoint folder or geochat-mini: boxes have its angles and its frame (default: {default})",
    )


def stated_dialect(args: argparse.Namespace, option: str = "--for") -> "Dialect | None":
    """The dialect of `--for`, None where it is not given.

    Raises:
        CheckpointError: There is no such checkpoint, or its settings are damaged.
    """
    from geochat.models.reading import read_dialect

    model = getattr(args, _name(option))
    return None if model is None else read_dialect(model)


def dialect_of(args: argparse.Namespace) -> "Dialect":
    """The dialect of `--for`, the published GeoChat's where it is not given.

    Raises:
        CheckpointError: There is no such checkpoint, or its settings are damaged.
    """
    from geochat.dialects import GEOCHAT

    return stated_dialect(args) or GEOCHAT


def _name(option: str) -> str:
    return f"{option.strip('-').replace('-', '_')}_model"  # `for` alone is a word of Python
