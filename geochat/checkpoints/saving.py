"""Writing a checkpoint: all of it or nothing."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from huggingface_hub import save_torch_state_dict
from transformers import GenerationConfig, LlavaForConditionalGeneration, LlavaProcessor

from geochat.checkpoints.layout import disk_name
from geochat.checkpoints.settings import Settings, write_settings
from geochat.errors import CheckpointError


def save_checkpoint(
    folder: Path,
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    settings: Settings,
    *,
    dtype: torch.dtype | None = None,
    shard_size: str = "5GB",
) -> None:
    """Write model, processor and settings in the native layout, replacing `folder` only when all is written.

    Args:
        folder: Where the checkpoint goes.
        model: The model; tied tensors are written once.
        processor: Tokenizer, image processor and chat template.
        settings: What goes into `geochat.json`.
        dtype: Precision of the written weights; None keeps the model's.
        shard_size: Largest weights file, such as "5GB".

    Raises:
        CheckpointError: The folder cannot be written.
    """
    dtype = dtype or model.dtype
    tied = set(model.all_tied_weights_keys)
    tensors = {
        disk_name(name): tensor.detach().to("cpu", dtype).contiguous()
        for name, tensor in model.state_dict().items()
        if name not in tied
    }
    with _replacing(folder) as draft:
        save_torch_state_dict(tensors, draft, max_shard_size=shard_size, metadata={"format": "pt"})
        model.config.dtype = dtype
        model.config.architectures = [type(model).__name__]
        model.config.save_pretrained(draft)
        _generation_config(model, processor).save_pretrained(draft)
        processor.save_pretrained(draft)
        write_settings(settings, draft)


def _generation_config(model: LlavaForConditionalGeneration, processor: LlavaProcessor) -> GenerationConfig:
    """Greedy, and silent about ids that are not text: the image placeholder and the vocabulary's padding."""
    tokenizer = processor.tokenizer
    vocabulary = model.config.get_text_config().vocab_size
    not_text = sorted({processor.image_token_id, *range(len(tokenizer), vocabulary)})
    return GenerationConfig(
        do_sample=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        suppress_tokens=not_text,
    )


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
