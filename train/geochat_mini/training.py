"""The run of one stage with transformers' `Trainer`, which checkpoints and resumes it."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments, get_cosine_schedule_with_warmup, set_seed
from transformers.trainer_utils import get_last_checkpoint

_LOG = logging.getLogger(__name__)
_SAVED = 50  # steps between checkpoints, some minutes


def run_stage(
    model: nn.Module,
    data: Dataset[Any],
    folder: Path,
    *,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    collate: Callable[[list[Any]], dict[str, Tensor]] | None = None,
) -> None:
    """Train `model` in place, resuming from the last checkpoint in `folder` if there is one.

    Args:
        model: Returns a dict with `loss`.
        data: Its length is at least `steps` x `batch`; items depend on their index alone.
        folder: Folder for checkpoints and the log.
        steps: Optimizer steps.
        batch: Images per step.
        rate: Peak learning rate.
        seed: Seed of all random choices.
        collate: Makes a batch; None stacks dictionaries of tensors.
    """
    set_seed(seed)
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=batch,
        logging_steps=25,
        save_steps=min(_SAVED, max(1, steps // 20)),
        save_total_limit=1,
        dataloader_num_workers=max(1, (os.cpu_count() or 1) - 1),
        dataloader_prefetch_factor=4,
        remove_unused_columns=False,
        report_to=[],
        disable_tqdm=True,
        seed=seed,
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
    )
    optimizer = torch.optim.AdamW(_groups(model), lr=rate, betas=(0.9, 0.98), fused=True)
    schedule = get_cosine_schedule_with_warmup(optimizer, min(100, steps // 10), steps)
    trainer = _InOrder(
        model=model, args=arguments, train_dataset=data, data_collator=collate, optimizers=(optimizer, schedule)
    )
    last = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    _LOG.info("stage %s: %s", folder.name, f"resuming from {last}" if last else "starting")
    trainer.train(resume_from_checkpoint=last)
    trainer.save_state()


class _InOrder(Trainer):
    """Yields the items in order: they are already random, and each is a function of its index."""

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler[int]:  # noqa: ANN401
        data: Any = train_dataset or self.train_dataset
        return torch.utils.data.SequentialSampler(data)


def _groups(model: nn.Module) -> list[dict[str, Any]]:
    """Return the trainable parameters in groups; vectors and embeddings have no weight decay."""
    decaying: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (decaying if parameter.ndim > 1 and "embed" not in name else rest).append(parameter)
    return [{"params": decaying, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}]
