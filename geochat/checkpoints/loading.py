"""Loading a checkpoint of any kind: the bundled one, a directory, or a hub id.

Tensors are mapped from the checked files, converted if the layout is not the native one, and passed to transformers,
which opens only the processor's files in the folder: the same list of files is checked, hashed and loaded. Nothing is
written to disk. Merging an adapter or renaming 7B parameters takes seconds, whereas a copy would have to be stored,
found and deleted. To store a copy, convert the checkpoint.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import nn
from transformers import BitsAndBytesConfig, LlavaForConditionalGeneration, LlavaProcessor
from transformers.utils import logging as transformers_logging

from geochat.checkpoints.guards import guarded
from geochat.checkpoints.layout import DTYPES
from geochat.checkpoints.saving import read_generation
from geochat.checkpoints.sources import Source, recognise
from geochat.checkpoints.tensors import Reader
from geochat.errors import SettingsError
from geochat.models import ModelInfo, Settings, bundled_path


def choose_device(name: str | None) -> torch.device:
    """Return the device of a name; None selects CUDA, then MPS, then the CPU.

    Raises:
        SettingsError: It cannot be used here.
    """
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


def choose_dtype(name: str | None, usual: torch.dtype) -> torch.dtype:
    """Return the dtype of a name; None selects `usual`.

    Raises:
        SettingsError: There is none of that name.
    """
    if name is None:
        return usual
    if name not in DTYPES:
        raise SettingsError(f"unknown dtype {name!r}; use {', '.join(DTYPES)}")
    return DTYPES[name]


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress progress bars and load reports of transformers; their content has been checked already."""
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


_ROWS, _COLUMNS = 32, 64  # bitsandbytes packs weights by these on CPUs with bfloat16, and fails on a remainder
Quantization = Literal["4bit", "8bit"]
NOT_QUANTIZED = ("model.vision_tower", "model.multi_modal_projector", "lm_head")
_DEVICES = ("cpu", "cuda")


def quantization_config(kind: str, device: torch.device, dtype: torch.dtype) -> BitsAndBytesConfig:
    """Return the configuration with which transformers loads a quantised model.

    Args:
        kind: "4bit" (NF4, its constants quantised too) or "8bit" (LLM.int8).
        device: Device of the model.
        dtype: The precision that is computed in.

    Raises:
        SettingsError: The kind or device is not supported, or bitsandbytes is not installed.
    """
    if kind not in get_args(Quantization):
        raise SettingsError(f"unknown quantization {kind!r}; use {' or '.join(get_args(Quantization))}")
    if device.type not in _DEVICES:
        raise SettingsError(f"weights cannot be quantised on {device.type!r}; use {' or '.join(_DEVICES)}")
    if find_spec("bitsandbytes") is None:
        raise SettingsError("quantization needs bitsandbytes, which is not installed; run `pip install bitsandbytes`")
    if kind == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=list(NOT_QUANTIZED))
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=list(NOT_QUANTIZED),
    )


def leave_unpacked(model: nn.Module) -> None:
    """Use the general kernel for layers that bitsandbytes cannot pack for a CPU with bfloat16.

    Without this, their first use raises an error of bitsandbytes 0.50. It has no effect if nothing is packed.
    """
    layer: Any  # bitsandbytes' layers are not typed
    for layer in model.modules():
        packable = hasattr(layer, "support_avx512bf16_for_cpu")
        if packable and (layer.out_features % _ROWS or layer.in_features % _COLUMNS):
            layer.support_avx512bf16_for_cpu = False


_DEFAULT_DTYPES = {"cpu": torch.float32, "cuda": torch.bfloat16, "mps": torch.float16}


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model with everything needed to run it.

    Attributes:
        model: In evaluation mode, on its device.
        processor: Tokenizer, image processor and chat template.
        settings: The contents of `geochat.json`.
        path: Path from which it was loaded.
        weights: The files its weights came from; none for a model built in memory.
    """

    model: LlavaForConditionalGeneration
    processor: LlavaProcessor
    settings: Settings
    path: Path
    weights: tuple[Path, ...] = field(default=(), repr=False)

    @cached_property
    def info(self) -> ModelInfo:
        """The facts about the model, before an engine adds what it can do."""
        config: Any = self.model.config
        return ModelInfo(
            self.settings,
            image_size=int(config.vision_config.image_size),
            patch_size=int(config.vision_config.patch_size),
            context=int(config.get_text_config().max_position_embeddings),
            weights=self.weights,
        )

    @property
    def name(self) -> str:
        """Name of the model in answers and exports."""
        return self.settings.name

    @property
    def sha256(self) -> str | None:
        """Hex digest over the weights files in order, computed on first use; None without files."""
        return self.info.sha256


def load(
    source: str | Path | None = None,
    *,
    base: str | Path | None = None,
    device: str | None = None,
    dtype: str | None = None,
    quantization: str | None = None,
    allow_download: bool = False,
) -> Checkpoint:
    """Load a checkpoint.

    Args:
        source: A directory, or a hub id such as "owner/name" (downloaded if it is not in the local cache), in the
            native layout, in the original GeoChat's or LLaVA-1.5's, or a LoRA adapter. None is the bundled model.
        base: Base of an adapter; None uses the base that it names.
        device: Such as "cpu", "cuda:1", "mps"; None takes CUDA, then MPS, then the CPU.
        dtype: "float32", "bfloat16" or "float16"; None takes the device's usual one.
        quantization: "4bit" or "8bit" to quantise the language model with bitsandbytes, on CUDA or the CPU.
        allow_download: Whether what a local folder names, the base of an adapter or a vision tower, may be downloaded.

    Raises:
        CheckpointError: There is no such checkpoint, or it is incomplete, damaged or unknown; names the file or tensor.
        SettingsError: The device, dtype or quantization does not exist here.
    """
    chosen = choose_device(device)
    precision = choose_dtype(dtype, _DEFAULT_DTYPES.get(chosen.type, torch.float32))
    options: dict[str, Any] = {"dtype": precision}
    if quantization is not None:
        options["quantization_config"] = quantization_config(quantization, chosen, precision)
        options["device_map"] = {"": chosen}
    found = recognise(bundled_path() if source is None else source, base=base, allow_download=allow_download)
    with quiet():
        processor = found.processor()
        generation = read_generation(found, processor)
        with guarded(found.folder):
            model = _built(found, options)
            model.generation_config = generation
            if found.native:
                model.name_or_path = model.config.name_or_path = str(
                    found.folder
                )  # which PEFT names as the base of an adapter
            if quantization is None:
                torch.nn.Module.to(model, chosen)
            else:
                leave_unpacked(model)
    return Checkpoint(model.eval(), processor, found.settings, found.folder, found.files)


def _built(source: Source, options: dict[str, Any]) -> LlavaForConditionalGeneration:
    """Build the model from exactly the checked tensors; transformers looks for no files itself."""
    reader = Reader()
    state = {name: recipe.make(reader) for name, recipe in source.recipes.items()}
    return LlavaForConditionalGeneration.from_pretrained(
        None, config=source.config, state_dict=state, trust_remote_code=False, **options
    )
