"""Random views of pools of images.

An item is a function of the seed and its index alone, so a run that was stopped goes on with the very data it would
have seen.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch.utils.data import Dataset

from geochat_data.augment import Augmentation, augment
from geochat_data.records import LabelledImage

T = TypeVar("T")


@dataclass(frozen=True)
class Pool:
    """Some images and how often they are drawn.

    Attributes:
        images: The images.
        weight: Share of the draws, relative to the other pools'.
        augmentation: How their views are made.
    """

    images: Sequence[LabelledImage]
    weight: float
    augmentation: Augmentation


@dataclass(frozen=True)
class Taught:
    """The views the teacher has seen: `count` of them, the same ones again and again.

    Attributes:
        pools: What they are views of.
        seed: Which views.
        count: How many.
        weight: Share of the draws, relative to the pools'.
    """

    pools: Sequence[Pool]
    seed: int
    count: int
    weight: float

    def view(self, number: int, size: int) -> LabelledImage:
        """View `number` at `size` pixels."""
        return draw(self.pools, size, random.Random(f"{self.seed}/taught/{number}"))


class Views(Dataset[T], Generic[T]):
    """`length` views at `size` pixels, each made into an item by `make(view, rng, number)`.

    `number` is the view's number among the taught ones, None for others. `make` may return None for a view that
    offers nothing; another is drawn then.
    """

    def __init__(
        self,
        pools: Sequence[Pool],
        make: Callable[[LabelledImage, random.Random, int | None], T | None],
        *,
        size: int,
        length: int,
        seed: int,
        taught: Taught | None = None,
    ) -> None:
        self.pools = [pool for pool in pools if pool.images]
        self.size = size
        self.length = length
        self.seed = seed
        self.make = make
        self.taught = taught

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> T:
        rng = random.Random(f"{self.seed}/{index}")
        others = sum(pool.weight for pool in self.pools)
        while True:
            number = None
            if self.taught and rng.random() < self.taught.weight / (self.taught.weight + others):
                number = rng.randrange(self.taught.count)
                view = self.taught.view(number, self.size)
            else:
                view = draw(self.pools, self.size, rng)
            item = self.make(view, rng, number)
            if item is not None:
                return item


def draw(pools: Sequence[Pool], size: int, rng: random.Random) -> LabelledImage:
    """A random view of a random image."""
    pool = rng.choices(pools, [pool.weight for pool in pools])[0]
    return augment(rng.choice(pool.images), size, pool.augmentation, rng)
