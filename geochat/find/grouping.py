"""Which boxes of a set, in which each is the same object as some other, are one object."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Edge(NamedTuple):
    """Two boxes that say the same.

    Attributes:
        one: The first box.
        other: The second.
        iou: Their intersection over union on the ground that both windows saw.
        one_inside: Whether the first lies inside the second's window.
        other_inside: Whether the second lies inside the first's.
    """

    one: int
    other: int
    iou: float
    one_inside: bool
    other_inside: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Boxes that are one object.

    Attributes:
        best: The box that stands for it; None where it is joined of `members`.
        members: All of them.
    """

    best: int | None
    members: list[int]


def group(ranked: Sequence[int], edges: Sequence[Edge], cut: set[int], windows: dict[int, int]) -> list[Group]:
    """Part boxes into objects.

    Args:
        ranked: The boxes, the best first.
        edges: Those that say the same.
        cut: Those that may be pieces.
        windows: The number of each one's window.
    """
    pieces = cut | set(_too_short(edges, cut))
    near: dict[int, list[tuple[float, int]]] = {box: [] for box in ranked}
    for edge in edges:
        near[edge.one].append((edge.iou, edge.other))
        near[edge.other].append((edge.iou, edge.one))
    owner: dict[int, int] = {}
    for box in ranked:
        if box not in pieces:
            owner[box] = next((other for _, other in near[box] if owner.get(other) == other), box)
    for box in ranked:
        if box in pieces and (wholes := [each for each in near[box] if each[1] not in pieces]):
            owner[box] = owner[max(wholes)[1]]
    groups: dict[int, list[int]] = {}
    for box, whole in owner.items():
        groups.setdefault(whole, []).append(box)
    left = [box for box in ranked if box not in owner]
    return [*(Group(best, members) for best, members in groups.items()), *_joined(left, near, windows)]


def _too_short(edges: Iterable[Edge], cut: set[int]) -> Iterable[int]:
    """Uncut boxes that a cut one continues beyond their window: they are pieces whose end missed the window's edge."""
    for edge in edges:
        if edge.one in cut and not edge.one_inside and edge.other not in cut:
            yield edge.other
        if edge.other in cut and not edge.other_inside and edge.one not in cut:
            yield edge.one


def _joined(left: Sequence[int], near: dict[int, list[tuple[float, int]]], windows: dict[int, int]) -> list[Group]:
    """Pieces linked to pieces; a link holds where each is the other's best in its window."""
    among = set(left)
    best = {
        (box, windows[other]): other
        for box in left
        for _, other in sorted((iou, other) for iou, other in near[box] if other in among)  # the last one stays
    }
    groups: list[Group] = []
    seen: set[int] = set()
    for first in left:
        if first in seen:
            continue
        seen.add(first)
        members = [first]
        for box in members:  # grows meanwhile
            for (one, _), other in best.items():
                if one == box and other not in seen and best.get((other, windows[box])) == box:
                    seen.add(other)
                    members.append(other)
        groups.append(Group(None, members))
    return groups
