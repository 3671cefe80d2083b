"""The architecture in a `config.json` in the native layout; everything else in the file is ignored.

A config can name code to run (`auto_map`), a kernel to fetch from the hub (`attn_implementation`), other files to read
weights from (`transformers_weights`) and modules to replace (`fusion_config`). These are not part of the architecture
and are removed before transformers sees the config. Impossible sizes are refused before a model is built from them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import CLIPVisionConfig, LlavaConfig

from geochat.checkpoints.guards import guarded
from geochat.checkpoints.packed import is_packed
from geochat.errors import CheckpointError
from geochat.models.objects import read_object

ATTENTION = ("attn_implementation", "experts_implementation")
IGNORED = (
    *ATTENTION, "auto_map", "transformers_weights", "fusion_config",
    "distributed_config", "kernel_config", "use_kernels", "custom_pipelines", "trust_remote_code", "name_or_path",
)  # fmt: skip
"""Settings of a config that are no architecture, and that transformers would act on. Private ones are too."""

QUANTIZATION = ("quantization_config", "compression_config")

_MOST = {  # the largest value that is believed; above it building the model would not end, or not fit in memory
    "hidden_size": 1 << 17,
    "intermediate_size": 1 << 20,
    "num_hidden_layers": 1000,
    "num_attention_heads": 4096,
    "num_key_value_heads": 4096,
    "head_dim": 1 << 14,
    "vocab_size": 1 << 24,
    "max_position_embeddings": 1 << 28,
    "image_size": 1 << 13,
    "patch_size": 1 << 13,
    "num_channels": 3,
}
_REQUIRED = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
_LONGEST_EPS = 1.0


def read_architecture(folder: Path) -> LlavaConfig:
    """Read the architecture from a folder's `config.json`.

    Raises:
        CheckpointError: The file is missing or damaged, is of another kind of model, has impossible values, or says
            that its weights are quantised in another format than `geochat.checkpoints.packed` reads.
    """
    file = folder / "config.json"
    raw = read_object(file)
    refuse_quantized(raw, folder, packed=True)
    if raw.get("model_type") != "llava":
        raise CheckpointError(f"{folder} is a {raw.get('model_type')!r} model, expected 'llava'")
    for part in ("vision_config", "text_config"):
        if isinstance(raw.get(part), dict):
            check_numbers(raw[part], f"{file}: {part}")
    with guarded(file):
        config = LlavaConfig.from_dict(plain(raw))
        check_architecture(config, file)
    return config


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """A config without what transformers would act on or unpack itself, in its parts too."""
    return {
        name: plain(value) if isinstance(value, Mapping) else value
        for name, value in values.items()
        if name not in (*IGNORED, *QUANTIZATION) and not name.startswith("_")
    }


def refuse_quantized(raw: Mapping[str, Any], folder: Path, *, packed: bool = False) -> None:
    """Refuse a checkpoint with quantised weights.

    Args:
        raw: Its config.
        folder: Folder named in the message.
        packed: Whether the format of `geochat.checkpoints.packed` is exempt.

    Raises:
        CheckpointError: The config states it.
    """
    for values in (raw, raw.get("text_config")):
        if not isinstance(values, Mapping):
            continue
        stated = next((values[name] for name in QUANTIZATION if values.get(name)), None)
        if stated is not None and not (packed and is_packed(stated)):
            method = stated.get("quant_method", "an unnamed method") if isinstance(stated, Mapping) else stated
            raise CheckpointError(
                f"{folder} holds weights quantised by {str(method)[:40]}; only float32, bfloat16, float16 "
                "and compressed-tensors' pack-quantized are loaded. Get the unquantised weights; "
                "`--quantization 4bit` or 8bit quantises them on loading"
            )


def check_architecture(config: LlavaConfig, file: Path) -> None:
    """Check that a model can be built from a config and run.

    Raises:
        CheckpointError: A value is impossible, or two contradict each other; names it.
    """
    vision: Any = config.vision_config  # transformers types the parts loosely
    text: Any = config.get_text_config()
    if vision.model_type != CLIPVisionConfig.model_type:
        raise CheckpointError(f"{file}: the vision tower is a {vision.model_type!r} model, expected CLIP's")
    for name, part in (("vision_config", vision), ("text_config", text)):
        check_numbers({size: getattr(part, size, None) for size in _MOST}, f"{file}: {name}", complete=True)
        heads, groups = part.num_attention_heads, getattr(part, "num_key_value_heads", None)
        if groups is not None and heads % groups:
            raise CheckpointError(
                f"{file}: {name}.num_attention_heads={heads} is not divisible by num_key_value_heads={groups}"
            )
    if vision.patch_size > vision.image_size:
        raise CheckpointError(
            f"{file}: patches of {vision.patch_size} px are larger than the image, {vision.image_size} px"
        )
    _check_layer(config.vision_feature_layer, vision.num_hidden_layers, file)
    if config.vision_feature_select_strategy not in ("default", "full"):
        strategy = config.vision_feature_select_strategy
        raise CheckpointError(f"{file}: vision_feature_select_strategy={strategy!r}; expected 'default' or 'full'")
    image = config.image_token_id
    if not isinstance(image, int) or not 0 <= image < text.vocab_size:
        raise CheckpointError(f"{file}: the image token {image!r} is none of the {text.vocab_size} of the vocabulary")
    for name in ("rms_norm_eps", "layer_norm_eps"):
        for part in (vision, text):
            eps = getattr(part, name, None)
            if eps is not None and not 0 < eps < _LONGEST_EPS:
                raise CheckpointError(f"{file}: {name}={eps!r} is no small number above 0")


def check_numbers(part: Mapping[str, Any], where: str, *, complete: bool = False) -> None:
    """Check the sizes of a part of a model.

    Args:
        part: Its settings.
        where: Location named in messages.
        complete: Whether the sizes that every part has must be there.

    Raises:
        CheckpointError: One is missing, no whole number, or none a model can have.
    """
    for name, most in _MOST.items():
        value = part.get(name)
        if value is None and not (complete and name in _REQUIRED):
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise CheckpointError(f"{where}.{name}={str(value)[:40]} is impossible; expected 1 to {most}")


def _check_layer(stated: object, layers: int, file: Path) -> None:
    """Check which hidden state of the tower gives the features; 0 is the embeddings."""
    chosen = stated if isinstance(stated, list | tuple) else [stated]
    for layer in chosen:
        if not isinstance(layer, int) or isinstance(layer, bool) or not -layers - 1 <= layer <= layers:
            raise CheckpointError(f"{file}: vision_feature_layer={stated!r} is none of the tower's {layers} layers")
    if not chosen:
        raise CheckpointError(f"{file}: vision_feature_layer={stated!r} names no layer of the tower")
