"""A labelled image as question builders see it: what may be asked about, where it lies, and in which words."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from shapely.geometry import Polygon as Shape
from shapely.geometry import box as rectangle

from geochat.dialects import Dialect
from geochat.geometry import Frame, OrientedBox
from geochat.prompts.phrases import with_article
from geochat_data.questions.colour import colours_of
from geochat_data.questions.wordings import Choice, Wordings
from geochat_data.records import LabelledImage, LabelledObject, Point

MAX_COUNT = 12  # more than this nobody counts at a glance, nor lists box by box


@dataclass(frozen=True, slots=True)
class Subject:
    """One image, the chance questions are drawn with, and how they are written.

    Attributes:
        image: What is asked about.
        rng: Where all chance comes from.
        dialect: How the checkpoint is asked and writes regions.
        scenes: The scene classes to choose between.
        wording: Which wordings questions are drawn from.
        rich: Whether expressions may speak of colours and relations too.
    """

    image: LabelledImage
    rng: random.Random
    dialect: Dialect
    scenes: Sequence[str] = ()
    wording: Choice = "published"
    rich: bool = False
    _colours: dict[LabelledObject, str | None] = field(default_factory=dict, compare=False, repr=False)
    _places: dict[LabelledObject, tuple[Point, float]] = field(default_factory=dict, compare=False, repr=False)

    def word(self, wordings: Wordings) -> str:
        """One of the wordings of a kind of question."""
        pool = wordings.pool(self.wording)
        return pool[0] if len(pool) == 1 else self.rng.choice(pool)

    def colour(self, item: LabelledObject) -> str | None:
        """The colour the labels give an object, else that of its pixels; None where it is unknown.

        Raises:
            ImageError: The image cannot be read.
        """
        if not self._colours:
            self._colours.update(colours_of(self.image))
        return self._colours[item]

    @property
    def countable(self) -> list[str]:
        """Categories whose objects are all known: labelled exhaustively and none of them doubtful."""
        return sorted(self.image.labelled - {item.category for item in self.image.ignore})

    @property
    def present(self) -> list[str]:
        """Categories with at least one labelled object."""
        return sorted({item.category for item in self.image.objects})

    @property
    def absent(self) -> list[str]:
        """Countable categories the image certainly does not hold."""
        return [category for category in self.countable if category not in self.present]

    def members(self, category: str) -> tuple[LabelledObject, ...]:
        """The labelled objects of a category, from left to right and then from top to bottom."""
        found = (item for item in self.image.objects if item.category == category)
        return tuple(sorted(found, key=lambda item: self.place(item)[0]))

    def place(self, item: LabelledObject) -> tuple[Point, float]:
        """Centre and area of the part inside the image, as shares of the image's sides and area."""
        if item not in self._places:
            self._places[item] = self._place(item)
        return self._places[item]

    def _place(self, item: LabelledObject) -> tuple[Point, float]:
        image = self.image
        if all(0 <= x <= image.width and 0 <= y <= image.height for x, y in item.polygon):
            x, y = item.center
            return (x / image.width, y / image.height), item.area / (image.width * image.height)
        inside = Shape(item.polygon).intersection(rectangle(0, 0, image.width, image.height))
        center = inside.centroid
        return (center.x / image.width, center.y / image.height), inside.area / (image.width * image.height)

    def boxes(self, items: Sequence[LabelledObject]) -> list[OrientedBox]:
        """The objects' boxes in the numbers the model writes: for GeoChat percent of the letterboxed square."""
        frame = Frame((self.image.width, self.image.height), model=self.dialect.model_frame)
        to_model = frame.between("view", "model")
        return [OrientedBox.from_polygon(item.polygon).transform(to_model) for item in items]


NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


_IRREGULAR = {"person": "people", "man": "men", "woman": "women", "aircraft": "aircraft", "sheep": "sheep"}


def plural(category: str) -> str:
    """The plural of a category's name."""
    first, last = category[: category.rfind(" ") + 1], category[category.rfind(" ") + 1 :]
    if last in _IRREGULAR:
        return first + _IRREGULAR[last]
    if last.endswith(("s", "x", "z", "ch", "sh")):
        return category + "es"
    if last.endswith("y") and last[-2:-1] not in "aeiou":
        return category[:-1] + "ies"
    return category + "s"


def counted(category: str, count: int) -> str:
    """How many there are in words: "an airplane", "three airplanes", "many cars"."""
    if count == 1:
        return with_article(category)
    return f"{NUMBERS[count] if count < len(NUMBERS) else 'many'} {plural(category)}"


def listed(parts: Sequence[str]) -> str:
    """The parts in a row: "a", "a and b", "a, b and c"."""
    return " and ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part)
