"""Grouping of boxes of the same object."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Edge(NamedTuple):
    """A pair of boxes of the same object.

    Attributes:
        one: The first box.
        other: The second.
        iou: Their intersection over union on the ground that both windows saw.
        one_inside: Whether most of the first lies inside the second's window.
        other_inside: Whether most of the second lies inside the first's.
        one_within: Whether all of the first, to within rounding, lies inside the second's window.
        other_within: Whether all of the second lies inside the first's.
    """

    one: int
    other: int
    iou: float
    one_inside: bool
    other_inside: bool
    one_within: bool
    other_within: bool


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
    """Partition boxes into objects.

    Args:
        ranked: The boxes, the best first.
        edges: Pairs of boxes of the same object.
        cut: Boxes that may be pieces.
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
    return [*(Group(best, members) for best, members in groups.items()), *_joined(left, edges, windows)]


def _too_short(edges: Iterable[Edge], cut: set[int]) -> Iterable[int]:
    """Yield uncut boxes that a cut one extends beyond their window: pieces whose end missed the window's edge."""
    for edge in edges:
        if edge.one in cut and not edge.one_inside and edge.other not in cut:
            yield edge.other
        if edge.other in cut and not edge.other_inside and edge.one not in cut:
            yield edge.one


def _joined(left: Sequence[int], edges: Sequence[Edge], windows: dict[int, int]) -> list[Group]:
    """Join pieces that are linked to each other.

    A piece inside the window of another piece adds no information, and links nothing. Links that would join two boxes
    of one window are ignored.
    """
    rank = {box: place for place, box in enumerate(left)}
    alike = _matched([edge for edge in edges if edge.one in rank and edge.other in rank], windows)
    covering: dict[int, int] = {}  # by piece, the most alike one whose window shows all of it
    for edge in alike:
        if edge.one_within and not (edge.other_within and rank[edge.one] < rank[edge.other]):
            covering.setdefault(edge.one, edge.other)
        elif edge.other_within:
            covering.setdefault(edge.other, edge.one)
    groups = {box: [box] for box in left}

    def link(first: int, second: int) -> None:
        one, other = groups[first], groups[second]
        if one is not other:
            one += other
            groups.update(dict.fromkeys(other, one))

    for edge in alike:
        if edge.one not in covering and edge.other not in covering:
            used = [{windows[box] for box in groups[end]} for end in (edge.one, edge.other)]
            if not used[0] & used[1]:
                link(edge.one, edge.other)
    for piece, cover in covering.items():
        link(cover, piece)
    return [Group(None, members) for members in {id(members): members for members in groups.values()}.values()]


def _matched(edges: Iterable[Edge], windows: dict[int, int]) -> list[Edge]:
    """Return edges from the most similar pair down; between two windows, only one-to-one matches."""
    kept: list[Edge] = []
    matched: set[tuple[int, int]] = set()
    for edge in sorted(edges, key=lambda edge: -edge.iou):
        ends = {(edge.one, windows[edge.other]), (edge.other, windows[edge.one])}
        if not ends & matched:
            matched |= ends
            kept.append(edge)
    return kept
