"""Referring expressions that select exactly the objects they are meant for.

An expression is offered only when it holds with room to spare: everything else of its category, doubtful objects
included, must be clearly outside the named part of the image, clearly smaller, or clearly further in.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from geochat_data.questions.subject import MAX_COUNT, Subject, plural
from geochat_data.records import LabelledObject, Point

ROOM = 0.07  # of the image's side
CLEARLY_LARGER = 1.4  # in area
PARTS = {
    "at the top left": (0, 0),
    "at the top": (1, 0),
    "at the top right": (2, 0),
    "on the left": (0, 1),
    "in the center": (1, 1),
    "on the right": (2, 1),
    "at the bottom left": (0, 2),
    "at the bottom": (1, 2),
    "at the bottom right": (2, 2),
}  # column and row of the image divided in thirds
_OUTERMOST = {"leftmost": (0, 1), "rightmost": (0, -1), "topmost": (1, 1), "bottommost": (1, -1)}
EXTREMES = (*_OUTERMOST, "largest", "smallest")


@dataclass(frozen=True, slots=True)
class Expression:
    """A phrase and the objects it refers to."""

    phrase: str
    objects: tuple[LabelledObject, ...]


def expressions(subject: Subject, category: str | None = None) -> list[Expression]:
    """The expressions by category, place, extreme and size; `described` offers more."""
    categories = subject.present if category is None else [category]
    return [found for name in categories for found in of_category(subject, name)]


def of_category(subject: Subject, category: str) -> Iterator[Expression]:
    """The expressions of one category."""
    members = subject.members(category)
    doubtful = [item for item in subject.image.ignore if item.category == category]
    if category not in subject.image.labelled:
        return
    if len(members) == 1 and not doubtful:
        yield Expression(f"the {category}", members)
    if 1 < len(members) <= MAX_COUNT and not doubtful:
        yield Expression(f"all {plural(category)}", members)
    places = {item: subject.place(item) for item in (*members, *doubtful)}
    for item in members:
        center, area = places[item]
        others = [place for other, place in places.items() if other is not item]
        if not others:
            continue
        for where, part in PARTS.items():
            if in_part(center, part, -ROOM / 2) and not any(in_part(c, part, ROOM) for c, _ in others):
                yield Expression(f"the {category} {where}", (item,))
        for word, (axis, sign) in _OUTERMOST.items():
            if all(sign * (c[axis] - center[axis]) > ROOM for c, _ in others):
                yield Expression(f"the {word} {category}", (item,))
        if not item.truncated and all(area > CLEARLY_LARGER * other for _, other in others):
            yield Expression(f"the largest {category}", (item,))
        cut = doubtful or any(other.truncated for other in members)
        if not cut and all(area * CLEARLY_LARGER < other for _, other in others):
            yield Expression(f"the smallest {category}", (item,))


def in_part(point: Point, part: tuple[int, int], room: float) -> bool:
    """Whether a point lies in a ninth of the image widened by `room`, which the image's own border is not."""
    return all(
        (index == 0 or index / 3 - room <= value) and (index == 2 or value <= (index + 1) / 3 + room)
        for value, index in zip(point, part, strict=True)
    )


def part_of(subject: Subject, item: LabelledObject) -> str | None:
    """The ninth of the image an object is clearly in: "at the top left"."""
    center = subject.place(item)[0]
    return next((words for words, part in PARTS.items() if in_part(center, part, -ROOM / 2)), None)
