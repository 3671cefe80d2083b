"""What categories are called: words, never numbers."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from geochat.errors import DataError
from geochat_data.readers.finding import read_text
from geochat_data.readers.values import NUMBER

_NOTHING = frozenset({"", "nan", "none", "null"})


def category_name(text: str) -> str:
    """A category as words: "Storage-Tank" and "storage_tank" are both "storage tank"."""
    return " ".join(text.replace("_", " ").replace("-", " ").lower().split())


def named(raw: Any, names: Mapping[str, str], where: str) -> str | None:  # noqa: ANN401 - decoded JSON
    """The name of a category as a file has it, by the table of names where it is in there; None where it has none.

    Raises:
        DataError: It is a number that the table does not name.
    """
    if not isinstance(raw, str | int | float) or isinstance(raw, bool) or (isinstance(raw, float) and math.isnan(raw)):
        return None
    text = str(int(raw)) if isinstance(raw, float) and raw.is_integer() else str(raw)
    name = names.get(text.strip(), names.get(category_name(text)))
    name = category_name(text) if name is None else name
    if name in _NOTHING:
        return None
    if NUMBER.fullmatch(text.strip()) and NUMBER.fullmatch(name):
        raise DataError(
            f"{where}: the category {text!r} is a number, and questions need a name; give names with --names "
            f"{text}=NAME,... or a file of them"
        )
    return name


def list_of(value: Any) -> list[Any]:  # noqa: ANN401 - decoded YAML
    """A value that is a list.

    Raises:
        TypeError: It is something else, such as a text, whose letters are no names.
    """
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return value


def read_names(path: Path) -> dict[str, str]:
    """A table of names: `names` of a data.yaml, a JSON or YAML mapping or list, or a text file, one a line from 0 up.

    Raises:
        DataError: The file cannot be read or is no such table.
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
        raise DataError(f"{path} is no table of names: {error}; see --names in docs/data.md") from error
    return {key: name for key, name in table.items() if name not in _NOTHING}
