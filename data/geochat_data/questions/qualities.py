"""What may be said of an object - its colour, its place, how it lies to others - and expressions built from it.

Every quality holds, does not hold, or is unclear for each object. An expression is offered only when its qualities
are clear for every object of the category, doubtful ones included: then it selects exactly those for which all hold.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from shapely import Polygon as Shape

from geochat_data.questions.expressions import (
    PARTS,
    ROOM,
    Expression,
    in_part,
    of_category,
)
from geochat_data.questions.subject import MAX_COUNT, Subject, plural
from geochat_data.records import LabelledObject

Verdict = bool | None
HALVES = {
    "in the left half": (0, -1),
    "in the right half": (0, 1),
    "in the top half": (1, -1),
    "in the bottom half": (1, 1),
}
SIDES = {"to the left of": (0, -1), "to the right of": (0, 1), "above": (1, -1), "below": (1, 1)}
NEXT_TO = (0.6, 1.2)  # gap in lengths of the longer one: closer is next to it, further is not
MOST_ANCHORS = 4


@dataclass(frozen=True, slots=True)
class Quality:
    """One thing that may be said of the objects of a category.

    Attributes:
        before: The words before the category: "white".
        after: The words after it: "next to the building".
        holds: Whether it is true of each object; None where that is unclear.
    """

    before: str
    after: str
    holds: Mapping[LabelledObject, Verdict]


def described(subject: Subject, category: str) -> Iterator[Expression]:
    """Expressions by one quality, or by a colour and another quality together."""
    if category not in subject.image.labelled:
        return
    members = subject.members(category)
    doubtful = [item for item in subject.image.ignore if item.category == category]
    everything = [*members, *doubtful]
    colours = list(_colours(subject, everything))
    others = [*_places(subject, everything), *_relations(subject, category, everything)]
    for group in [*((q,) for q in (*colours, *others)), *product(colours, others)]:
        chosen = _selected(group, members, doubtful)
        if chosen is not None and 0 < len(chosen) <= MAX_COUNT:
            before, after = (" ".join(q.before for q in group).strip(), " ".join(q.after for q in group).strip())
            noun = f"the {before} {category}" if len(chosen) == 1 else f"all {before} {plural(category)}"
            yield Expression(" ".join(f"{noun} {after}".split()), chosen)


def _selected(
    group: Iterable[Quality], members: Iterable[LabelledObject], doubtful: Iterable[LabelledObject]
) -> tuple[LabelledObject, ...] | None:
    """The members for which all qualities hold; None where that is unclear for one, or a doubtful object has them."""
    qualities = tuple(group)
    verdicts = {item: _all(q.holds[item] for q in qualities) for item in (*members, *doubtful)}
    if None in verdicts.values() or any(verdicts[item] for item in doubtful):
        return None
    return tuple(item for item in members if verdicts[item])


def _all(verdicts: Iterable[Verdict]) -> Verdict:
    """And, in three values: one that is false settles it."""
    found = list(verdicts)
    return False if False in found else None if None in found else True


def _colours(subject: Subject, items: list[LabelledObject]) -> Iterator[Quality]:
    colours = {item: subject.colour(item) for item in items}
    for name in sorted({colour for colour in colours.values() if colour}):
        holds = {item: None if colour is None else colour == name for item, colour in colours.items()}
        yield Quality(name, "", holds)


def _places(subject: Subject, items: list[LabelledObject]) -> Iterator[Quality]:
    centers = {item: subject.place(item)[0] for item in items}
    for words, part in PARTS.items():
        yield Quality(
            "",
            words,
            {i: _sure(in_part(c, part, -ROOM / 2), not in_part(c, part, ROOM / 2)) for i, c in centers.items()},
        )
    for words, (axis, sign) in HALVES.items():
        far = {item: sign * (center[axis] - 0.5) for item, center in centers.items()}
        yield Quality("", words, {item: _sure(d > ROOM / 2, d < -ROOM / 2) for item, d in far.items()})


def _relations(subject: Subject, category: str, items: list[LabelledObject]) -> Iterator[Quality]:
    """How the objects lie to a single one of another category."""
    for anchor in _anchors(subject, category):
        (thing,) = anchor.objects
        shape = Shape(thing.polygon)
        for words, (axis, sign) in SIDES.items():
            edge = (max if sign > 0 else min)(corner[axis] for corner in thing.polygon)
            holds = {item: _beyond(item, axis, sign, edge) for item in items}
            yield Quality("", f"{words} {anchor.phrase}", holds)
        gaps = {item: Shape(item.polygon).distance(shape) / max(_length(item), _length(thing)) for item in items}
        close, far = NEXT_TO
        yield Quality("", f"next to {anchor.phrase}", {i: _sure(gap < close, gap > far) for i, gap in gaps.items()})


def _anchors(subject: Subject, category: str) -> list[Expression]:
    """Single objects of other categories that a few words name, and that the image's border does not cut."""
    named = [
        expression
        for other in subject.present
        if other != category
        for expression in of_category(subject, other)
        if len(expression.objects) == 1 and " at " not in expression.phrase and " in " not in expression.phrase
        if " on the " not in expression.phrase and not expression.objects[0].truncated
    ]
    return named[:MOST_ANCHORS]


def _beyond(item: LabelledObject, axis: int, sign: int, edge: float) -> Verdict:
    """Whether all of an object lies beyond an edge; false where its centre does not."""
    near = min(sign * (corner[axis] - edge) for corner in item.polygon)
    return _sure(near > 0, sign * (item.center[axis] - edge) < 0)


def _sure(true: bool, false: bool) -> Verdict:
    return True if true else False if false else None


def _length(item: LabelledObject) -> float:
    a, b, c = item.polygon[:3]
    return max(math.dist(a, b), math.dist(b, c))
