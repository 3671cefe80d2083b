"""The processor: letterboxing, normalisation, image placeholders.

The Pillow backend is chosen explicitly: it is bit-equal with the original's demo and training path (pad to a square
with CLIP's mean colour, bicubic resize) and it needs no torchvision, which cannot be installed beside a CPU build of
torch.
"""

from typing import Any

from transformers import LlavaProcessor, PreTrainedTokenizerBase
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

from geochat.geometry import Fit


def build_image_processor(image_size: int, fit: Fit = "pad") -> LlavaImageProcessorPil | CLIPImageProcessorPil:
    """An image processor giving float32 pixel values (N, 3, image_size, image_size), CLIP-normalised.

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
    """A processor whose prompts hold one image placeholder per patch token, (image_size / patch_size)² of them."""
    return LlavaProcessor(
        image_processor=build_image_processor(image_size, fit),
        tokenizer=tokenizer,
        patch_size=patch_size,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,  # the class token, which the "default" strategy drops again
        chat_template=chat_template,
    )
