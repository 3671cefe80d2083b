"""Bounds on the output and the cost of a chat template; see `geochat.checkpoints.templates`."""

from collections.abc import Sequence
from dataclasses import dataclass, field

ESCAPED = 16.0  # characters one may take as text of a list or in JSON
_MOST_CONSTANT, _MOST_FACTOR = 1e6, 1e4
_CONVERSATION = 2048.0  # N, characters, in an estimate of the cost
_MOST_WORK = 1e9  # characters copied; about a second
_STEP = 100.0  # characters copied in the time that evaluating an expression takes


class RefusedError(Exception):
    """A construct without a bound; the expected result of a check, not a failure."""


@dataclass(frozen=True)
class Bound:
    """Static knowledge of a value.

    Attributes:
        constant: With `factor`, its length is at most constant + factor · N.
        factor: As above.
        loop: The loop whose target alone it is a part of; None for all else.
        kept: How many times it may hold what a namespace kept.
    """

    constant: float = 0.0
    factor: float = 1.0
    loop: int | None = None
    kept: float = 0.0

    def __post_init__(self) -> None:
        if self.constant > _MOST_CONSTANT or self.factor > _MOST_FACTOR:
            raise RefusedError("a text may grow without a bound")

    def times(self, by: float) -> "Bound":
        """Return the bound of a text in which each character becomes at most `by` characters."""
        return Bound(self.constant * by, self.factor * by, self.loop, self.kept * by)

    def added_each_round(self, bound: "Bound") -> "Bound":
        """Return the bound of a value that grows by another in each round of a loop."""
        return Bound(self.constant + bound.constant, self.factor + bound.factor + bound.constant, None, 1.0)


CONSTANT = Bound(0.0, 0.0)
"""A number or a truth value."""


@dataclass
class Scope:
    """Names and what is known about them.

    Attributes:
        names: By name.
        loops: The loops around, the innermost last.
        rounds: Executions of statements here, for a conversation of usual length.
    """

    names: dict[str, Bound] = field(default_factory=dict)
    loops: tuple[int, ...] = ()
    rounds: float = 1.0

    def inner(self) -> "Scope":
        """Return a nested scope, whose names end with it."""
        return Scope(dict(self.names), self.loops, self.rounds)

    def loop(self, number: int, over: Bound) -> "Scope":
        """Return the scope of a loop; nested loops iterate over parts of its target, whose length bounds all rounds."""
        rounds = self.rounds if self.loops else 1 + over.constant + over.factor * _CONVERSATION
        return Scope(dict(self.names), (*self.loops, number), rounds)


class Work:
    """The cost of a template."""

    def __init__(self) -> None:
        self._done = 0.0

    def add(self, bound: Bound, scope: Scope, weight: float = 1.0) -> None:
        """Count a value that is computed wherever `scope` is.

        Raises:
            RefusedError: It is too much.
        """
        times = 1.0 if bound.loop is not None and bound.loop in scope.loops else scope.rounds
        copied = scope.rounds * bound.constant + times * bound.factor * _CONVERSATION
        self._done += weight * copied + scope.rounds * _STEP
        if self._done > _MOST_WORK:
            raise RefusedError("it computes too much for a conversation")


def total(bounds: Sequence[Bound], by: float = 1.0) -> Bound:
    """Return the bound of concatenated values; parts of one loop's target alone keep that bound."""
    return Bound(
        by * sum(bound.constant for bound in bounds),
        by * sum(bound.factor for bound in bounds),
        _loop(bounds),
        by * sum(bound.kept for bound in bounds),
    )


def either(bounds: Sequence[Bound]) -> Bound:
    """Return the bound of a value that is one of several."""
    return Bound(
        max((bound.constant for bound in bounds), default=0.0),
        max((bound.factor for bound in bounds), default=0.0),
        _loop(bounds),
        max((bound.kept for bound in bounds), default=0.0),
    )


def _loop(bounds: Sequence[Bound]) -> int | None:
    loops = {bound.loop for bound in bounds if bound.factor}
    return loops.pop() if len(loops) == 1 else None
