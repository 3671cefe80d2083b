"""Names and shapes of open_clip's tensors of a CLIP with a ViT, and their places in transformers.

open_clip keeps OpenAI's names: queries, keys and values are one matrix, and projections are applied from the right, so
they are the transposes of transformers' matrices.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from geochat.errors import CheckpointError

_HEAD_WIDTH = 64
_HEAD_WIDTHS = {1280: 80, 1408: 88, 1664: 104}  # of open_clip's ViT-H, ViT-g and ViT-bigG
_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_PLAIN = {
    "logit_scale": "logit_scale",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
}
_TRANSPOSED = {"text_projection": "text_projection.weight", "visual.proj": "visual_projection.weight"}
_RESBLOCK = re.compile(r"(visual\.)?transformer\.resblocks\.(\d+)\.(.+)")
_COMPUTED = ("attn_mask", "input_resolution", "context_length", "vocab_size")  # the last three are of OpenAI's files


@dataclass(frozen=True)
class Tower:
    """A transformer's sizes: its width, layers, attention heads and the width inside its MLPs."""

    width: int
    layers: int
    heads: int
    mlp: int


@dataclass(frozen=True)
class Architecture:
    """A CLIP's sizes.

    Attributes:
        vision: The image tower.
        text: The text tower.
        patch: Side of a patch in pixels.
        grid: Patches per side.
        vocabulary: Rows of the token table.
        context: Tokens of the longest text.
        dimension: Dimension of the common space.
    """

    vision: Tower
    text: Tower
    patch: int
    grid: int
    vocabulary: int
    context: int
    dimension: int


def plain_name(name: str) -> str | None:
    """Return a name without the prefixes of training or open_clip's custom text tower; None if it is computed."""
    name = name.removeprefix("module.")
    name = name.removeprefix("text.")
    return None if name.endswith(_COMPUTED) else name


def read_architecture(shapes: dict[str, tuple[int, ...]], heads: dict[str, int | None]) -> Architecture:
    """Determine the sizes from the shapes of the tensors.

    Args:
        shapes: By open_clip's names.
        heads: "vision" and "text": number of attention heads if known; shapes do not determine it.

    Raises:
        CheckpointError: A tensor that tells a size is missing, or they are not a ViT's.
    """
    if any(name.startswith("visual.layer1.") for name in shapes):
        raise CheckpointError("its image tower is a ResNet, and only Vision Transformers are read; take a ViT's file")
    if any(name.startswith("visual.trunk.") for name in shapes):
        raise CheckpointError("its image tower is timm's, and only open_clip's own Vision Transformers are read")
    width, _, patch, _ = _shape(shapes, "visual.conv1.weight", 4)
    rows, _ = _shape(shapes, "visual.positional_embedding", 2)
    grid = math.isqrt(rows - 1)
    if rows < 2 or grid * grid != rows - 1:
        raise CheckpointError(f"visual.positional_embedding has {rows} rows, which is not 1 + a square of patches")
    vocabulary, text_width = _shape(shapes, "token_embedding.weight", 2)
    context, _ = _shape(shapes, "positional_embedding", 2)
    _, dimension = _shape(shapes, "text_projection", 2)
    return Architecture(
        _tower(shapes, "visual.", width, heads.get("vision") or _heads(width, "image")),
        _tower(shapes, "", text_width, heads.get("text") or _heads(text_width, "text")),
        patch, grid, vocabulary, context, dimension,
    )  # fmt: skip


def expected_shapes(sizes: Architecture) -> dict[str, tuple[int, ...]]:
    """Return every tensor that a CLIP of these sizes has, by open_clip's names."""
    vision, text = sizes.vision.width, sizes.text.width
    shapes: dict[str, tuple[int, ...]] = {
        "logit_scale": (),
        "token_embedding.weight": (sizes.vocabulary, text),
        "positional_embedding": (sizes.context, text),
        "text_projection": (text, sizes.dimension),
        "visual.class_embedding": (vision,),
        "visual.positional_embedding": (sizes.grid**2 + 1, vision),
        "visual.conv1.weight": (vision, 3, sizes.patch, sizes.patch),
        "visual.proj": (vision, sizes.dimension),
    }
    norms = (("ln_final", text), ("visual.ln_pre", vision), ("visual.ln_post", vision))
    shapes |= {f"{name}.{part}": (width,) for name, width in norms for part in ("weight", "bias")}
    for prefix, tower in (("visual.", sizes.vision), ("", sizes.text)):
        for layer in range(tower.layers):
            block = f"{prefix}transformer.resblocks.{layer}."
            shapes |= {block + name: shape for name, shape in _block_shapes(tower.width, tower.mlp).items()}
    return shapes


def converted(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Convert a tensor of `expected_shapes` to transformers' names, in parts if needed."""
    block = _RESBLOCK.fullmatch(name)
    if block is None:
        if name in _TRANSPOSED:
            yield _TRANSPOSED[name], tensor.T.contiguous()
        else:
            yield _PLAIN[name], tensor
        return
    tower = "vision_model" if block[1] else "text_model"
    layer, (part, _, kind) = f"{tower}.encoder.layers.{block[2]}.", block[3].rpartition(".")
    if part == "attn":  # in_proj_weight, in_proj_bias
        for letter, piece in zip("qkv", tensor.chunk(3), strict=True):
            yield f"{layer}self_attn.{letter}_proj.{kind.removeprefix('in_proj_')}", piece.clone()
    else:
        yield f"{layer}{_BLOCK[part]}.{kind}", tensor


def _block_shapes(width: int, mlp: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "attn.in_proj_weight": (3 * width, width),
        "attn.in_proj_bias": (3 * width,),
        "attn.out_proj.weight": (width, width),
        "mlp.c_fc.weight": (mlp, width),
        "mlp.c_fc.bias": (mlp,),
        "mlp.c_proj.weight": (width, mlp),
    }
    biases = ("ln_1.weight", "ln_1.bias", "ln_2.weight", "ln_2.bias", "attn.out_proj.bias", "mlp.c_proj.bias")
    return shapes | dict.fromkeys(biases, (width,))


def _shape(shapes: dict[str, tuple[int, ...]], name: str, axes: int) -> tuple[int, ...]:
    if name not in shapes:
        raise CheckpointError(f"the tensor {name} is missing; it is not open_clip's CLIP with a Vision Transformer")
    if len(shapes[name]) != axes:
        raise CheckpointError(f"the tensor {name} has shape {shapes[name]}, expected {axes} axes")
    return shapes[name]


def _tower(shapes: dict[str, tuple[int, ...]], prefix: str, width: int, heads: int) -> Tower:
    blocks = [match for name in shapes if (match := _RESBLOCK.fullmatch(name)) and (match[1] or "") == prefix]
    layers = 1 + max((int(match[2]) for match in blocks), default=-1)
    mlp, _ = _shape(shapes, f"{prefix}transformer.resblocks.0.mlp.c_fc.weight", 2)
    return Tower(width, layers, heads, mlp)


def _heads(width: int, tower: str) -> int:
    """Return the head count; OpenAI's and open_clip's heads have 64 channels, except in the three largest towers."""
    head = _HEAD_WIDTHS.get(width, _HEAD_WIDTH)
    if width % head:
        raise CheckpointError(
            f"its {tower} tower is {width} wide, and how many attention heads that makes is not known; put its "
            "open_clip_config.json beside it"
        )
    return width // head
