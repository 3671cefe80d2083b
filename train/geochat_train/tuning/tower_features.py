"""Features of a frozen tower, computed once per image and memory-mapped.

The features of an image from a frozen tower are the same at every step. They are stored in the tower's own precision,
so that a step on features gives the same loss as one on pixels.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor
from transformers import LlavaForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutputWithPooling

from geochat.errors import SettingsError
from geochat.files import atomic_draft
from geochat_data.encoding import Collator

_TOGETHER = 16  # images


@dataclass(frozen=True)
class TowerFeatures:
    """Features of images in a file.

    Attributes:
        path: The file: (N, T, D), row after row.
        names: The images, in order.
        shape: Shape of one image's features, (T, D), the class token among them.
        dtype: Dtype of the numbers.
    """

    path: Path
    names: tuple[str, ...]
    shape: tuple[int, int]
    dtype: torch.dtype
    _rows: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rows", {name: row for row, name in enumerate(self.names)})

    def __getitem__(self, name: str) -> Tensor:
        """Return the features of one image, (1, T, D)."""
        rows, width = self.shape
        count = len(self.names) * rows * width
        mapped = torch.from_file(str(self.path), shared=False, size=count, dtype=self.dtype)
        row = self._rows[name]
        return mapped.view(len(self.names), rows, width)[row : row + 1].clone()


@dataclass(frozen=True)
class FeatureCollator(Collator):
    """As `Collator`, with features (1, T, D) instead of pixels.

    Attributes:
        features: Features of all images.
    """

    features: TowerFeatures

    def pixels(self, name: str) -> Tensor:
        """Return the features of an image, (1, T, D)."""
        return self.features[name]


def tower_features(
    model: LlavaForConditionalGeneration,
    names: Sequence[str],
    pixels: Callable[[str], Tensor],
    path: Path,
    tell: Callable[[str], None],
) -> TowerFeatures:
    """Return the features in `path`, computed first unless they exist for exactly these images.

    From then on the model takes features where it takes pixels. One process computes; the others wait.

    Args:
        model: Whose tower it is.
        names: The images, each once.
        pixels: Returns the pixels of an image, (1, 3, S, S).
        path: The file; what it holds stands in a .json beside it.
        tell: Called with progress messages.

    Raises:
        SettingsError: The features come from several layers of the tower.
    """
    layer = model.config.vision_feature_layer
    if not isinstance(layer, int):
        raise SettingsError(
            f"cache_features keeps one layer of the tower, this model takes {list(layer)}; leave it out"
        )
    vision: Any = model.config.vision_config
    shape = ((vision.image_size // vision.patch_size) ** 2 + 1, vision.hidden_size)
    dtype = next(model.model.vision_tower.parameters()).dtype
    found = TowerFeatures(path, tuple(names), shape, dtype)
    about = {"names": list(names), "shape": list(shape), "dtype": str(dtype)}
    with PartialState().main_process_first():
        description = path.with_suffix(".json")
        if not description.is_file() or json.loads(description.read_text(encoding="utf-8")) != about:
            _compute(model, found, pixels, tell)
            description.write_text(json.dumps(about), encoding="utf-8")
    _accept(model)
    return found


@torch.inference_mode()
def _compute(
    model: LlavaForConditionalGeneration,
    found: TowerFeatures,
    pixels: Callable[[str], Tensor],
    tell: Callable[[str], None],
) -> None:
    tower: Any = model.model.vision_tower
    layer = model.config.vision_feature_layer
    found.path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_draft(found.path) as part, part.open("wb") as file:
        for start in range(0, len(found.names), _TOGETHER):
            images = torch.cat([pixels(name) for name in found.names[start : start + _TOGETHER]])
            states = tower(images.to(tower.device, found.dtype), output_hidden_states=True).hidden_states
            file.write(states[layer].cpu().contiguous().view(torch.uint8).numpy().tobytes())
            if start // _TOGETHER % 50 == 0:
                tell(f"features of {start} of {len(found.names)} images")


def _accept(model: LlavaForConditionalGeneration) -> None:
    """Let the tower pass features (N, T, D) through; pixels (N, 3, S, S) are computed as before."""
    tower: Any = model.model.vision_tower
    compute = tower.forward
    vision: Any = model.config.vision_config
    layers = vision.num_hidden_layers + 1

    def forward(pixel_values: Tensor, **options: Any) -> Any:  # noqa: ANN401 - the tower's own
        if pixel_values.ndim == 4:
            return compute(pixel_values, **options)
        return BaseModelOutputWithPooling(hidden_states=(pixel_values,) * layers)

    tower.forward = forward
