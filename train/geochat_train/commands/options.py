"""Options made from the settings of a recipe, so that each is described in one place."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geochat_train.recipe import Recipe


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """What is no setting of the recipe."""
    parser.add_argument("--restart", action="store_true", help="forget the run that is in the folder and begin anew")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def add_settings(parser: argparse.ArgumentParser, method: str) -> None:
    """`--config` and an option for each setting of the method."""
    from geochat_train.recipe import METHODS, settings_of

    parser.add_argument("--config", metavar="RECIPE", help="recipe by name or file; the options below win over it")
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
    """The recipe that the options make.

    Raises:
        SettingsError: A setting is unknown, impossible or contradicts another.
    """
    from geochat_train.recipe import METHODS, settings_of
    from geochat_train.recipes import load_recipe

    names = [setting.name for setting in settings_of(METHODS[method])]
    return load_recipe(method, args.config, {name: getattr(args, name) for name in names if hasattr(args, name)})


def _about(text: str, default: Any) -> str:  # noqa: ANN401 - of any setting
    if default in (None, (), False) or isinstance(default, Path):
        return text
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else str(default).lower()
    return f"{text} (default: {shown})".replace("%", "%%")
