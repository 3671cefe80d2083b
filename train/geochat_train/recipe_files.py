"""Recipes from files, by name or path, with overriding values."""

import difflib
import types
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from geochat.errors import SettingsError
from geochat_train.recipe import METHODS, method_of, settings_of
from geochat_train.recipe_base import Recipe

_DURATION = ("epochs", "steps")
_SHOWN = 80  # characters of a value in a message


def load_recipe(method: str, source: str | Path | None = None, given: Mapping[str, Any] | None = None) -> Recipe:
    """Load the recipe of a run.

    Args:
        method: A key of `METHODS`.
        source: A file, or the name of one of `shipped()`; None takes the method's defaults.
        given: Settings that override the file's, as text or typed.

    Raises:
        SettingsError: There is no such file, it is another method's, or a setting is unknown or impossible; names it.
    """
    path = None if source is None else _found(source)
    values = {} if path is None else _read(path)
    stated = values.pop("method", method)
    if stated != method:
        raise SettingsError(f"{path} is a recipe for {stated!r}, not {method!r}; run `geochat train {stated}`")
    kind = METHODS[method]
    given = dict(given or {})
    for name in (*values, *given):
        _check_known(name, kind, method, str(path) if name in values else "what was given")
    if given.keys() & set(_DURATION):
        values = {name: value for name, value in values.items() if name not in _DURATION}
    types_of = get_type_hints(kind)
    merged = {**values, **given}
    return kind(**{name: typed(name, value, types_of[name]) for name, value in merged.items()})


def shipped() -> dict[str, Path]:
    """Return the bundled recipes, by name."""
    return {path.stem: path for path in sorted(configs().glob("*.yaml"))}


def configs() -> Path:
    """Return the folder of recipes: inside an installed package, or next to it in a checkout."""
    package = Path(str(files("geochat_train")))
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def to_yaml(recipe: Recipe) -> str:
    """Return the recipe in the form that `load_recipe` reads; default settings are omitted."""
    values: dict[str, Any] = {"method": method_of(recipe)}
    for field in settings_of(type(recipe)):
        value = getattr(recipe, field.name)
        if value != field.default:
            values[field.name] = (
                list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
            )
    return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))


def typed(name: str, value: Any, kind: Any) -> Any:  # noqa: ANN401 - YAML's values and typing's types
    """Convert `value` to the type of the setting `name`, from text if needed.

    Raises:
        SettingsError: It is not one.
    """
    options = get_args(kind)
    if get_origin(kind) in (Union, types.UnionType):
        if value is None or value == "none":
            return None
        return typed(name, value, next(option for option in options if option is not type(None)))
    if get_origin(kind) is Literal:
        if value not in options:
            raise SettingsError(f"{name}={value!r} is not one of {', '.join(map(str, options))}")
        return value
    if get_origin(kind) is tuple:
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise SettingsError(f"{name}={value!r} is no list; write its items, separated by commas")
        return tuple(typed(name, item.strip() if isinstance(item, str) else item, options[0]) for item in items)
    return _plain(name, value, kind)


def _plain(name: str, value: Any, kind: Any) -> Any:  # noqa: ANN401
    wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}[kind]
    if kind is bool and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    right = {bool: (bool,), int: (int,), float: (int, float, str), str: (str,), Path: (str, Path)}[kind]
    number = kind in (int, float)
    try:
        if number and isinstance(value, str):
            return kind(value)  # a flag, and YAML takes 2e-4 for text
        if isinstance(value, right) and not (number and isinstance(value, bool)):
            return kind(value)
    except (ValueError, OverflowError):
        pass
    shown = repr(value)
    raise SettingsError(f"{name}={shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '...'} is not {wanted}")


def _found(source: str | Path) -> Path:
    known = shipped()
    if str(source) in known:
        return known[str(source)]
    path = Path(source)
    with suppress(OSError):  # of a name no file can have
        if path.is_file():
            return path
    raise SettingsError(f"there is no recipe {str(source)!r}; give a file, or one of {', '.join(known)}")


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise SettingsError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise SettingsError(f"{path} holds no settings; write lines such as `learning_rate: 0.0002`")
    return values


def _check_known(name: str, kind: type[Recipe], method: str, where: str) -> None:
    names = [field.name for field in settings_of(kind)]
    if name in names:
        return
    others = [other for other, of in METHODS.items() if name in {f.name for f in settings_of(of)}]
    if others:
        raise SettingsError(f"{where} has {name!r}, a setting of {', '.join(others)}, not of {method}; leave it out")
    close = difflib.get_close_matches(str(name), names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it may hold {', '.join(names)}"
    raise SettingsError(f"{where} has the unknown setting {name!r}; {hint}")
