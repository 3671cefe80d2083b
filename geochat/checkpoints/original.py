"""The original's layout: a Llama config with `mm_` settings, and a CLIP tower that may live elsewhere.

The architecture it stands for is written out here as transformers' LLaVA. The vocabulary is padded to a multiple of 64
with rows of zeros, the first of which belongs to `<image>`: its embedding is replaced by the image's, and none of
the added ids is ever generated. Position embeddings of another size are interpolated as GeoChat does.
"""

import json
import math
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from torch import Tensor
from torch.nn import functional
from transformers import AutoConfig, CLIPConfig, CLIPVisionConfig, LlamaConfig, LlavaConfig

from geochat.checkpoints.hub import find
from geochat.checkpoints.layout import Change
from geochat.checkpoints.names import EMBEDDINGS, OUTPUT, POSITIONS, VISION
from geochat.checkpoints.tensors import Stored
from geochat.errors import CheckpointError
from geochat.vision import interpolate_positions

_BLOCK = 64  # rows of the vocabulary; also leaves room for the image token
_SUPPORTED = {
    "mm_projector_type": ("mlp2x_gelu",),
    "mm_vision_select_feature": ("patch",),
    "mm_use_im_start_end": (False,),
    "rope_scaling": (None,),
}
_LLAMA_FIELDS = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
    "hidden_act", "max_position_embeddings", "rms_norm_eps", "rope_theta", "tie_word_embeddings",
    "attention_bias", "initializer_range", "bos_token_id", "eos_token_id",
)  # fmt: skip
_CLIP_L14: dict[str, Any] = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
}


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        CheckpointError: The file is missing or holds something else.
    """
    if not file.is_file():
        raise CheckpointError(f"{file.parent} holds no {file.name}; it is not a checkpoint")
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{file} is not valid JSON ({error}); copy the checkpoint again") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{file} holds a {type(values).__name__}, expected an object; copy the checkpoint again")
    return values


def llava_config(raw: dict[str, Any], vision: CLIPVisionConfig, image_size: int) -> LlavaConfig:
    """The architecture an original config stands for.

    Args:
        raw: The contents of its `config.json`.
        vision: The tower.
        image_size: Side of the square the model sees, in pixels.

    Raises:
        CheckpointError: A setting is missing, or has a value this architecture cannot express.
    """
    for name, values in _SUPPORTED.items():
        if raw.get(name, values[0]) not in values:
            raise CheckpointError(f"config.json has {name}={raw[name]!r}; only {values[0]!r} can be converted")
    tower = vision.to_dict() | {"image_size": image_size}
    patch = int(tower["patch_size"])
    if image_size < patch or image_size % patch:
        raise CheckpointError(f"an image of {image_size} px does not divide into the tower's patches of {patch} px")
    text = {name: raw[name] for name in _LLAMA_FIELDS if name in raw}
    try:
        return LlavaConfig(
            vision_config=CLIPVisionConfig(**tower),
            text_config=LlamaConfig(**text, vocab_size=padded(raw["vocab_size"]), pad_token_id=0),
            image_token_index=raw["vocab_size"],
            image_seq_length=(image_size // patch) ** 2,
            vision_feature_layer=raw["mm_vision_select_layer"],
            vision_feature_select_strategy="default",
            projector_hidden_act="gelu",
            tie_word_embeddings=raw.get("tie_word_embeddings", False),
        )
    except (KeyError, TypeError, ValueError, StrictDataclassError) as error:
        raise CheckpointError(f"config.json does not describe a GeoChat or LLaVA-1.5 model: {error!r}") from error


def changes(raw: dict[str, Any], config: LlavaConfig, tensors: dict[str, Stored]) -> dict[str, Change]:
    """What is done to an original checkpoint's tensors: vocabularies are padded, positions interpolated.

    Raises:
        CheckpointError: The position embeddings are not of a CLIP tower with square input.
    """
    vision: Any = config.vision_config
    text = config.get_text_config()
    vocabulary = (raw["vocab_size"], text.hidden_size)

    def pad(table: Tensor) -> Tensor:  # (V, D) -> (V', D)
        return functional.pad(table, (0, 0, 0, text.vocab_size - table.shape[0]))

    grid = vision.image_size // vision.patch_size

    def interpolate(table: Tensor) -> Tensor:  # (1 + g², D) -> (1 + grid², D)
        return interpolate_positions(table.float(), grid)

    needed = {EMBEDDINGS: Change(vocabulary, pad), OUTPUT: Change(vocabulary, pad)}
    positions = tensors.get(POSITIONS)
    if positions is None or positions.shape[0] == 1 + grid * grid:
        return needed
    rows = positions.shape[0]
    if math.isqrt(rows - 1) ** 2 != rows - 1 or rows < 2:
        raise CheckpointError(
            f"{positions.file}: tensor {positions.name} has {rows} rows, which is not 1 + a square of patches"
        )
    return needed | {POSITIONS: Change((rows, vision.hidden_size), interpolate)}


def padded(rows: int) -> int:
    """Rows of the vocabulary once `<image>` is in it: the next multiple of 64."""
    return (rows // _BLOCK + 1) * _BLOCK


def tower_config(name: str, folder: Path, tensors: dict[str, Stored]) -> CLIPVisionConfig:
    """The config of a checkpoint's tower.

    That of CLIP ViT-L/14 is known, so that a published checkpoint, which holds its tower, needs nothing else.

    Args:
        name: What the checkpoint calls its tower: a directory beside it, or a hub id.
        folder: The checkpoint.
        tensors: What it holds.

    Raises:
        CheckpointError: The tower cannot be found, or is not a CLIP vision model.
    """
    patches = tensors.get(f"{VISION}embeddings.patch_embedding.weight")
    beside = (folder / name).is_dir() or (folder.parent / name).is_dir()
    if not beside and patches is not None and patches.shape == (1024, 3, 14, 14):
        return CLIPVisionConfig(**_CLIP_L14)
    tower = find(name, beside=folder)
    try:
        config = AutoConfig.from_pretrained(tower, local_files_only=True)
    except (OSError, ValueError, KeyError, StrictDataclassError) as error:
        raise CheckpointError(f"{tower / 'config.json'} cannot be read: {error}") from error
    if isinstance(config, CLIPConfig):
        config = config.vision_config
    if not isinstance(config, CLIPVisionConfig):
        raise CheckpointError(f"{tower}, the tower of {folder}, is a {config.model_type!r} model, expected CLIP")
    return config


def is_of_tower(name: str) -> bool:
    """Whether a tensor of a CLIP checkpoint belongs to its vision tower, not to its text half."""
    return name.startswith("vision_model.")
