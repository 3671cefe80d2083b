"""A labelled image as question builders see it: what may be asked about, where it lies, and in which words."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from shapely.geometry import Polygon as Shape
from shapely.geometry import box as rectangle

from geochat.frames import Frame
from geochat.regions import AngleConvention, OrientedBox
from geochat_data.records import LabelledImage, LabelledObject, Point

MAX_COUNT = 12  # more than this nobody counts at a glance, nor lists box by box


@dataclass(frozen=True, slots=True)
class Subject:
    """One image, the chance questions are drawn with, and how angles are written.

    Attributes:
        image: What is asked about.
        rng: Where all chance comes from.
        scenes: The scene classes to choose between.
        convention: How the checkpoint writes angles.
    """

    image: LabelledImage
    rng: random.Random
    scenes: Sequence[str] = ()
    convention: AngleConvention = field(default_factory=AngleConvention)

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
        image = self.image
        if all(0 <= x <= image.width and 0 <= y <= image.height for x, y in item.polygon):
            x, y = item.center
            return (x / image.width, y / image.height), item.area / (image.width * image.height)
        inside = Shape(item.polygon).intersection(rectangle(0, 0, image.width, image.height))
        center = inside.centroid
        return (center.x / image.width, center.y / image.height), inside.area / (image.width * image.height)

    def boxes(self, items: Sequence[LabelledObject]) -> list[OrientedBox]:
        """The objects' boxes in the model's frame: percent of the letterboxed square."""
        to_model = ~Frame(view_size=(self.image.width, self.image.height)).model_to_view
        return [OrientedBox.from_polygon(item.polygon).transform(to_model) for item in items]


NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def plural(category: str) -> str:
    """The plural of a category's name."""
    return category + "s"


def with_article(noun: str) -> str:
    """The noun with "a" or "an"."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def counted(category: str, count: int) -> str:
    """How many there are in words: "an airplane", "three airplanes", "many cars"."""
    if count == 1:
        return with_article(category)
    return f"{NUMBERS[count] if count < len(NUMBERS) else 'many'} {plural(category)}"


def listed(parts: Sequence[str]) -> str:
    """The parts in a row: "a", "a and b", "a, b and c"."""
    return " and ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part)
