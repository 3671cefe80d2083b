"""Finding and loading a dual encoder: the bundled one, transformers' CLIP or SigLIP, or open_clip's weights."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import torch
from transformers import (
    AutoImageProcessor,
    CLIPConfig,
    CLIPModel,
    PretrainedConfig,
    PreTrainedTokenizerBase,
    SiglipConfig,
    SiglipModel,
)
from transformers.image_processing_backends import PilBackend

from geochat.checkpoints.architecture import check_numbers, plain, refuse_quantized
from geochat.checkpoints.guards import guarded
from geochat.checkpoints.hub import find
from geochat.checkpoints.layout import is_computed, quoted
from geochat.checkpoints.loading import choose_device, choose_dtype, quiet
from geochat.checkpoints.processors import check_pixels
from geochat.checkpoints.tensors import Reader, stored_tensors, weight_files
from geochat.clip.open_clip import WEIGHTS, load_open_clip
from geochat.clip.tokenizer import check_vocabulary, find_tokenizer, load_tokenizer
from geochat.errors import CheckpointError
from geochat.models import find_bundled
from geochat.models.objects import read_object

Model = CLIPModel | SiglipModel

_KINDS: dict[str, tuple[type[PretrainedConfig], type[Model]]] = {
    "clip": (CLIPConfig, CLIPModel),
    "siglip": (SiglipConfig, SiglipModel),
}


@dataclass(frozen=True)
class Parts:
    """Parts of a dual encoder.

    Attributes:
        model: Both towers, in evaluation mode, frozen, on its device.
        tokenizer: Tokenizer of its text tower.
        processor: Its image processor.
        name: Its name in results.
        weights: The files its weights came from.
    """

    model: Model
    tokenizer: PreTrainedTokenizerBase
    processor: PilBackend
    name: str
    weights: tuple[Path, ...]


def bundled_path() -> Path:
    """Return the folder of the bundled dual encoder."""
    return Path(str(files("geochat") / "models" / "mini" / "clip"))


def load_parts(
    source: str | Path | None,
    *,
    device: str | None = None,
    dtype: str | None = None,
    tokenizer: str | Path | None = None,
    activation: str | None = None,
    allow_download: bool = False,
) -> Parts:
    """Load a dual encoder; the arguments and errors are those of `DualEncoder.from_pretrained`."""
    place, precision = choose_device(device), choose_dtype(dtype, torch.float32)
    if source is not None and not Path(source).exists() and find_bundled(source) is not None:
        source = None  # the bundled models have one dual encoder
    with quiet():
        if source is not None and Path(source).is_file():
            parts = _open_clip(Path(source), precision, tokenizer, activation, allow_download=allow_download)
        else:
            folder = _bundled() if source is None else find(source)
            name = "geochat-mini" if source is None else (Path(source).name or folder.resolve().name)
            parts = _folder(folder, name, precision, tokenizer, activation, allow_download=allow_download)
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


def _folder(
    folder: Path,
    name: str,
    dtype: torch.dtype,
    tokenizer: str | Path | None,
    activation: str | None,
    *,
    allow_download: bool,
) -> Parts:
    if not (folder / "config.json").is_file():
        published = [folder / file for file in WEIGHTS if (folder / file).is_file()]
        if not published:
            raise CheckpointError(
                f"{folder} holds neither a config.json nor {' or '.join(WEIGHTS)}; name the weights file itself"
            )
        return _open_clip(published[0], dtype, tokenizer, activation, allow_download=allow_download)
    if activation is not None:
        raise CheckpointError(f"{folder} says its activation in config.json; leave activation {activation!r} out")
    config, model_type = _config(folder)
    words = load_tokenizer(folder if tokenizer is None else find(tokenizer))
    check_vocabulary(words, _vocabulary(config))
    weights = tuple(weight_files(folder))
    model = _model(folder, weights, model_type, config, dtype)
    return Parts(model, words, _processor(folder, config), name, weights)


def _config(folder: Path) -> tuple[PretrainedConfig, type[Model]]:
    """Read the architecture from a folder's config, and its model class."""
    file = folder / "config.json"
    raw = read_object(file)
    refuse_quantized(raw, folder)
    kind = raw.get("model_type")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise CheckpointError(f"{folder} is a {kind!r} model; expected 'clip' or 'siglip'")
    for part in ("vision_config", "text_config"):
        if isinstance(raw.get(part), dict):
            check_numbers(raw[part], f"{file}: {part}")
    config_type, model_type = _KINDS[kind]
    with guarded(file):
        return config_type.from_dict(plain(raw)), model_type


def _open_clip(
    file: Path, dtype: torch.dtype, tokenizer: str | Path | None, activation: str | None, *, allow_download: bool
) -> Parts:
    model, processor = load_open_clip(file, activation, dtype)
    words = find_tokenizer(tokenizer, file.parent, _vocabulary(model.config), allow_download=allow_download)
    return Parts(model, words, processor, file.stem, (file,))


def _model(
    folder: Path, weights: tuple[Path, ...], model_type: type[Model], config: PretrainedConfig, dtype: torch.dtype
) -> Model:
    """Build the model from the tensors in the weights files; transformers opens none itself."""
    reader = Reader()
    model_class: Any = model_type
    with guarded(folder):
        state = {stored.name: reader.read(stored) for file in weights for stored in stored_tensors(file)}
        model, found = model_class.from_pretrained(
            None, config=config, state_dict=state, dtype=dtype, output_loading_info=True, trust_remote_code=False
        )
    unknown = sorted(name for name in found["unexpected_keys"] if not is_computed(name))
    if missing := sorted(found["missing_keys"]):
        raise CheckpointError(f"{folder}: the tensor {quoted(missing)} is missing; copy the weights again")
    if unknown:
        raise CheckpointError(f"{folder}: the tensor {quoted(unknown)} has no place in the model of config.json")
    return cast(Model, model)


def _vocabulary(config: Any) -> int:  # noqa: ANN401 - transformers types the parts of a config loosely
    return int(config.text_config.vocab_size)


def _processor(folder: Path, config: Any) -> PilBackend:  # noqa: ANN401 - see `_vocabulary`
    """Load the folder's processor class, because the bundled encoder letterboxes and others crop; Pillow's backend."""
    with guarded(f"the image processor in {folder}"):
        processor: PilBackend = AutoImageProcessor.from_pretrained(
            folder, backend="pil", trust_remote_code=False, local_files_only=True
        )
        check_pixels(processor, config.vision_config.image_size, folder)
    return processor
