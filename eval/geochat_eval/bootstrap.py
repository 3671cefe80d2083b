"""Shares of a stream of answers with their 95 % bootstrap intervals, in memory that does not grow with the stream.

The Poisson bootstrap (Chamandy et al. 2012, "Estimating Uncertainty for Massive Data Streams"): resampling n answers
with replacement gives each of them a weight that is Poisson(1) in the limit, so every replicate is a weighted sum that
can be kept while answers come in. An answer is resampled whole, with all its boxes. The seed fixes the intervals: the
same answers in the same order give the same ones.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_CHUNK = 1024  # answers weighted at a time: 1000 replicates of them are 8 MB


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure in percent.

    Attributes:
        percent: Its value; NaN where there is nothing to count.
        low: Lower end of the 95 % interval, NaN where none was asked for.
        high: Upper end.
        n: What it is a share of, or a mean over: so many questions, boxes or captions.
        draws: The value and its bootstrap replicates, in [0, 1], shape (1 + replicates,); None where there are none.
    """

    percent: float
    low: float
    high: float
    n: int
    draws: Array | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, values: Array, n: float) -> "Figure":
        """The figure of shares in [0, 1] of shape (1 + replicates,): the value, then its bootstrap replicates."""
        replicates = values[1:][np.isfinite(values[1:])]
        low, high = np.percentile(replicates, (2.5, 97.5)) if replicates.size else (np.nan, np.nan)
        return cls(float(100 * values[0]), float(100 * low), float(100 * high), round(n), values)

    @property
    def rounded(self) -> dict[str, Any]:
        """The value, its interval and its n, JSON-ready: two decimals, None for what is not a number."""
        return {"percent": rounded(self.percent), "interval": [rounded(self.low), rounded(self.high)], "n": self.n}

    def minus(self, other: "Figure") -> "Figure":
        """The difference of two figures of the same questions in the same order: replicates drew the same ones."""
        if self.draws is None or other.draws is None:
            return Figure(self.percent - other.percent, np.nan, np.nan, self.n)
        return Figure.of(self.draws - other.draws, self.n)


def rounded(value: float) -> float | None:
    """Two decimals; None for what is not a number, which JSON has no word for."""
    return round(value, 2) if math.isfinite(value) else None


class Sums:
    """Weighted sums of a fixed number of columns, over all answers and over groups of them.

    Args:
        columns: How many numbers each answer brings.
        replicates: How many bootstrap replicates are kept; 0 for none.
        seed: Of their weights.
    """

    def __init__(self, columns: int, *, replicates: int = 1000, seed: int = 0) -> None:
        self._columns = columns
        self._replicates = replicates
        self._random = np.random.default_rng(seed)
        self._sums: dict[str, Array] = {}
        self._rows: list[Sequence[float]] = []
        self._members: dict[str, list[int]] = {}

    def add(self, values: Sequence[float], groups: Iterable[str] = ()) -> None:
        """Count one answer, among all answers and in each of `groups` (names other than "")."""
        for group in ("", *groups):
            self._members.setdefault(group, []).append(len(self._rows))
        self._rows.append(values)
        if len(self._rows) == _CHUNK:
            self._flush()

    @property
    def groups(self) -> list[str]:
        """The groups there are, sorted, without the one of all answers."""
        return sorted((self._sums.keys() | self._members.keys()) - {""})

    def of(self, group: str = "") -> Array:
        """The sums of a group, shape (1 + replicates, columns): unweighted, then one row for each replicate."""
        self._flush()
        return self._sums.get(group, np.zeros((1 + self._replicates, self._columns)))

    def _flush(self) -> None:
        if not self._rows:
            return
        values = np.asarray(self._rows, float)  # (N, columns)
        weights = np.ones((1 + self._replicates, len(values)))
        weights[1:] = self._random.poisson(1.0, (self._replicates, len(values)))
        for group, members in self._members.items():
            added = weights[:, members] @ values[members]
            self._sums[group] = self._sums.get(group, 0) + added
        self._rows, self._members = [], {}


class Shares:
    """Several shares of the same answers, each a count out of another count.

    Args:
        rules: Names of the shares.
        replicates: As of `Sums`.
        seed: As of `Sums`.
    """

    def __init__(self, rules: Sequence[str], *, replicates: int = 1000, seed: int = 0) -> None:
        self._rules = tuple(rules)
        self._sums = Sums(2 * len(self._rules), replicates=replicates, seed=seed)

    def add(self, shares: Sequence[tuple[float, float]], groups: Iterable[str] = ()) -> None:
        """Count one answer.

        Args:
            shares: For each rule how many count, and out of how many.
            groups: Which groups of answers it belongs to.
        """
        self._sums.add([number for share in shares for number in share], groups)

    @property
    def groups(self) -> list[str]:
        """The groups there are, sorted."""
        return self._sums.groups

    def values(self, rule: str, group: str = "") -> Array:
        """A share and its replicates, shape (1 + replicates,); NaN where it is out of nothing."""
        hits, total = self._columns(rule, group)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(hits / total)

    def figure(self, rule: str, group: str = "") -> Figure:
        """A share of a group's answers; of all answers where `group` is empty."""
        return Figure.of(self.values(rule, group), self._columns(rule, group)[1][0])

    def mean(self, rule: str, groups: Sequence[str]) -> Figure:
        """The unweighted mean over groups ("macro"); in a replicate, over those that were drawn."""
        values = np.stack([self.values(rule, group) for group in groups])
        counted = np.isfinite(values)
        with np.errstate(invalid="ignore"):
            means = np.where(counted, values, 0).sum(axis=0) / counted.sum(axis=0)
        return Figure.of(means, sum(self._columns(rule, group)[1][0] for group in groups))

    def figures(self) -> dict[str, Figure]:
        """Every share of all answers under its rule, and of every group as "rule/group"."""
        names = [(rule, group) for rule in self._rules for group in ("", *self.groups)]
        return {f"{rule}/{group}" if group else rule: self.figure(rule, group) for rule, group in names}

    def _columns(self, rule: str, group: str) -> tuple[Array, Array]:
        column = 2 * self._rules.index(rule)
        sums = self._sums.of(group)
        return sums[:, column], sums[:, column + 1]
