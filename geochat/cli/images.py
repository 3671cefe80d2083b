"""Which images a command line names, and which of its words is the question."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from geochat.cli import values
from geochat.errors import ImageError, PromptError
from geochat.files import is_folder, is_there

ENDINGS = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".jp2", ".j2k")
_BESIDE = (".ovr", ".msk")  # TIFFs that belong to another image


class Asked(NamedTuple):
    """What a command line asks about.

    Attributes:
        images: Image files as they were named, or as they stand in a folder that was.
        question: What is asked; "" where nothing is said.
        several: Whether the answers are a table, one row an image: more than one was named, or a folder.
    """

    images: list[Path]
    question: str
    several: bool


def asked(words: Sequence[str], question: str | None = None) -> Asked:
    """Tell images and question apart: the last word is the question, unless it is or reads like an image or a folder.

    Args:
        words: What was typed, at least one word; the first is always an image or a folder.
        question: The question, where it was given by name; all words are then images.

    Raises:
        ImageError: A folder cannot be read or holds no image, or a word that reads like a question is not the last.
        PromptError: The question was given twice.
    """
    named = list(words)
    if len(named) > 1 and not _is_image(named[-1]):
        if question is not None:
            raise PromptError(f"the question was given twice, {named[-1]!r} and {question!r}; drop one of the two")
        question = _typed(named.pop())
    if stray := next((word for word in named[1:] if not _is_image(word)), None):
        raise ImageError(f"{stray!r} is no image file or folder; put a question of several words into quotation marks")
    images: list[Path] = []
    several = len(named) > 1
    for path in map(Path, named):
        if is_folder(path):
            images += _inside(path)
            several = True
        else:
            images.append(path)
    return Asked(images, question or "", several)


def none_opens(images: Sequence[Path]) -> list[ImageError]:
    """Why none of the images is there; nothing where one is. Known before a model is loaded."""
    from geochat.imagery.files import ImageFile

    errors = []
    for image in images:
        try:
            ImageFile.find(image)
        except ImageError as error:
            errors.append(error)
        else:
            return []
    return errors


def _typed(word: str) -> str:
    """A question as it was typed, also where the locale knows no such letters."""
    try:
        return values.words(word)
    except argparse.ArgumentTypeError as error:
        raise PromptError(f"the question {error}") from error


def _is_image(word: str) -> bool:
    """Whether a word names an existing file or folder, or ends as an image does."""
    try:
        return word.lower().endswith(ENDINGS) or (bool(word) and is_there(Path(word)))
    except (OSError, ValueError):  # such as a question too long to be a file's name
        return False


def _inside(folder: Path) -> list[Path]:
    """The images in a folder in the order of their names; not those of its sub-folders."""
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise ImageError(f"the folder {folder} cannot be read: {error.strerror}; check its permissions") from error
    images = [path for path in files if path.suffix.lower() not in _BESIDE and _holds_image(path)]
    if not images:
        raise ImageError(f"the folder {folder} itself holds no image; name another, or one of its sub-folders")
    return images


def _holds_image(path: Path) -> bool:
    """Whether a file is an image by its first bytes; one that only ends like an image is an error of its own later."""
    from geochat.imagery.files import ImageFile

    if path.suffix.lower() in ENDINGS:
        return True
    try:
        ImageFile.find(path)
    except ImageError:
        return False
    return True
