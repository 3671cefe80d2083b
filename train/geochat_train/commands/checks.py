"""What is wrong with a run before torch is imported."""

from pathlib import Path
from typing import TYPE_CHECKING

from geochat.cli.options import check_encoder
from geochat.errors import DataError, SettingsError
from geochat.models.finding import check_checkpoint

if TYPE_CHECKING:
    from geochat_train.recipe import Recipe


def check_recipe(recipe: "Recipe", *, dual_encoder: bool = False, dry: bool = False) -> None:
    """Check that what a recipe names is there, and that its result has a place.

    Args:
        recipe: The run.
        dual_encoder: Whether its model is one.
        dry: Whether nothing is written.

    Raises:
        SettingsError: The data or the result are not named, or the result would replace a file.
        DataError: A file or folder of the data is missing.
        CheckpointError: There is no such model.
    """
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
    """Check that a path is there; None is.

    Raises:
        DataError: It is not.
    """
    if path is not None and not there(path):
        raise DataError(f"cannot read {path}: No such file or directory; check the path")


def there(path: Path) -> bool:
    """Whether a path exists.

    Raises:
        SettingsError: No file can have its name.
    """
    try:
        return path.exists()
    except OSError as error:
        raise SettingsError(f"{str(path)[:80]!r} cannot be a path: {error.strerror}; name another") from error
