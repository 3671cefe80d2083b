"""A folder of classes: each folder of images is a scene class, as in UC Merced, AID and EuroSAT."""

from collections.abc import Iterator
from pathlib import Path

from geochat.errors import DataError
from geochat_data.readers.source import Source, category_name, image_files, labelled_image
from geochat_data.records import LabelledImage


def read_folders(source: Source) -> Iterator[LabelledImage]:
    """The images below `<split>/<class>/` or `<class>/`, by class and name.

    Raises:
        DataError: There is no folder of images.
    """
    for folder in _class_folders(source):
        for path in image_files(folder).values():
            yield from labelled_image(source, path, (), scene=category_name(folder.name))


def class_names(source: Source) -> tuple[str, ...]:
    """The scene classes of a folder of classes.

    Raises:
        DataError: There is no folder of images.
    """
    return tuple(category_name(folder.name) for folder in _class_folders(source))


def _class_folders(source: Source) -> list[Path]:
    root = source.path / source.split if (source.path / source.split).is_dir() else source.path
    classes = sorted(folder for folder in root.glob("*") if folder.is_dir())
    if not classes:
        raise DataError(f"{root} holds no folders; give the folder whose folders are the classes")
    return classes
