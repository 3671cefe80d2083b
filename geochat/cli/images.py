"""The images on a command line, and the question among its words."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from geochat.cli import values
from geochat.errors import ImageError, PromptError
from geochat.files import is_folder, is_there

ENDINGS = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".jp2", ".j2k")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://\S+$", re.IGNORECASE)
_BESIDE = (".ovr", ".msk")  # TIFFs that belong to another image

if TYPE_CHECKING:
    from geochat.assistant import Answer
    from geochat.client import RemoteAnswer

    AnyAnswer = Answer | RemoteAnswer

ImageName: TypeAlias = str | Path
"""An image as `Scene.open` takes it: a word that was typed, or a file found in a folder."""


class Words(NamedTuple):
    """The words of a command line, separated into images and question.

    Attributes:
        images: Image files and addresses as named, or the files of a named folder.
        question: The question; "" without one.
        several: Whether more than one image was named, or a folder; each image then has its own answer.
    """

    images: list[ImageName]
    question: str
    several: bool


def split_words(words: Sequence[str], question: str | None = None) -> Words:
    """Separate images from the question: the last word, unless it is or reads like an image or a folder.

    Args:
        words: At least one word; the first is always an image or a folder.
        question: The value of `--question`; all words are then images.

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
    images: list[ImageName] = []
    several = len(named) > 1
    for word in named:
        if is_folder(Path(word)):
            images += _inside(Path(word))
            several = True
        else:
            images.append(word)
    return Words(images, question or "", several)


def label_of(image: ImageName) -> str:
    """Return an image's name for output: as typed, without secrets that an address may contain."""
    from geochat.imagery.remote import is_address, require_address

    return require_address(image) if is_address(image) else str(image)


def open_errors(images: Sequence[ImageName]) -> list[ImageError]:
    """Return the error of each image if none can be opened, else nothing; checked before a model is loaded."""
    from geochat.imagery.sources import check_source

    errors = []
    for image in images:
        try:
            check_source(image)
        except ImageError as error:
            errors.append(error)
        else:
            return []
    return errors


def _typed(word: str) -> str:
    """Return a question as typed, also if the locale lacks its letters."""
    try:
        return values.words(word)
    except argparse.ArgumentTypeError as error:
        raise PromptError(f"the question {error}") from error


def _is_image(word: str) -> bool:
    """Return whether a word names an existing file or folder, ends like an image file, or is an address."""
    if _ADDRESS.match(word):
        return True
    try:
        return word.lower().endswith(ENDINGS) or (bool(word) and is_there(Path(word)))
    except (OSError, ValueError):  # such as a question too long to be a file's name
        return False


def _inside(folder: Path) -> list[Path]:
    """Return the images in a folder, without its sub-folders, in order of name."""
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise ImageError(f"the folder {folder} cannot be read: {error.strerror}; check its permissions") from error
    images = [path for path in files if path.suffix.lower() not in _BESIDE and _holds_image(path)]
    if not images:
        raise ImageError(f"the folder {folder} itself holds no image; name another, or one of its sub-folders")
    return images


def _holds_image(path: Path) -> bool:
    """Return whether a file is an image by its suffix or its first bytes; a wrong suffix is an error later."""
    from geochat.imagery.files import ImageFile

    if path.suffix.lower() in ENDINGS:
        return True
    try:
        ImageFile.find(path)
    except ImageError:
        return False
    return True
