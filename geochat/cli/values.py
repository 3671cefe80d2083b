"""Argument types: text, numbers, boxes, windows, bands, stretches and class names.

Each function takes the typed text. Those named as `type=` of an argument raise `argparse.ArgumentTypeError`.
"""

import argparse
import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from geochat.errors import SettingsError

Number = TypeVar("Number", int, float)


class RegistryNames:
    """The names in a `geochat.registry.Registry`, as the `choices` of an argument.

    The registry is imported when a value is checked or the help is printed, so that declaring the argument is cheap
    and members of installed packages count. `%(choices)s` in the help lists them.

    Args:
        target: The registry, as "module:attribute".
    """

    def __init__(self, target: str) -> None:
        self._target = target

    def __contains__(self, name: object) -> bool:
        return name in self._registry

    def __iter__(self) -> Iterator[str]:
        return iter(self._registry)

    @property
    def _registry(self) -> Any:  # noqa: ANN401 - of any member type
        module, attribute = self._target.split(":")
        return getattr(import_module(module), attribute)


def words(text: str) -> str:
    """Decode text, also if the locale lacks its letters and Python kept them as bytes."""
    try:
        return os.fsencode(text).decode()
    except UnicodeError as error:
        raise argparse.ArgumentTypeError(f"{text!a} is not UTF-8; set a UTF-8 locale") from error


def region(text: str) -> tuple[float, ...]:
    """Parse a box: `x1,y1,x2,y2` or `x1,y1,x2,y2,θ`."""
    numbers = _numbers(text, float)
    if len(numbers) not in (4, 5):
        raise argparse.ArgumentTypeError(f"{text!r} has {len(numbers)} numbers; give x1,y1,x2,y2 or x1,y1,x2,y2,angle")
    return numbers


def window(text: str) -> tuple[int, int, int, int]:
    """Parse a window: `column,row,width,height`."""
    numbers = _numbers(text, int)
    if len(numbers) != 4:
        raise argparse.ArgumentTypeError(f"{text!r} has {len(numbers)} numbers; give column,row,width,height")
    column, row, width, height = numbers
    return column, row, width, height


def bands(text: str) -> str | tuple[int, ...]:
    """Parse band numbers from 1, as `4,3,2`, or the name of a preset."""
    return _numbers(text, int) if text[:1].isdecimal() else text


def stretch(text: str) -> dict[str, Any]:
    """Parse a method, `percentile:low,high`, or band values `low,high` into fields of `geochat.imagery.Stretch`."""
    method, _, percentiles = text.partition(":")
    if percentiles:
        return {"method": method, "percentiles": _pair(percentiles)}
    if method.isalpha():
        return {"method": method}
    return {"method": "limits", "limits": (_pair(text),)}


def class_names(text: str) -> tuple[str, ...]:
    """Parse names separated by commas, or those of a .txt file, one per line.

    Raises:
        SettingsError: The file cannot be read.
    """
    if not text.endswith(".txt"):
        return tuple(name.strip() for name in text.split(",") if name.strip())
    try:
        lines = Path(text).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise SettingsError(f"the file of classes {text} cannot be read ({error}); write one name per line") from error
    return tuple(line.strip() for line in lines if line.strip())


def _pair(text: str) -> tuple[float, float]:
    numbers = _numbers(text, float)
    if len(numbers) != 2:
        raise argparse.ArgumentTypeError(f"{text!r} has {len(numbers)} numbers; give low,high")
    return numbers[0], numbers[1]


def _numbers(text: str, kind: Callable[[str], Number]) -> tuple[Number, ...]:
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not numbers separated by commas") from None
