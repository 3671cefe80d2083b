"""Finding and loading a dual encoder: the bundled one, transformers' CLIP or SigLIP, or open_clip's weights."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    CLIPConfig,
    CLIPModel,
    PretrainedConfig,
    PreTrainedTokenizerBase,
    SiglipConfig,
    SiglipModel,
)
from transformers.image_processing_backends import PilBackend

from geochat.checkpoints.hub import find
from geochat.checkpoints.names import is_computed, quoted
from geochat.checkpoints.placing import choose_device, choose_dtype, quiet
from geochat.checkpoints.tensors import weight_files
from geochat.clip.open_clip import WEIGHTS, load_open_clip
from geochat.clip.tokenizer import check_vocabulary, find_tokenizer, load_tokenizer
from geochat.errors import CheckpointError

Model = CLIPModel | SiglipModel

_KINDS: tuple[tuple[type[PretrainedConfig], type[Model]], ...] = ((CLIPConfig, CLIPModel), (SiglipConfig, SiglipModel))


@dataclass(frozen=True)
class Parts:
    """What a dual encoder is made of.

    Attributes:
        model: Both towers, in evaluation mode, frozen, on its device.
        tokenizer: Of its text tower.
        processor: Makes its pixels.
        name: What its results call it.
        weights: The files its weights came from.
    """

    model: Model
    tokenizer: PreTrainedTokenizerBase
    processor: PilBackend
    name: str
    weights: tuple[Path, ...]


def bundled_path() -> Path:
    """The folder of the dual encoder shipped in the package."""
    return Path(str(files("geochat") / "models" / "mini" / "clip"))


def load_parts(
    source: str | Path | None,
    *,
    device: str | None = None,
    dtype: str | None = None,
    tokenizer: str | Path | None = None,
    activation: str | None = None,
) -> Parts:
    """Load a dual encoder; the arguments and errors are those of `DualEncoder.from_pretrained`."""
    place, precision = choose_device(device), choose_dtype(dtype, torch.float32)
    with quiet():
        if source is not None and Path(source).is_file():
            parts = _open_clip(Path(source), precision, tokenizer, activation)
        else:
            folder = _bundled() if source is None else find(source)
            name = "geochat-mini" if source is None else (Path(source).name or folder.resolve().name)
            parts = _folder(folder, name, precision, tokenizer, activation)
    torch.nn.Module.eval(parts.model).requires_grad_(requires_grad=False)
    torch.nn.Module.to(parts.model, place)
    return parts


def _bundled() -> Path:
    folder = bundled_path()
    if not (folder / "config.json").is_file():
        raise CheckpointError(
            f"this installation has no dual encoder in {folder}; install geochat again, or name one: a CLIP or SigLIP "
            "directory or hub id, or a weights file in open_clip's format"
        )
    return folder


def _folder(folder: Path, name: str, dtype: torch.dtype, tokenizer: str | Path | None, activation: str | None) -> Parts:
    if not (folder / "config.json").is_file():
        published = [folder / file for file in WEIGHTS if (folder / file).is_file()]
        if not published:
            raise CheckpointError(
                f"{folder} holds neither a config.json nor {' or '.join(WEIGHTS)}; name the weights file itself"
            )
        return _open_clip(published[0], dtype, tokenizer, activation)
    if activation is not None:
        raise CheckpointError(f"{folder} says its activation in config.json; leave activation {activation!r} out")
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, StrictDataclassError) as error:
        raise CheckpointError(f"{folder / 'config.json'} cannot be read: {error}") from error
    for config_type, model_type in _KINDS:
        if isinstance(config, config_type):
            words = load_tokenizer(folder if tokenizer is None else find(tokenizer))
            check_vocabulary(words, _vocabulary(config))
            weights = tuple(weight_files(folder))
            model = _model(folder, model_type, config, dtype)
            return Parts(model, words, _processor(folder), name, weights)
    raise CheckpointError(f"{folder} is a {config.model_type!r} model; expected 'clip' or 'siglip'")


def _open_clip(file: Path, dtype: torch.dtype, tokenizer: str | Path | None, activation: str | None) -> Parts:
    model, processor = load_open_clip(file, activation, dtype)
    words = find_tokenizer(tokenizer, file.parent, _vocabulary(model.config))
    return Parts(model, words, processor, file.stem, (file,))


def _model(folder: Path, model_type: type[Model], config: PretrainedConfig, dtype: torch.dtype) -> Model:
    options: dict[str, Any] = {"config": config, "dtype": dtype, "local_files_only": True}
    load: Any = model_type.from_pretrained
    try:
        model, found = load(folder, output_loading_info=True, **options)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise CheckpointError(f"{folder} cannot be loaded: {error}") from error
    unknown = sorted(name for name in found["unexpected_keys"] if not is_computed(name))
    if missing := sorted(found["missing_keys"]):
        raise CheckpointError(f"{folder}: the tensor {quoted(missing)} is missing; copy the weights again")
    if unknown:
        raise CheckpointError(f"{folder}: the tensor {quoted(unknown)} has no place in the model of config.json")
    return cast(Model, model)


def _vocabulary(config: Any) -> int:  # noqa: ANN401 - transformers types the parts of a config loosely
    return int(config.text_config.vocab_size)


def _processor(folder: Path) -> PilBackend:
    """Of the kind the folder says, since the bundled encoder letterboxes where most crop; Pillow's backend."""
    try:
        processor: PilBackend = AutoImageProcessor.from_pretrained(folder, backend="pil", local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"the image processor in {folder} cannot be loaded: {error}") from error
    return processor
