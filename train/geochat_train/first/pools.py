"""What the first model learns from: photographs with labels, and rendered scenes.

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


class Views(Dataset[T], Generic[T]):
    """`length` random views of the pools' images at `size` pixels, each made into an item by `make`.

    `make` may return None for a view that offers nothing; another is drawn then.
    """

    def __init__(
        self,
        pools: Sequence[Pool],
        size: int,
        length: int,
        seed: int,
        make: Callable[[LabelledImage, random.Random], T | None],
    ) -> None:
        self.pools = [pool for pool in pools if pool.images]
        self.size = size
        self.length = length
        self.seed = seed
        self.make = make

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> T:
        rng = random.Random(f"{self.seed}/{index}")
        while True:
            pool = rng.choices(self.pools, [p.weight for p in self.pools])[0]
            item = self.make(augment(rng.choice(pool.images), self.size, pool.augmentation, rng), rng)
            if item is not None:
                return item
