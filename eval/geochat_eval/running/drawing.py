"""Which questions a limit takes: evenly over their classes, by a seed, and so that a higher limit takes those too.

Questions of a class are put in an order by hashes of the seed and their names. The first of every class come first,
then the second of every class, and so on; a limit takes the beginning. The two questions of a pair stay together.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from geochat_eval.benchmarks import Item


@dataclass
class Drawing:
    """Collects questions in the order they are read and draws from them.

    Attributes:
        seed: Of the draw.
        scorer: Name of the benchmark's scorer, which says what its classes are.
    """

    seed: int
    scorer: str
    _units: list[list[int]] = field(default_factory=list)  # numbers of the questions of each unit
    _classes: list[str] = field(default_factory=list)
    _names: list[str] = field(default_factory=list)
    _pair: str | None = None
    _count: int = 0

    def add(self, item: Item) -> None:
        """Collect one question."""
        pair = item.fields.get("pair")
        if pair is not None and str(pair) == self._pair:
            self._units[-1].append(self._count)
        else:
            self._units.append([self._count])
            self._classes.append(class_of(item, self.scorer))
            self._names.append(f"{item.id}\0{self._count}")
        self._pair = None if pair is None else str(pair)
        self._count += 1

    def order(self) -> list[int]:
        """The numbers of all questions in the order in which limits take them."""
        members: dict[str, list[int]] = {}
        for unit, name in enumerate(self._classes):
            members.setdefault(name, []).append(unit)
        ranked = [
            (rank, self._hash(name), unit)
            for name, units in members.items()
            for rank, unit in enumerate(sorted(units, key=lambda unit: self._hash(self._names[unit])))
        ]
        return [number for _, _, unit in sorted(ranked) for number in self._units[unit]]

    def _hash(self, name: str) -> bytes:
        text = f"{self.seed}\0{name}".encode("utf-8", "replace")
        return hashlib.blake2b(text, digest_size=8).digest()


def class_of(item: Item, scorer: str) -> str:
    """What a question counts as when limits are drawn evenly.

    The true class of scenes and regions, yes or no where it is asked for what may be absent, the type of other
    questions; else its image, so that no image comes twice before each has come once.
    """
    if scorer in ("scene", "identify", "existence"):
        return str(item.truth)
    if scorer == "vqa":
        return str(_first(item, ("category", "type")) or "")
    return item.image


def _first(item: Item, names: Iterable[str]) -> object:
    return next((item.fields[name] for name in names if item.fields.get(name)), None)
