"""Numbers, flags and sizes as label files write them: JSON and XML tools disagree on whether "0" is text."""

import math
import re
from typing import Any

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
_TRUE = frozenset({"1", "true", "yes", "y", "t"})
_FALSE = frozenset({"", "0", "false", "no", "n", "f", "none", "null"})


def number(value: Any) -> float:  # noqa: ANN401 - decoded JSON
    """A number, also one written as text.

    Raises:
        TypeError, ValueError: It is something else.
    """
    if isinstance(value, bool) or value is None:
        raise TypeError(f"{value!r} is no number")
    return float(value)


def flag(value: Any) -> bool:  # noqa: ANN401 - decoded JSON
    """A yes or no, written as such, as a number, or as either in text; a missing one is no.

    Raises:
        ValueError: It is something else.
    """
    text = str("" if value is None else value).strip().lower()
    if text in _TRUE | _FALSE:
        return text in _TRUE
    if NUMBER.fullmatch(text):
        return float(text) != 0
    raise ValueError(f"{value!r} is neither yes nor no")


def declared_size(width: Any, height: Any) -> tuple[float, float] | None:  # noqa: ANN401 - decoded JSON
    """The (width, height) a label file says its image has; None where it says none, or 0.

    Raises:
        TypeError, ValueError: It is no size.
    """
    given = [number(side) for side in (width, height) if side is not None and str(side).strip()]
    if not any(given):
        return None
    if len(given) != 2 or not all(side > 0 and math.isfinite(side) for side in given):
        raise ValueError(f"{width!r} x {height!r} is no size")
    return given[0], given[1]
