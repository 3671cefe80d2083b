"""CLIP as used by GeoChat: position embeddings at another resolution, and the processor.

GeoChat runs a CLIP tower trained at 336 px (24 x 24 patches) at 504 px (36 x 36) by interpolating its position
embeddings (paper section 3.1, `clip_encoder.py` of the original). It does so bicubically with `align_corners=True`;
transformers' own `interpolate_pos_encoding` uses `align_corners=False` and gives other numbers, so the
interpolated table is computed here once and baked into the checkpoint.

The Pillow backend of the processor is chosen explicitly: it is bit-equal with the original's demo and training path
(pad to a square with CLIP's mean colour, bicubic resize) and it needs no torchvision, which cannot be installed beside
a CPU build of torch.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import LlavaProcessor, PreTrainedTokenizerBase
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from geochat.errors import CheckpointError
from geochat.geometry import Fit


def interpolate_positions(table: Tensor, grid: int) -> Tensor:
    """Resize a table of position embeddings to a `grid` x `grid` arrangement of patches.

    The class token's row is kept as it is. A table already of that size is returned unchanged.

    Args:
        table: (1 + g², D), class token first, then patches in row-major order.
        grid: Patches per side afterwards.

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


def build_image_processor(image_size: int, fit: Fit = "pad") -> LlavaImageProcessorPil | CLIPImageProcessorPil:
    """Build an image processor with float32 pixel values (N, 3, image_size, image_size), CLIP-normalised.

    Args:
        image_size: Side of the square the model sees, in pixels.
        fit: "pad" letterboxes, as the original's demo and training do; "crop" resizes the short side and crops the
            centre, as its evaluation does, which loses the ends of images that are not square.
    """
    sizes: dict[str, Any] = {
        "size": {"shortest_edge": image_size},
        "crop_size": {"height": image_size, "width": image_size},
    }
    if fit == "pad":
        return LlavaImageProcessorPil(do_pad=True, **sizes)
    return CLIPImageProcessorPil(**sizes)


def build_processor(
    tokenizer: PreTrainedTokenizerBase, image_size: int, patch_size: int, chat_template: str, fit: Fit = "pad"
) -> LlavaProcessor:
    """Build a processor whose prompts hold one image placeholder per patch token: (image_size / patch_size)²."""
    return LlavaProcessor(
        image_processor=build_image_processor(image_size, fit),
        tokenizer=tokenizer,
        patch_size=patch_size,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,  # the class token, which the "default" strategy drops again
        chat_template=chat_template,
    )
