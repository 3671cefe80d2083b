"""Opening a checkpoint: the bundled one, a directory, or a hub id."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from transformers import AutoConfig, AutoProcessor, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor
from transformers.utils import logging as transformers_logging

from geochat.checkpoints.layout import check_tensors, weight_files
from geochat.checkpoints.settings import Settings, read_settings
from geochat.errors import CheckpointError, SettingsError

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_DEFAULT_DTYPES = {"cpu": torch.float32, "cuda": torch.bfloat16, "mps": torch.float16}


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model with everything needed to talk to it.

    Attributes:
        model: In evaluation mode, on its device.
        processor: Tokenizer, image processor and chat template.
        settings: The contents of `geochat.json`.
        path: Where it was loaded from.
    """

    model: LlavaForConditionalGeneration
    processor: LlavaProcessor
    settings: Settings
    path: Path

    @property
    def name(self) -> str:
        """What answers and exports call the model."""
        return self.settings.name

    @cached_property
    def sha256(self) -> str:
        """Hex digest over the weights files in order, computed when first asked for."""
        digest = hashlib.sha256()
        for file in weight_files(self.path):
            with file.open("rb") as stream:
                while block := stream.read(1 << 22):
                    digest.update(block)
        return digest.hexdigest()


def bundled_path() -> Path:
    """The folder of the model shipped in the package."""
    return Path(str(files("geochat") / "models" / "first"))


def load(source: str | Path | None = None, *, device: str | None = None, dtype: str | None = None) -> Checkpoint:
    """Load a checkpoint in the native layout.

    Args:
        source: A directory, a hub id such as "owner/name" (downloaded if it is not in the local cache), or None for
            the bundled model.
        device: Such as "cpu", "cuda:1", "mps"; None takes CUDA, then MPS, then the CPU.
        dtype: "float32", "bfloat16" or "float16"; None takes the device's usual one.

    Raises:
        CheckpointError: There is no such checkpoint, or it is incomplete or damaged; names the file or tensor.
        SettingsError: The device or dtype does not exist here.
    """
    chosen = _device(device)
    precision = _dtype(dtype, chosen)
    folder = _folder(source)
    config = _config(folder)
    check_tensors(config, weight_files(folder))
    settings = read_settings(folder)
    with _quiet():
        try:
            processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
            model = LlavaForConditionalGeneration.from_pretrained(
                folder, config=config, dtype=precision, local_files_only=True, use_safetensors=True
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise CheckpointError(f"{folder} cannot be loaded: {error}") from error
    if not isinstance(processor, LlavaProcessor):
        raise CheckpointError(f"{folder} has a {type(processor).__name__}, expected a LlavaProcessor; convert it first")
    return Checkpoint(model.to(chosen).eval(), processor, settings, folder)


def _folder(source: str | Path | None) -> Path:
    folder = bundled_path() if source is None else Path(source)
    if folder.is_dir():
        return folder
    name = str(source)
    if isinstance(source, Path) or name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise CheckpointError(f"there is no checkpoint directory {name!r}; give a directory or a hub id 'owner/name'")
    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.jinja", "*.safetensors", "tokenizer.model"]))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(
            f"{name!r} is neither a directory nor a hub id that can be downloaded here ({type(error).__name__}); "
            "check the spelling and the network"
        ) from error


def _config(folder: Path) -> LlavaConfig:
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder} holds no config.json; it is not a checkpoint")
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{folder / 'config.json'} cannot be read: {error}") from error
    if not isinstance(config, LlavaConfig):
        raise CheckpointError(f"{folder} is a {config.model_type!r} model, expected 'llava'")
    return config


def _device(name: str | None) -> torch.device:
    if name is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SettingsError(f"the device {name!r} cannot be used here; leave it out or use 'cpu'") from error
    return device


def _dtype(name: str | None, device: torch.device) -> torch.dtype:
    if name is None:
        return _DEFAULT_DTYPES.get(device.type, torch.float32)
    if name not in _DTYPES:
        raise SettingsError(f"unknown dtype {name!r}; use {', '.join(_DTYPES)}")
    return _DTYPES[name]


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and no load report: what they would say has been checked, and stderr is the user's."""
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
