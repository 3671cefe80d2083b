"""Weights in open_clip's format, as published for RemoteCLIP and GeoRSCLIP, loaded as a transformers `CLIPModel`.

A file holds only tensors. Sizes are read from their shapes, but the activation cannot be: OpenAI's models, and models
fine-tuned from them unchanged (GeoRSCLIP), use QuickGELU; open_clip's plain `ViT-B-32` and similar, the format in which
RemoteCLIP is published, use GELU. The wrong one lowers accuracy without any other sign, so it must be given, or stated
in an `open_clip_config.json` next to the file.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPConfig, CLIPModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from geochat.checkpoints.guards import guarded
from geochat.checkpoints.layout import quoted
from geochat.checkpoints.tensors import open_tensors, stored_tensors
from geochat.clip.open_clip_names import (
    Architecture,
    Tower,
    converted,
    expected_shapes,
    plain_name,
    read_architecture,
)
from geochat.errors import CheckpointError, SettingsError

CONFIG = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
ACTIVATIONS = ("gelu", "quick_gelu")


@dataclass(frozen=True)
class Described:
    """Settings of an `open_clip_config.json` beyond the tensors; all optional.

    Attributes:
        activation: "gelu" or "quick_gelu".
        heads: Attention heads of "vision" and "text".
        mean: Mean of the pixels' channels, for normalising.
        std: As `mean`.
    """

    activation: str | None = None
    heads: tuple[int | None, int | None] = (None, None)
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def load_open_clip(file: Path, activation: str | None, dtype: torch.dtype) -> tuple[CLIPModel, CLIPImageProcessorPil]:
    """Load the model and the image processor of a weights file.

    Args:
        file: A PyTorch state dict, or safetensors.
        activation: "gelu" or "quick_gelu"; None takes what the config beside the file says.
        dtype: The precision of the model.

    Raises:
        CheckpointError: The file cannot be read; a tensor is missing, unknown or misshapen, which is named; or nothing
            says the activation.
        SettingsError: There is no such activation, or the config beside the file says another.
    """
    described = _described(file.with_name(CONFIG))
    chosen = _activation(file, activation, described.activation)
    named = {plain: stored for stored in stored_tensors(file) if (plain := plain_name(stored.name)) is not None}
    shapes = {plain: stored.shape for plain, stored in named.items()}
    try:
        sizes = read_architecture(shapes, dict(zip(("vision", "text"), described.heads, strict=True)))
        _account(shapes, expected_shapes(sizes))
    except CheckpointError as error:
        raise CheckpointError(f"{file}: {error}") from error
    read = open_tensors(file)
    state: dict[str, Tensor] = {}
    for plain, stored in named.items():
        state |= converted(plain, read(stored.name))
    with guarded(file, remedy="copy it again"):
        model = CLIPModel.from_pretrained(
            None, config=_config(sizes, chosen), state_dict=state, dtype=dtype, trust_remote_code=False
        )
    return model, _processor(sizes.grid * sizes.patch, described)


def _account(shapes: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]]) -> None:
    if missing := sorted(expected.keys() - shapes.keys()):
        raise CheckpointError(f"the tensor {quoted(missing)} is missing; copy the file again")
    if unknown := sorted(shapes.keys() - expected.keys()):
        raise CheckpointError(f"the tensor {quoted(unknown)} has no place in a CLIP with a Vision Transformer")
    for name, shape in expected.items():
        if shapes[name] != shape:
            raise CheckpointError(f"the tensor {name} has shape {shapes[name]}, expected {shape}")


def _activation(file: Path, asked: str | None, described: str | None) -> str:
    if asked is not None and asked not in ACTIVATIONS:
        raise SettingsError(f"unknown activation {asked!r}; use {' or '.join(ACTIVATIONS)}")
    if asked and described and asked != described:
        raise SettingsError(f"activation {asked!r} was asked for, and {file.with_name(CONFIG)} says {described!r}")
    chosen = asked or described
    if chosen is None:
        raise CheckpointError(
            f"{file} does not say its activation, and the wrong one costs accuracy silently; give gelu (RemoteCLIP, "
            "and what open_clip calls ViT-B-32 and so on) or quick_gelu (OpenAI's weights, GeoRSCLIP)"
        )
    return chosen


def _described(file: Path) -> Described:
    if not file.is_file():
        return Described()
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        model = raw["model_cfg"]
        vision, text = model["vision_cfg"], model["text_cfg"]
        width = vision.get("head_width")
        pixels = raw.get("preprocess_cfg", {})
        return Described(
            "quick_gelu" if model.get("quick_gelu", False) else "gelu",
            (int(vision["width"]) // int(width) if width else None, int(text["heads"]) if "heads" in text else None),
            *(tuple(map(float, pixels[name])) if name in pixels else None for name in ("mean", "std")),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{file} is not open_clip's description of a model ({error!r}); remove it") from error


def _config(sizes: Architecture, activation: str) -> CLIPConfig:
    end = sizes.vocabulary - 1  # open_clip reads a text at its highest id, which is the end token's
    return CLIPConfig(
        projection_dim=sizes.dimension,
        vision_config=_tower(sizes.vision, activation)
        | {"image_size": sizes.grid * sizes.patch, "patch_size": sizes.patch, "projection_dim": sizes.dimension},
        text_config=_tower(sizes.text, activation)
        | {
            "vocab_size": sizes.vocabulary,
            "max_position_embeddings": sizes.context,
            "projection_dim": sizes.dimension,
            "bos_token_id": end - 1,
            "eos_token_id": end,
            "pad_token_id": end,
        },
    )


def _tower(tower: Tower, activation: str) -> dict[str, Any]:
    return {
        "hidden_size": tower.width,
        "num_hidden_layers": tower.layers,
        "num_attention_heads": tower.heads,
        "intermediate_size": tower.mlp,
        "hidden_act": activation,
    }


def _processor(size: int, described: Described) -> CLIPImageProcessorPil:
    stated = {"image_mean": described.mean, "image_std": described.std}
    options: dict[str, Any] = {name: list(value) for name, value in stated.items() if value is not None}
    options |= {"size": {"shortest_edge": size}, "crop_size": {"height": size, "width": size}}
    return CLIPImageProcessorPil(**options)
