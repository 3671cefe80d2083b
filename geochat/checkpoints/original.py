"""The original's layout: a Llama config with `mm_` settings, and a CLIP tower that may be stored elsewhere.

The architecture is expressed here as transformers' LLaVA. The vocabulary is padded to a multiple of 64 with rows of
zeros, the first of which belongs to `<image>`: its embedding is replaced by the image's, and none of the added ids is
ever generated. Position embeddings of another size are interpolated as in GeoChat.
"""

import math
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional
from transformers import CLIPConfig, CLIPVisionConfig, LlamaConfig, LlavaConfig

from geochat.checkpoints.architecture import check_architecture, check_numbers, plain
from geochat.checkpoints.guards import guarded
from geochat.checkpoints.hub import find
from geochat.checkpoints.layout import EMBEDDINGS, OUTPUT, POSITIONS, VISION, Change
from geochat.checkpoints.tensors import Stored
from geochat.errors import CheckpointError
from geochat.models.objects import read_object
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


def llava_config(
    raw: dict[str, Any], vision: CLIPVisionConfig, image_size: int, file: Path = Path("config.json")
) -> LlavaConfig:
    """Return the architecture of an original config.

    Args:
        raw: The contents of its `config.json`.
        vision: The tower.
        image_size: Side of the square the model sees, in pixels.
        file: The config, for messages.

    Raises:
        CheckpointError: A setting is missing, or has a value this architecture cannot express.
    """
    for name, values in _SUPPORTED.items():
        if raw.get(name, values[0]) not in values:
            raise CheckpointError(f"{file} has {name}={raw[name]!r}; only {values[0]!r} can be converted")
    check_numbers(raw, str(file))
    tower = vision.to_dict() | {"image_size": image_size}
    patch = tower["patch_size"]
    if image_size < patch or image_size % patch:
        raise CheckpointError(f"an image of {image_size} px does not divide into the tower's patches of {patch} px")
    text = {name: raw[name] for name in _LLAMA_FIELDS if name in raw}
    missing = [name for name in ("vocab_size", "mm_vision_select_layer") if name not in raw]
    if missing:
        raise CheckpointError(f"{file} does not describe a GeoChat or LLaVA-1.5 model: it has no {missing[0]}")
    with guarded(file):
        config = LlavaConfig(
            vision_config=CLIPVisionConfig(**tower),
            text_config=LlamaConfig(**text, vocab_size=padded(raw["vocab_size"]), pad_token_id=0),
            image_token_index=raw["vocab_size"],
            image_seq_length=(image_size // patch) ** 2,
            vision_feature_layer=raw["mm_vision_select_layer"],
            vision_feature_select_strategy="default",
            projector_hidden_act="gelu",
            tie_word_embeddings=raw.get("tie_word_embeddings", False),
        )
        check_architecture(config, file)
    return config


def changes(raw: dict[str, Any], config: LlavaConfig, tensors: dict[str, Stored]) -> dict[str, Change]:
    """Changes to an original checkpoint's tensors: vocabularies are padded, positions interpolated.

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
    """Return the number of vocabulary rows including `<image>`: the next multiple of 64."""
    return (rows // _BLOCK + 1) * _BLOCK


def tower_config(
    name: str, folder: Path, tensors: dict[str, Stored], *, allow_download: bool = False
) -> CLIPVisionConfig:
    """Return the config of a checkpoint's tower.

    The config of CLIP ViT-L/14 is built in, so that a published checkpoint, which contains its tower, needs nothing
    else.

    Args:
        name: Name of the tower in the checkpoint: a directory next to it, or a hub id.
        folder: The checkpoint.
        tensors: Its tensors.
        allow_download: Whether a hub id that is not in the local cache may be downloaded.

    Raises:
        CheckpointError: The tower cannot be found, or is not a CLIP vision model.
    """
    patches = tensors.get(f"{VISION}embeddings.patch_embedding.weight")
    beside = (folder / name).is_dir() or (folder.parent / name).is_dir()
    if not beside and patches is not None and patches.shape == (1024, 3, 14, 14):
        return CLIPVisionConfig(**_CLIP_L14)
    tower = find_tower(name, folder, allow_download=allow_download)
    raw = read_object(tower / "config.json")
    kind = raw.get("model_type")
    if kind not in ("clip", "clip_vision_model"):
        raise CheckpointError(f"{tower}, the tower of {folder}, is a {kind!r} model, expected CLIP")
    file = tower / "config.json"
    vision = raw.get("vision_config") if kind == "clip" else raw
    check_numbers(vision if isinstance(vision, dict) else {}, str(file))
    with guarded(file):
        if kind == "clip_vision_model":
            return CLIPVisionConfig.from_dict(plain(raw))
        whole: Any = CLIPConfig.from_dict(plain(raw))
        found: CLIPVisionConfig = whole.vision_config
        return found


def find_tower(name: str, folder: Path, *, allow_download: bool) -> Path:
    """Return the folder of the tower that a checkpoint names.

    Raises:
        CheckpointError: It is not beside the checkpoint, nor in the hub's cache, and may not be downloaded.
    """
    try:
        return find(name, beside=folder, allow_download=allow_download)
    except CheckpointError as error:
        raise CheckpointError(f"{folder} has the vision tower {name!r}, which is not found: {error}") from error


def is_of_tower(name: str) -> bool:
    """Return whether a tensor of a CLIP checkpoint belongs to its vision tower, not to its text encoder."""
    return name.startswith("vision_model.")
