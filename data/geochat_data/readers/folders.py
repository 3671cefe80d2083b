"""A folder of classes: each folder of images is a scene class, as in UC Merced, AID and EuroSAT."""

from collections.abc import Iterator
from pathlib import Path

from geochat.errors import DataError
from geochat_data.readers.categories import named
from geochat_data.readers.finding import list_images
from geochat_data.readers.source import Source, labelled_image
from geochat_data.readers.splitting import choose, require_no_split
from geochat_data.records import LabelledImage


def read_folders(source: Source) -> Iterator[LabelledImage]:
    """The images below `<split>/<class>/` or `<class>/`, by class and name.

    Raises:
        DataError: There is no folder of images, the split is not there, or a class is a number without a name.
    """
    for folder in _class_folders(source):
        scene = named(folder.name, source.names, str(folder))
        for path in list_images(folder):
            yield from labelled_image(source, path, (), scene=scene)


def class_names(source: Source) -> tuple[str, ...]:
    """The scene classes of a folder of classes.

    Raises:
        DataError: There is no folder of images, the split is not there, or a class is a number without a name.
    """
    found = (named(folder.name, source.names, str(folder)) for folder in _class_folders(source))
    return tuple(name for name in found if name is not None)


def _class_folders(source: Source) -> list[Path]:
    if not source.path.is_dir():
        raise DataError(f"{source.path} is no folder; give the folder whose folders are the classes")
    folders = {folder.name: folder for folder in sorted(source.path.iterdir()) if folder.is_dir()}
    splits = {name: folder for name, folder in folders.items() if any(inner.is_dir() for inner in folder.iterdir())}
    root = choose(source, splits)
    if root is None:
        require_no_split(source)
    classes = sorted(folder for folder in (root or source.path).iterdir() if folder.is_dir())
    if not classes:
        raise DataError(f"{source.path} holds no folders; give the folder whose folders are the classes")
    return classes
