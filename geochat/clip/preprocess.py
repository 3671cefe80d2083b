"""Preprocessing for an image tower: an image becomes an 8-bit square, then squares are normalised together.

transformers' image processor handles one image at a time in floats, which takes a quarter of the time of the bundled
tower.
"""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from transformers.image_processing_backends import PilBackend
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from geochat.imagery import GeoImage

_VALUES = 256  # of 8 bits


class SquareMaker:
    """Makes and normalises squares in the same way as an image processor.

    Normalised values equal the processor's bit for bit. So do squares, except for letterboxing processors such as the
    bundled encoder's: these squares are resized by PyTorch's vectorised kernel, which is five times as fast as Pillow
    and differs by one level of 256 in less than one value in a hundred. Published CLIPs and SigLIPs do not letterbox.
    """

    def __init__(self, processor: PilBackend) -> None:
        """Reproduce the squares of `processor`."""
        self._processor = processor
        ramp = np.broadcast_to(np.arange(_VALUES, dtype=np.uint8)[None, :, None], (1, _VALUES, 3))
        as_it_is: dict[str, Any] = {"do_resize": False, "do_center_crop": False, "do_pad": False}
        found: Any = processor(images=[Image.fromarray(ramp)], return_tensors="np", **as_it_is)["pixel_values"]
        self._table = torch.tensor(found, dtype=torch.float32).flatten()  # what each value becomes: (3 · 256)
        self._letterbox = _letterbox(processor)

    def square(self, image: GeoImage) -> Tensor:
        """Return the square of an image: uint8, (3, S, S)."""
        if self._letterbox is None:
            options: dict[str, Any] = {"do_rescale": False, "do_normalize": False, "return_tensors": "np"}
            found: Any = self._processor(images=[image.pil()], **options)["pixel_values"]
            return torch.tensor(found[0])
        side, background = self._letterbox
        pixels = torch.tensor(image.pixels)  # (H, W, 3)
        height, width = pixels.shape[:2]
        if height != width:
            longer = max(height, width)
            top, left = (longer - height) // 2, (longer - width) // 2
            padded = background.expand(longer, longer, 3).clone()
            padded[top : top + height, left : left + width] = pixels
            pixels = padded
        channels = pixels.permute(2, 0, 1)[None]  # (1, 3, longer, longer), channels last in memory
        return functional.interpolate(channels, (side, side), mode="bicubic", antialias=True)[0]

    def normalise(self, squares: Tensor) -> Tensor:
        """Normalise squares (N, 3, S, S) for the tower: float32, on their device."""
        first = torch.arange(0, 3 * _VALUES, _VALUES, dtype=torch.int32, device=squares.device)
        places = squares.contiguous() + first[:, None, None]  # (N, 3, S, S)
        return self._table.to(squares.device).index_select(0, places.flatten()).view(squares.shape)


def _letterbox(processor: Any) -> tuple[int, Tensor] | None:  # noqa: ANN401 - its settings are attributes
    """Return side and background of squares that LLaVA pads and resizes; None for other processors."""
    if not (isinstance(processor, LlavaImageProcessorPil) and processor.do_pad and processor.do_resize):
        return None
    side = processor.size.get("shortest_edge")
    whole = not processor.do_center_crop or dict(processor.crop_size) == {"height": side, "width": side}
    if side is None or not whole or processor.resample != Image.Resampling.BICUBIC:
        return None
    return int(side), torch.tensor([int(255 * mean) for mean in processor.image_mean], dtype=torch.uint8)
