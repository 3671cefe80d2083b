"""Subject of questions: a labelled image with its categories, places and colours."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from shapely.geometry import Polygon
from shapely.geometry import box as rectangle

from geochat.dialects import Dialect, Shape
from geochat.geometry import Frame
from geochat.prompts import Task
from geochat.prompts.phrases import plural, with_article
from geochat_data.questions.colour import colours_of
from geochat_data.questions.wordings import WordingPool, Wordings
from geochat_data.records import LabelledImage, LabelledObject, Point

MAX_COUNT = 12  # objects that are counted, or listed box by box
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@dataclass(frozen=True, slots=True)
class QAPair:
    """One question and its answer, a turn of a conversation.

    Attributes:
        question: The user's text as the model reads it, task token and regions included.
        answer: The text that the model should answer.
        task: The task of the prompt.
        kind: The name of its builder: "presence", "count", ...
        about: The topic, in any wording: a category, a phrase, a box.
        grounded: Whether the answer to a referring question holds boxes, rather than that there is none.
    """

    question: str
    answer: str
    task: Task
    kind: str = ""
    about: str = ""
    grounded: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """One image, and the state with which questions about it are drawn and written.

    Attributes:
        image: The image.
        rng: The source of randomness.
        dialect: The dialect of the checkpoint.
        scenes: The scene classes to choose between.
        wording: The wordings to draw from.
        rich: Whether expressions may use colours and relations too.
    """

    image: LabelledImage
    rng: random.Random
    dialect: Dialect
    scenes: Sequence[str] = ()
    wording: WordingPool = "published"
    rich: bool = False
    _colours: dict[LabelledObject, str | None] = field(default_factory=dict, compare=False, repr=False)
    _places: dict[LabelledObject, tuple[Point, float]] = field(default_factory=dict, compare=False, repr=False)

    def word(self, wordings: Wordings) -> str:
        """Draw one of the wordings of a kind of question."""
        pool = wordings.pool(self.wording)
        return pool[0] if len(pool) == 1 else self.rng.choice(pool)

    def colour(self, item: LabelledObject) -> str | None:
        """The colour of an object by its labels, else by its pixels; None if it is unknown.

        Raises:
            ImageError: The image cannot be read.
        """
        if not self._colours:
            self._colours.update(colours_of(self.image))
        return self._colours[item]

    @property
    def countable(self) -> list[str]:
        """Categories whose objects are all known: labelled exhaustively, and none of them ignored."""
        return sorted(self.image.labelled - {item.category for item in self.image.ignore})

    @property
    def present(self) -> list[str]:
        """Categories with at least one labelled object."""
        return sorted({item.category for item in self.image.objects})

    @property
    def absent(self) -> list[str]:
        """Countable categories without an object in the image."""
        return [category for category in self.countable if category not in self.present]

    def members(self, category: str) -> tuple[LabelledObject, ...]:
        """The labelled objects of a category, from left to right and then from top to bottom."""
        found = (item for item in self.image.objects if item.category == category)
        return tuple(sorted(found, key=lambda item: self.place(item)[0]))

    def place(self, item: LabelledObject) -> tuple[Point, float]:
        """Centre and area of the part of an object inside the image, as shares of the image's sides and area."""
        if item not in self._places:
            self._places[item] = self._place(item)
        return self._places[item]

    def _place(self, item: LabelledObject) -> tuple[Point, float]:
        image = self.image
        if all(0 <= x <= image.width and 0 <= y <= image.height for x, y in item.polygon):
            x, y = item.center
            return (x / image.width, y / image.height), item.area / (image.width * image.height)
        inside = Polygon(item.polygon).intersection(rectangle(0, 0, image.width, image.height))
        center = inside.centroid
        return (center.x / image.width, center.y / image.height), inside.area / (image.width * image.height)

    def boxes(self, items: Sequence[LabelledObject]) -> list[Shape]:
        """The objects' boxes in the model's numbers: for GeoChat percent of the letterboxed square."""
        frame = Frame((self.image.width, self.image.height), model=self.dialect.model_frame)
        to_model = frame.between("view", "model")
        return [self.dialect.carried(item.box, to_model) for item in items]


def counted(category: str, count: int) -> str:
    """A number of objects in words: "an airplane", "three airplanes", "many cars"."""
    if count == 1:
        return with_article(category)
    return f"{NUMBERS[count] if count < len(NUMBERS) else 'many'} {plural(category)}"


def joined(parts: Sequence[str]) -> str:
    """Join parts of a sentence: "a", "a and b", "a, b and c"."""
    return " and ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part)
