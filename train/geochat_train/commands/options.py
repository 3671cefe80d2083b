"""Options generated from the settings of a recipe, and checks before torch is imported."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochat.cli.options import check_encoder
from geochat.errors import DataError, SettingsError

if TYPE_CHECKING:
    from geochat_train.recipe_base import Recipe


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that are not settings of the recipe."""
    parser.add_argument("--restart", action="store_true", help="delete the run in the folder and start again")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def add_settings(parser: argparse.ArgumentParser, method: str) -> None:
    """Add `--config` and an option for each setting of the method."""
    from geochat_train.recipe import METHODS, settings_of

    parser.add_argument("--config", metavar="RECIPE", help="recipe by name or file; the options below override it")
    group = parser.add_argument_group("settings")
    for setting in settings_of(METHODS[method]):
        group.add_argument(
            f"--{setting.name.replace('_', '-')}",
            dest=setting.name,
            metavar="VALUE",
            default=argparse.SUPPRESS,
            help=_about(setting.metadata["help"], setting.default),
        )


def recipe_of(args: argparse.Namespace, method: str) -> "Recipe":
    """Return the recipe of the options.

    Raises:
        SettingsError: A setting is unknown, impossible or contradicts another.
    """
    from geochat_train.recipe import METHODS, settings_of
    from geochat_train.recipe_files import load_recipe

    names = [setting.name for setting in settings_of(METHODS[method])]
    return load_recipe(method, args.config, {name: getattr(args, name) for name in names if hasattr(args, name)})


def _about(text: str, default: Any) -> str:  # noqa: ANN401 - of any setting
    if default in (None, (), False) or isinstance(default, Path):
        return text
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else str(default).lower()
    return f"{text} (default: {shown})".replace("%", "%%")


def check_recipe(recipe: "Recipe", *, dual_encoder: bool = False, dry: bool = False) -> None:
    """Check that the paths in a recipe exist, and that its result can be written.

    Args:
        recipe: The run.
        dual_encoder: Whether its model is one.
        dry: Whether nothing is written.

    Raises:
        SettingsError: The data or the result are not named, or the result would replace a file.
        DataError: A file or folder of the data is missing.
        CheckpointError: There is no such model.
    """
    from geochat.models.finding import check_checkpoint

    for name in () if dry else ("data", "out"):
        if getattr(recipe, name) is None:
            raise SettingsError(f"{name} is not given; add --{name} or `{name}:` to the recipe")
    for path in (recipe.data, recipe.validation, recipe.images):
        check_there(path)
    if recipe.out is not None and there(recipe.out) and not recipe.out.is_dir():
        raise SettingsError(f"out={recipe.out} is a file; name a folder")
    if dual_encoder:
        check_encoder(recipe.model)
    else:
        check_checkpoint(recipe.model)


def check_there(path: Path | None) -> None:
    """Check that a path exists; None is valid.

    Raises:
        DataError: It is not.
    """
    if path is not None and not there(path):
        raise DataError(f"cannot read {path}: No such file or directory; check the path")


def there(path: Path) -> bool:
    """Return whether a path exists.

    Raises:
        SettingsError: No file can have its name.
    """
    try:
        return path.exists()
    except OSError as error:
        raise SettingsError(f"{str(path)[:80]!r} cannot be a path: {error.strerror}; name another") from error
