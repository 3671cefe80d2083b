"""Labelled scenes, and a few of each class drawn from them by a seed."""

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from geochat.clip.templates import letters
from geochat.errors import DataError
from geochat_data.readers import Report, DataSource, read


@dataclass(frozen=True)
class SceneImages:
    """Image files with their classes.

    Attributes:
        classes: Names, as prompts say them.
        files: The images.
        labels: The number of each image's class.
    """

    classes: tuple[str, ...]
    files: tuple[Path, ...]
    labels: tuple[int, ...]

    def few(self, shots: int, seed: int) -> "SceneImages":
        """`shots` images of each class; with the same seed, fewer shots are among more.

        Raises:
            DataError: A class has fewer.
        """
        chosen: list[int] = []
        for number, name in enumerate(self.classes):
            places = [place for place, label in enumerate(self.labels) if label == number]
            if len(places) < shots:
                raise DataError(f"the class {name!r} has {len(places)} images and {shots} were asked for")
            random.Random(f"{seed} {name}").shuffle(places)
            chosen += places[:shots]
        return self._at(chosen, self.classes)

    def of(self, classes: Sequence[str]) -> "SceneImages":
        """The images of these classes, told apart among them alone."""
        kept = [place for place, label in enumerate(self.labels) if self.classes[label] in classes]
        return self._at(kept, tuple(classes))

    def without(self, names: Collection[str]) -> "SceneImages":
        """The images but those whose file name is among `names`."""
        return self._where(lambda file: file.name not in names)

    def only(self, names: Collection[str]) -> "SceneImages":
        """The images whose file name is among `names`."""
        return self._where(lambda file: file.name in names)

    def _where(self, wanted: Callable[[Path], bool]) -> "SceneImages":
        return self._at([place for place, file in enumerate(self.files) if wanted(file)], self.classes)

    def _at(self, places: Sequence[int], classes: tuple[str, ...]) -> "SceneImages":
        labels = tuple(classes.index(self.classes[self.labels[place]]) for place in places)
        return SceneImages(classes, tuple(self.files[place] for place in places), labels)


def read_scenes(folder: Path, classes: Sequence[str] = (), report: Report | None = None) -> SceneImages:
    """A folder of folders of images, one a class.

    Args:
        folder: Holds a folder for each class.
        classes: How the classes are said, where their folders run words together: "golf course" is `golfcourse`.
            Folders of other classes are left out. Empty takes the folders' names.
        report: Counts what was used and what was skipped.

    Raises:
        DataError: There are no folders of images, or a class has none.
    """
    source = DataSource(folder, report=Report() if report is None else report)
    found = [(record.path, record.scene) for record in read("folders", source) if record.path and record.scene]
    names = tuple(classes) or tuple(sorted({scene for _, scene in found}))
    numbers = {letters(name): number for number, name in enumerate(names)}
    kept = [(path, numbers[letters(scene)]) for path, scene in found if letters(scene) in numbers]
    if missing := set(range(len(names))) - {number for _, number in kept}:
        raise DataError(f"{folder} has no images of {names[min(missing)]!r}; its folders are the classes")
    return SceneImages(names, tuple(path for path, _ in kept), tuple(number for _, number in kept))
