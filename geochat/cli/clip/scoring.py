"""How many images are what the folder they lie in is called."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from geochat.clip import Classification
from geochat.clip.templates import letters


class Score:
    """Counts of images by the class their folder names; only letters are compared: `golfcourse` is "golf course"."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = {letters(name): name for name in classes}
        self._seen: Counter[str] = Counter()
        self._right: Counter[str] = Counter()
        self._unknown = 0

    def count(self, found: Classification) -> None:
        """Compare one image's label with its folder."""
        truth = self._classes.get(letters(Path(found.image).parent.name))
        if truth is None:
            self._unknown += 1
        else:
            self._seen[truth] += 1
            self._right[truth] += found.label == truth

    def told(self) -> str:
        """Accuracy over all images and by class."""
        total = self._seen.total()
        if not total:
            return "no image lies in a folder called as one of the classes, so there is nothing to compare with"
        by_class = ", ".join(f"{name} {self._right[name] / count:.1%}" for name, count in sorted(self._seen.items()))
        outside = f"; {self._unknown} images lie in folders of other names" if self._unknown else ""
        return f"accuracy {self._right.total() / total:.1%} of {total} images ({by_class}){outside}"
