"""Writing a checkpoint: all of it or nothing."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

from geochat.checkpoints.generation import generation_config
from geochat.checkpoints.names import hub_name
from geochat.checkpoints.shards import Entry, split, write_index
from geochat.errors import CheckpointError
from geochat.models import Settings, write_settings

if TYPE_CHECKING:
    from peft import PeftModel


def save_checkpoint(
    folder: Path,
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    settings: Settings,
    *,
    dtype: torch.dtype | None = None,
    shard_size: str = "5GB",
    state: dict[str, torch.Tensor] | None = None,
) -> None:
    """Write model, processor and settings in the native layout, replacing `folder` only when all is written.

    Args:
        folder: Where the checkpoint goes.
        model: The model; tied tensors are written once.
        processor: Tokenizer, image processor and chat template.
        settings: What goes into `geochat.json`.
        dtype: Precision of the written weights; None keeps the model's.
        shard_size: Largest weights file, such as "5GB".
        state: The model's tensors, where they are gathered from several processes; None takes them from it.

    Raises:
        CheckpointError: The folder cannot be written, or the model has a tensor that no LLaVA has.
        SettingsError: The shard size is not one.
    """
    dtype = dtype or model.dtype
    tied = set(model.all_tied_weights_keys)
    tensors = {name: tensor for name, tensor in (state or model.state_dict()).items() if name not in tied}
    shards = split((_entry(name, tensor) for name, tensor in tensors.items()), dtype, shard_size)
    with _replacing(folder) as draft:
        for shard in shards:
            shard.write(draft)
        write_index(shards, draft)
        describe_checkpoint(draft, model.config, processor, settings, dtype)


def save_adapter(
    folder: Path,
    model: "PeftModel",
    processor: LlavaProcessor,
    settings: Settings,
    state: dict[str, torch.Tensor] | None = None,
) -> None:
    """Write what PEFT adapted, with everything else that differs from the base, into an existing folder.

    Plain PEFT loads it onto the base, and `load` finds the base by the name in it.

    Args:
        folder: Where to.
        model: The base with its adapter.
        processor: Tokenizer, image processor and chat template.
        settings: What goes into `geochat.json`.
        state: The model's tensors, where they are gathered from several processes; None takes them from it.
    """
    model.save_pretrained(str(folder), save_embedding_layers=False, state_dict=state)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
    processor.save_pretrained(folder)
    write_settings(settings, folder)


def describe_checkpoint(
    folder: Path, config: LlavaConfig, processor: LlavaProcessor, settings: Settings, dtype: torch.dtype
) -> None:
    """Write everything of a checkpoint but its weights."""
    config.dtype = dtype
    config.architectures = [LlavaForConditionalGeneration.__name__]
    config.save_pretrained(folder)
    generation_config(config, processor).save_pretrained(folder)
    processor.save_pretrained(folder)
    write_settings(settings, folder)


def _entry(name: str, tensor: torch.Tensor) -> Entry:
    hub = hub_name(name)
    if hub is None:
        raise CheckpointError(f"the model holds {name!r}, which no LLaVA model has; it cannot be saved in this layout")
    return Entry(hub, tuple(tensor.shape), partial(_self, tensor))


def _self(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """A draft folder beside `folder` that takes its place on success and vanishes on failure."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            draft = Path(scratch) / "draft"
            draft.mkdir()
            yield draft
            if folder.exists():
                folder.rename(Path(scratch) / "replaced")
            shutil.move(draft, folder)
    except OSError as error:
        raise CheckpointError(
            f"the checkpoint cannot be written to {folder}: {error}; free space or choose another"
        ) from error
