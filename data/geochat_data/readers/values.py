"""Values of label files: text, numbers, flags, sizes and category names.

Tools write them differently: "0" may be text, a category may be a number, "Storage-Tank" may be "storage_tank".
"""

import codecs
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from geochat.errors import DataError

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
_TRUE = frozenset({"1", "true", "yes", "y", "t"})
_FALSE = frozenset({"", "0", "false", "no", "n", "f", "none", "null"})
_NO_NAME = frozenset({"", "nan", "none", "null"})


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, or in UTF-16 if it begins with that byte-order mark; the mark is removed.

    Raises:
        OSError, ValueError: It cannot be read, or is in another encoding.
    """
    content = path.read_bytes()
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if wide else "utf-8-sig")


def number(value: Any) -> float:  # noqa: ANN401 - decoded JSON
    """Convert a number, or the text of one.

    Raises:
        TypeError, ValueError: The value is something else.
    """
    if isinstance(value, bool) or value is None:
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def flag(value: Any) -> bool:  # noqa: ANN401 - decoded JSON
    """Convert a boolean, a number, or the text of either; None is false.

    Raises:
        ValueError: The value is something else.
    """
    text = str("" if value is None else value).strip().lower()
    if text in _TRUE | _FALSE:
        return text in _TRUE
    if NUMBER.fullmatch(text):
        return float(text) != 0
    raise ValueError(f"{value!r} is neither true nor false")


def declared_size(width: Any, height: Any) -> tuple[float, float] | None:  # noqa: ANN401 - decoded JSON
    """The (width, height) that a label file declares for its image; None if it declares none, or 0.

    Raises:
        TypeError, ValueError: It is not a size.
    """
    given = [number(side) for side in (width, height) if side is not None and str(side).strip()]
    if not any(given):
        return None
    if len(given) != 2 or not all(side > 0 and math.isfinite(side) for side in given):
        raise ValueError(f"{width!r} x {height!r} is not a size")
    return given[0], given[1]


def category_name(text: str) -> str:
    """Normalise a category: "Storage-Tank" and "storage_tank" are both "storage tank"."""
    return " ".join(text.replace("_", " ").replace("-", " ").lower().split())


def named(raw: Any, names: Mapping[str, str], where: str) -> str | None:  # noqa: ANN401 - decoded JSON
    """The name of a category as a file writes it, looked up in `names` first; None if it has none.

    Raises:
        DataError: The category is a number that `names` does not hold.
    """
    if not isinstance(raw, str | int | float) or isinstance(raw, bool) or (isinstance(raw, float) and math.isnan(raw)):
        return None
    text = str(int(raw)) if isinstance(raw, float) and raw.is_integer() else str(raw)
    name = names.get(text.strip(), names.get(category_name(text)))
    name = category_name(text) if name is None else name
    if name in _NO_NAME:
        return None
    if NUMBER.fullmatch(text.strip()) and NUMBER.fullmatch(name):
        raise DataError(
            f"{where}: the category {text!r} is a number, and questions need a name; give names with --names "
            f"{text}=NAME,... or a file of them"
        )
    return name


def list_of(value: Any) -> list[Any]:  # noqa: ANN401 - decoded YAML
    """Return a value that is a list.

    Raises:
        TypeError: It is something else, such as a text, whose letters are not names.
    """
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    return value


def read_category_names(path: Path) -> dict[str, str]:
    """Read a table of names: `names` of a data.yaml, a JSON or YAML mapping or list, or text with one a line from 0 up.

    Raises:
        DataError: The file cannot be read or is not such a table.
    """
    try:
        text = read_text(path)
        if path.suffix.lower() == ".json":
            content = json.loads(text)
        else:
            plain = path.suffix.lower() not in (".yaml", ".yml")
            content = text.splitlines() if plain else yaml.safe_load(text)
        found = content["names"] if isinstance(content, dict) and "names" in content else content
        rows = found.items() if isinstance(found, dict) else enumerate(list_of(found))
        table = {str(key).strip(): category_name(str(name)) for key, name in rows}
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise DataError(f"{path} is not a table of names: {error}; see --names in docs/data.md") from error
    return {key: name for key, name in table.items() if name not in _NO_NAME}
