"""Position embeddings at another resolution.

GeoChat runs a CLIP tower trained at 336 px (24 x 24 patches) at 504 px (36 x 36) by interpolating its position
embeddings (paper section 3.1, `clip_encoder.py` of the original). It does so bicubically with `align_corners=True`;
transformers' own `interpolate_pos_encoding` uses `align_corners=False` and gives other numbers, so the
interpolated table is computed here once and baked into the checkpoint.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from geochat.errors import CheckpointError


def interpolate_positions(table: Tensor, grid: int) -> Tensor:
    """Resize a table of position embeddings to a `grid` x `grid` arrangement of patches.

    The class token's row is kept as it is. A table already of that size is returned unchanged.

    Args:
        table: (1 + g², D), class token first, then patches in row-major order.
        grid: Patches along a side afterwards.

    Returns:
        (1 + grid², D), in the dtype of `table`; computed in float32.

    Raises:
        CheckpointError: The table's rows are not one class token and a square of patches.
    """
    rows, dim = table.shape
    side = math.isqrt(rows - 1)
    if side * side != rows - 1 or side == 0:
        raise CheckpointError(
            f"position embedding has {rows} rows, which is not 1 + a square of patches; "
            "the vision tower is not a CLIP ViT with square input"
        )
    if side == grid:
        return table
    patches = table[1:].float().reshape(1, side, side, dim).permute(0, 3, 1, 2)  # (1, D, g, g)
    resized = functional.interpolate(patches, size=(grid, grid), mode="bicubic", align_corners=True)
    resized = resized.permute(0, 2, 3, 1).reshape(grid * grid, dim)  # (grid², D)
    return torch.cat([table[:1], resized.to(table.dtype)])
