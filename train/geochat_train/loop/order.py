"""In which order rows are taken: a function of the seed alone, so that a run that was stopped goes on as it would have.

Each pass over the data is a fresh shuffle. Where rows of like length are wanted together, a shuffled stretch of many
batches is sorted by length, cut into batches, and the batches shuffled; the expected mix of rows stays that of a
shuffle. All passes are one sequence of whole batches, so no step is smaller than another.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

_STRETCH = 50  # batches sorted together


def training_order(
    lengths: NDArray[np.int32], batch: int, steps: int, seed: int, *, group: bool = True
) -> NDArray[np.int64]:
    """Indices of the rows of `steps` batches of `batch` rows, (steps x batch,).

    Args:
        lengths: Of each row.
        batch: Rows of a step over all processes.
        steps: Number of steps.
        seed: Where all chance comes from.
        group: Whether a batch holds rows of like length.
    """
    rng = np.random.default_rng(seed)
    wanted = steps * batch
    taken: list[NDArray[np.int64]] = []
    left = np.empty(0, np.int64)  # rows that make no whole batch wait for the next pass
    count = 0
    while count < wanted:
        rows = np.concatenate([left, rng.permutation(len(lengths))])
        whole = len(rows) // batch * batch
        left = rows[whole:]
        count += whole
        for start in range(0, whole, _STRETCH * batch):
            part = rows[start : min(start + _STRETCH * batch, whole)]
            if group:
                part = part[np.argsort(-lengths[part], kind="stable")].reshape(-1, batch)
                part = part[rng.permutation(len(part))].ravel()
            taken.append(part)
    return np.concatenate(taken)[:wanted]


class InOrder(Sampler[int]):
    """Takes indices as they are given."""

    def __init__(self, order: NDArray[np.int64]) -> None:
        self.order = order

    def __iter__(self) -> Iterator[int]:
        return map(int, self.order)

    def __len__(self) -> int:
        return len(self.order)
