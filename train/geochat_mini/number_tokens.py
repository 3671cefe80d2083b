"""The numbers of regions, each a token and a point on a smooth curve.

`{<x1><y1><x2><y2>|<θ>}` holds whole percents, which may lie somewhat outside 0-100, and degrees from -45 to 44. Each
number is one token. Neighbouring numbers are neighbours on a curve of sines and cosines. The tower's heads predict
coordinates by similarity to its points, and the language model's number embeddings are initialised on it, so both use
the same representation of numbers.
"""

import math

import torch
from torch import Tensor

from geochat.dialects import GEOCHAT
from geochat.geometry import AngleConvention

LOWEST, HIGHEST = -45, 120
NUMBERS = [f"<{n}>" for n in range(LOWEST, HIGHEST + 1)]
MINI = GEOCHAT.fitted(angles=AngleConvention(angle_range="[-45,45)"))
"""The dialect it is taught. Upright boxes are written with angle 0 and their own sides;
the break lies at the diagonals, where few boxes do."""

SPREAD = 1.0
"""Standard deviation, in percent or degrees, of what counts as nearly right."""


def curve(width: int) -> Tensor:
    """Return the points of the numbers, (N, width): sines and cosines from a quarter to six turns per hundred."""
    frequencies = torch.logspace(math.log10(0.5), math.log10(12), width // 2) * math.pi / 100
    angles = torch.arange(LOWEST, HIGHEST + 1)[:, None] * frequencies  # (N, width / 2)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def nearly() -> Tensor:
    """Return the target distribution over numbers for each number, (N, N): a narrow bell."""
    number = torch.arange(len(NUMBERS), dtype=torch.float32)
    bell = torch.exp(-((number[:, None] - number) ** 2) / (2 * SPREAD**2))
    return bell / bell.sum(1, keepdim=True)


def index_of(value: float) -> int:
    """Return the row of the nearest number, clamped to the last one."""
    return min(max(round(value), LOWEST), HIGHEST) - LOWEST
