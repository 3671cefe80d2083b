"""Shares of a stream of answers with their 95 % bootstrap intervals, in memory that does not grow with the stream.

The Poisson bootstrap (Chamandy et al. 2012, "Estimating Uncertainty for Massive Data Streams"): resampling n things
with replacement gives each of them a weight that is Poisson(1) in the limit, so every replicate is a weighted sum that
can be accumulated while answers arrive. The resampled *unit* is the image of an answer: questions about one image are
not independent, so all of them have one weight. The weight of a unit in a replicate is a function of the seed, the
replicate and the unit's name alone. Therefore intervals do not depend on the order of answers, two sets of answers to
the same questions are resampled alike, and weights need not be stored. A single unit has no interval.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_CHUNK = 1024  # answers weighted at a time: 1000 replicates of them are 8 MB
_GOLDEN = 0x9E3779B97F4A7C15  # the increment of splitmix64 (Steele et al. 2014)
_POISSON = np.array(  # a uniform 64-bit number below the k-th of these is at most k
    [int(2.0**64 * math.fsum(math.exp(-1) / math.factorial(j) for j in range(k + 1))) for k in range(16)], np.uint64
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure in percent.

    Attributes:
        percent: Its value; NaN where there is nothing to count.
        low: Lower end of the 95 % interval, NaN where none was asked for.
        high: Upper end.
        n: Its denominator: the number of questions, boxes or captions.
        draws: The value and its bootstrap replicates, in [0, 1], shape (1 + replicates,); None where there are none.
    """

    percent: float
    low: float
    high: float
    n: int
    draws: Array | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, values: Array, n: float) -> "Figure":
        """Return the figure of shares in [0, 1], shape (1 + replicates,): the value, then its bootstrap replicates."""
        replicates = values[1:][np.isfinite(values[1:])]
        low, high = np.percentile(replicates, (2.5, 97.5)) if replicates.size else (np.nan, np.nan)
        return cls(float(100 * values[0]), float(100 * low), float(100 * high), round(n), values)

    @property
    def rounded(self) -> dict[str, Any]:
        """The value, its interval and its n, JSON-ready: two decimals, None for what is not a number."""
        return {"percent": rounded(self.percent), "interval": [rounded(self.low), rounded(self.high)], "n": self.n}

    def minus(self, other: "Figure") -> "Figure":
        """Return the difference of two figures of the same questions; replicates resampled the same images."""
        if self.draws is None or other.draws is None:
            return Figure(self.percent - other.percent, np.nan, np.nan, self.n)
        return Figure.of(self.draws - other.draws, self.n)


def rounded(value: float) -> float | None:
    """Round to two decimals; None for NaN and infinity, which JSON cannot represent."""
    return round(value, 2) if math.isfinite(value) else None


class Sums:
    """Weighted sums of a fixed number of columns, over all answers and over groups of them.

    Args:
        columns: Number of values per answer.
        replicates: Number of bootstrap replicates; 0 for none.
        seed: Seed of their weights.
    """

    def __init__(self, columns: int, *, replicates: int = 1000, seed: int = 0) -> None:
        self._columns = columns
        self._replicates = replicates
        self._seed = seed
        self._sums: dict[str, Array] = {}
        self._rows: list[Sequence[float]] = []
        self._units: list[int] = []
        self._members: dict[str, list[int]] = {}
        self._only: dict[str, int | None] = {}  # the one unit of a group, None where there are several
        self._count = 0

    def add(self, values: Sequence[float], groups: Iterable[str] = (), unit: str | None = None) -> None:
        """Count one answer.

        Args:
            values: Its numbers.
            groups: Names other than "" of groups it is counted in, besides that of all answers.
            unit: Its resampling unit; None makes it a separate unit.
        """
        key = _hash(f"answer {self._count}") if unit is None else unit_key(unit)
        self._count += 1
        for group in ("", *groups):
            self._members.setdefault(group, []).append(len(self._rows))
            if self._only.setdefault(group, key) != key:
                self._only[group] = None
        self._rows.append(values)
        self._units.append(key)
        if len(self._rows) == _CHUNK:
            self._flush()

    @property
    def groups(self) -> list[str]:
        """The groups, sorted, without the one of all answers."""
        return sorted(self._only.keys() - {""})

    def of(self, group: str = "") -> Array:
        """Return the sums of a group, shape (1 + replicates, columns): unweighted, then one row per replicate."""
        self._flush()
        return self._sums.get(group, np.zeros((1 + self._replicates, self._columns)))

    def figure(self, values: Array, n: float, groups: Iterable[str] = ("",)) -> Figure:
        """Return the figure of `values`, computed from the sums of `groups`; no interval if all belongs to one unit."""
        units = {self._only.get(group) for group in groups}
        if len(units) == 1 and None not in units:
            values = np.concatenate([values[:1], np.full(len(values) - 1, np.nan)])
        return Figure.of(values, n)

    def _flush(self) -> None:
        if not self._rows:
            return
        values = np.asarray(self._rows, float)  # (N, columns)
        units, turn = np.unique(np.array(self._units, np.uint64), return_inverse=True)
        weights = np.ones((1 + self._replicates, len(values)))
        weights[1:] = unit_weights(units, self._replicates, self._seed)[:, turn]
        for group, members in self._members.items():
            added = weights[:, members] @ values[members]
            self._sums[group] = self._sums.get(group, 0) + added
        self._rows, self._units, self._members = [], [], {}


@lru_cache(maxsize=1024)  # questions about one image come together
def unit_key(name: str) -> int:
    """Return a unit's name as a 64-bit number."""
    return _hash(name)


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def unit_weights(units: NDArray[np.uint64], replicates: int, seed: int) -> NDArray[np.int64]:
    """Return Poisson(1) weights of units, given by `unit_key`, shape (replicates, units)."""
    counters = np.arange(1, replicates + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
    start = unit_key(f"seed {seed}")
    mixed = _mixed(units[None, :] ^ _mixed(counters + np.uint64(start))[:, None])
    return np.searchsorted(_POISSON, mixed, side="right")


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Apply the finalizer of splitmix64, which scatters counters over all 64-bit numbers."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


class Shares:
    """Several shares of the same answers, each a ratio of two counts.

    Args:
        rules: Names of the shares.
        replicates: As of `Sums`.
        seed: As of `Sums`.
    """

    def __init__(self, rules: Sequence[str], *, replicates: int = 1000, seed: int = 0) -> None:
        self._rules = tuple(rules)
        self._sums = Sums(2 * len(self._rules), replicates=replicates, seed=seed)

    def add(self, shares: Sequence[tuple[float, float]], groups: Iterable[str] = (), unit: str | None = None) -> None:
        """Count one answer.

        Args:
            shares: For each rule how many count, and out of how many.
            groups: Groups that it belongs to.
            unit: As of `Sums.add`.
        """
        self._sums.add([number for share in shares for number in share], groups, unit)

    @property
    def groups(self) -> list[str]:
        """The groups, sorted."""
        return self._sums.groups

    def values(self, rule: str, group: str = "") -> Array:
        """Return a share and its replicates, shape (1 + replicates,); NaN if its denominator is 0."""
        hits, total = self._columns(rule, group)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(hits / total)

    def figure(self, rule: str, group: str = "") -> Figure:
        """Return a share of a group's answers; of all answers if `group` is empty."""
        return self._sums.figure(self.values(rule, group), self._columns(rule, group)[1][0], [group])

    def mean(self, rule: str, groups: Sequence[str]) -> Figure:
        """Return the unweighted mean over groups ("macro"); in a replicate, over those that were drawn."""
        values = np.stack([self.values(rule, group) for group in groups])
        counted = np.isfinite(values)
        with np.errstate(invalid="ignore"):
            means = np.where(counted, values, 0).sum(axis=0) / counted.sum(axis=0)
        return self._sums.figure(means, sum(self._columns(rule, group)[1][0] for group in groups), groups)

    def figures(self) -> dict[str, Figure]:
        """Return every share of all answers under its rule, and of every group as "rule/group"."""
        names = [(rule, group) for rule in self._rules for group in ("", *self.groups)]
        return {f"{rule}/{group}" if group else rule: self.figure(rule, group) for rule, group in names}

    def _columns(self, rule: str, group: str) -> tuple[Array, Array]:
        column = 2 * self._rules.index(rule)
        sums = self._sums.of(group)
        return sums[:, column], sums[:, column + 1]
