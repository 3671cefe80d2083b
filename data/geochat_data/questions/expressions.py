"""Referring expressions that select exactly the objects they are meant for.

An expression by category, place, extreme or size is offered only if it holds with a margin: every other object of its
category, ignored objects included, must be clearly outside the named part of the image, clearly smaller, or clearly
further in.

Attributes - colour, place, relation to another object - hold, do not hold, or are unclear for each object. An
expression by attributes is offered only if they are clear for every object of the category, ignored ones included:
then it selects exactly those for which all hold.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from shapely import Polygon as Shape

from geochat.prompts.phrases import plural
from geochat_data.questions.subject import MAX_COUNT, Subject
from geochat_data.records import LabelledObject, Point

MARGIN = 0.07  # of the image's side
CLEARLY_LARGER = 1.4  # ratio of areas
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
HALVES = {
    "in the left half": (0, -1),
    "in the right half": (0, 1),
    "in the top half": (1, -1),
    "in the bottom half": (1, 1),
}
SIDES = {"to the left of": (0, -1), "to the right of": (0, 1), "above": (1, -1), "below": (1, 1)}
NEXT_TO = (0.6, 1.2)  # gap in lengths of the longer object: a smaller one is next to it, a larger one is not
MOST_ANCHORS = 4  # objects that others are related to
Verdict = bool | None


@dataclass(frozen=True, slots=True)
class Expression:
    """A phrase and the objects that it refers to."""

    phrase: str
    objects: tuple[LabelledObject, ...]


def expressions(subject: Subject, category: str | None = None) -> list[Expression]:
    """List the expressions by category, place, extreme and size; `attribute_expressions` offers more."""
    categories = subject.present if category is None else [category]
    return [found for name in categories for found in _of_category(subject, name)]


def _of_category(subject: Subject, category: str) -> Iterator[Expression]:
    """Expressions of one category."""
    members = subject.members(category)
    ignored = [item for item in subject.image.ignore if item.category == category]
    if category not in subject.image.labelled:
        return
    if len(members) == 1 and not ignored:
        yield Expression(f"the {category}", members)
    if 1 < len(members) <= MAX_COUNT and not ignored:
        yield Expression(f"all {plural(category)}", members)
    places = {item: subject.place(item) for item in (*members, *ignored)}
    for item in members:
        center, area = places[item]
        others = [place for other, place in places.items() if other is not item]
        if not others:
            continue
        for where, part in PARTS.items():
            if in_part(center, part, -MARGIN / 2) and not any(in_part(c, part, MARGIN) for c, _ in others):
                yield Expression(f"the {category} {where}", (item,))
        for word, (axis, sign) in _OUTERMOST.items():
            if all(sign * (c[axis] - center[axis]) > MARGIN for c, _ in others):
                yield Expression(f"the {word} {category}", (item,))
        if not item.truncated and all(area > CLEARLY_LARGER * other for _, other in others):
            yield Expression(f"the largest {category}", (item,))
        cut = ignored or any(other.truncated for other in members)
        if not cut and all(area * CLEARLY_LARGER < other for _, other in others):
            yield Expression(f"the smallest {category}", (item,))


def in_part(point: Point, part: tuple[int, int], margin: float) -> bool:
    """Return whether a point lies in a ninth of the image widened by `margin`, except at the image's border."""
    return all(
        (index == 0 or index / 3 - margin <= value) and (index == 2 or value <= (index + 1) / 3 + margin)
        for value, index in zip(point, part, strict=True)
    )


def part_of(subject: Subject, item: LabelledObject) -> str | None:
    """The ninth of the image that an object is clearly in: "at the top left"; None if none is."""
    center = subject.place(item)[0]
    return next((words for words, part in PARTS.items() if in_part(center, part, -MARGIN / 2)), None)


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of the objects of a category.

    Attributes:
        before: The words before the category: "white".
        after: The words after it: "next to the building".
        holds: Whether it is true of each object; None if that is unclear.
    """

    before: str
    after: str
    holds: Mapping[LabelledObject, Verdict]


def attribute_expressions(subject: Subject, category: str) -> Iterator[Expression]:
    """Expressions by one attribute, or by a colour and another attribute together."""
    if category not in subject.image.labelled:
        return
    members = subject.members(category)
    ignored = [item for item in subject.image.ignore if item.category == category]
    everything = [*members, *ignored]
    colours = list(_colours(subject, everything))
    others = [*_places(subject, everything), *_relations(subject, category, everything)]
    for group in [*((q,) for q in (*colours, *others)), *product(colours, others)]:
        chosen = _selected(group, members, ignored)
        if chosen is not None and 0 < len(chosen) <= MAX_COUNT:
            before, after = (" ".join(q.before for q in group).strip(), " ".join(q.after for q in group).strip())
            noun = f"the {before} {category}" if len(chosen) == 1 else f"all {before} {plural(category)}"
            yield Expression(" ".join(f"{noun} {after}".split()), chosen)


def _selected(
    group: Iterable[Attribute], members: Iterable[LabelledObject], ignored: Iterable[LabelledObject]
) -> tuple[LabelledObject, ...] | None:
    """The members with all attributes; None if that is unclear for one, or an ignored object has them."""
    attributes = tuple(group)
    verdicts = {item: _all(q.holds[item] for q in attributes) for item in (*members, *ignored)}
    if None in verdicts.values() or any(verdicts[item] for item in ignored):
        return None
    return tuple(item for item in members if verdicts[item])


def _all(verdicts: Iterable[Verdict]) -> Verdict:
    """Three-valued conjunction: false if any verdict is."""
    found = list(verdicts)
    return False if False in found else None if None in found else True


def _colours(subject: Subject, items: list[LabelledObject]) -> Iterator[Attribute]:
    colours = {item: subject.colour(item) for item in items}
    for name in sorted({colour for colour in colours.values() if colour}):
        holds = {item: None if colour is None else colour == name for item, colour in colours.items()}
        yield Attribute(name, "", holds)


def _places(subject: Subject, items: list[LabelledObject]) -> Iterator[Attribute]:
    centers = {item: subject.place(item)[0] for item in items}
    for words, part in PARTS.items():
        yield Attribute(
            "",
            words,
            {i: _verdict(in_part(c, part, -MARGIN / 2), not in_part(c, part, MARGIN / 2)) for i, c in centers.items()},
        )
    for words, (axis, sign) in HALVES.items():
        far = {item: sign * (center[axis] - 0.5) for item, center in centers.items()}
        yield Attribute("", words, {item: _verdict(d > MARGIN / 2, d < -MARGIN / 2) for item, d in far.items()})


def _relations(subject: Subject, category: str, items: list[LabelledObject]) -> Iterator[Attribute]:
    """Relations of the objects to a single one of another category."""
    for anchor in _anchors(subject, category):
        (anchor_object,) = anchor.objects
        shape = Shape(anchor_object.polygon)
        for words, (axis, sign) in SIDES.items():
            edge = (max if sign > 0 else min)(corner[axis] for corner in anchor_object.polygon)
            holds = {item: _lies_beyond(item, axis, sign, edge) for item in items}
            yield Attribute("", f"{words} {anchor.phrase}", holds)
        gaps = {
            item: Shape(item.polygon).distance(shape) / max(_length(item), _length(anchor_object)) for item in items
        }
        close, far = NEXT_TO
        yield Attribute(
            "", f"next to {anchor.phrase}", {i: _verdict(gap < close, gap > far) for i, gap in gaps.items()}
        )


def _anchors(subject: Subject, category: str) -> list[Expression]:
    """Single objects of other categories with a short expression, not truncated by the image's border."""
    named = [
        expression
        for other in subject.present
        if other != category
        for expression in _of_category(subject, other)
        if len(expression.objects) == 1 and " at " not in expression.phrase and " in " not in expression.phrase
        if " on the " not in expression.phrase and not expression.objects[0].truncated
    ]
    return named[:MOST_ANCHORS]


def _lies_beyond(item: LabelledObject, axis: int, sign: int, edge: float) -> Verdict:
    """Verdict on whether all of an object lies beyond an edge; false if its centre does not."""
    near = min(sign * (corner[axis] - edge) for corner in item.polygon)
    return _verdict(near > 0, sign * (item.center[axis] - edge) < 0)


def _verdict(true: bool, false: bool) -> Verdict:
    return True if true else False if false else None


def _length(item: LabelledObject) -> float:
    a, b, c = item.polygon[:3]
    return max(math.dist(a, b), math.dist(b, c))
