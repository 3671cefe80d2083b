"""Values people type as words: boxes, windows, bands and stretches."""

import argparse
import os
from collections.abc import Callable
from typing import Any, TypeVar

Number = TypeVar("Number", int, float)


def words(text: str) -> str:
    """What was typed, also where the locale knows no such letters and Python kept them as bytes."""
    try:
        return os.fsencode(text).decode()
    except UnicodeError as error:
        raise argparse.ArgumentTypeError(f"{text!a} is not UTF-8; set a UTF-8 locale") from error


def region(text: str) -> tuple[float, ...]:
    """`x1,y1,x2,y2` or `x1,y1,x2,y2,θ`."""
    numbers = _numbers(text, float)
    if len(numbers) not in (4, 5):
        raise argparse.ArgumentTypeError(f"{text!r} has {len(numbers)} numbers; give x1,y1,x2,y2 or x1,y1,x2,y2,angle")
    return numbers


def window(text: str) -> tuple[int, int, int, int]:
    """`column,row,width,height`."""
    numbers = _numbers(text, int)
    if len(numbers) != 4:
        raise argparse.ArgumentTypeError(f"{text!r} has {len(numbers)} numbers; give column,row,width,height")
    column, row, width, height = numbers
    return column, row, width, height


def bands(text: str) -> str | tuple[int, ...]:
    """Band numbers from 1, as `4,3,2`, or the name of a choice."""
    return _numbers(text, int) if text[:1].isdecimal() else text


def stretch(text: str) -> dict[str, Any]:
    """A method, `percentile:low,high`, or the band values `low,high`; as the fields of `geochat.imagery.Stretch`."""
    method, _, percentiles = text.partition(":")
    if percentiles:
        return {"method": method, "percentiles": _pair(percentiles)}
    if method.isalpha():
        return {"method": method}
    return {"method": "limits", "limits": (_pair(text),)}


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
