"""Writing a checkpoint atomically, with the tokens that end an answer and those that are never generated."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import GenerationConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

from geochat.checkpoints.guards import guarded
from geochat.checkpoints.layout import hub_name
from geochat.checkpoints.shards import Entry, split, write_index
from geochat.checkpoints.sources import Source
from geochat.errors import CheckpointError
from geochat.models import Settings, write_settings
from geochat.models.objects import read_object

if TYPE_CHECKING:
    from peft import PeftModel


_FILE = "generation_config.json"
_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id", "suppress_tokens", "begin_suppress_tokens")


def read_generation(source: Source, processor: LlavaProcessor) -> GenerationConfig:
    """Return the generation settings of a native checkpoint's file, or else `generation_config`.

    Raises:
        CheckpointError: The file is damaged, or names tokens that the model does not have.
    """
    file = source.folder / _FILE
    if not source.native or not file.is_file():
        return generation_config(source.config, processor)
    raw = read_object(file)
    vocabulary = source.config.get_text_config().vocab_size
    for name in _TOKENS:
        stated = raw.get(name)
        ids = stated if isinstance(stated, list) else [] if stated is None else [stated]
        strange = [number for number in ids if not _is_token(number, vocabulary)]
        if strange:
            raise CheckpointError(
                f"{file} has {name}={str(strange[0])[:40]}, expected ids below {vocabulary}; copy the checkpoint again"
            )
    with guarded(file):
        return GenerationConfig.from_dict({name: value for name, value in raw.items() if not name.startswith("_")})


def generation_config(config: LlavaConfig, processor: LlavaProcessor) -> GenerationConfig:
    """Return greedy settings that suppress ids without text: the image placeholder and the vocabulary's padding."""
    tokenizer: Any = processor.tokenizer
    vocabulary = config.get_text_config().vocab_size
    not_text = sorted({processor.image_token_id, *range(len(tokenizer), vocabulary)})
    return GenerationConfig(
        do_sample=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        suppress_tokens=not_text,
    )


def _is_token(number: object, vocabulary: int) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and -1 <= number < vocabulary


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
    """Write model, processor and settings in the native layout, and replace `folder` only when all are written.

    Args:
        folder: Destination of the checkpoint.
        model: The model; tied tensors are written once.
        processor: Tokenizer, image processor and chat template.
        settings: Contents of `geochat.json`.
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
    """Write the weights that PEFT adapted, with everything else that differs from the base, into an existing folder.

    Plain PEFT loads it onto the base, and `load` finds the base by the name in it.

    Args:
        folder: Destination folder.
        model: The base with its adapter.
        processor: Tokenizer, image processor and chat template.
        settings: Contents of `geochat.json`.
        state: The model's tensors, where they are gathered from several processes; None takes them from it.
    """
    model.save_pretrained(str(folder), save_embedding_layers=False, state_dict=state)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
    processor.save_pretrained(folder)
    write_settings(settings, folder)


def describe_checkpoint(
    folder: Path, config: LlavaConfig, processor: LlavaProcessor, settings: Settings, dtype: torch.dtype
) -> None:
    """Write all files of a checkpoint except its weights."""
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
    """Create a draft folder next to `folder` that replaces it on success and is removed on failure."""
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
