"""A recipe as transformers' `TrainingArguments`."""

import os
from pathlib import Path

import torch
from accelerate import PartialState
from transformers import PreTrainedModel, TrainingArguments
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from geochat.errors import SettingsError
from geochat_train.loop.folder import TrainingFolder
from geochat_train.recipe_base import Recipe

_SMALL_BATCH = 64  # may be more than there are rows: some come twice
_MOST_ROWS = 1 << 28  # their order takes 2 GiB
_SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
_OPTIMIZERS = {"adamw": "adamw_torch", "paged_adamw_8bit": "paged_adamw_8bit"}


def training_arguments(recipe: Recipe, folder: TrainingFolder, steps: int) -> TrainingArguments:
    """Build the `Trainer`'s arguments; row order, checkpoints and the result are handled elsewhere.

    Raises:
        SettingsError: A logger cannot be used, or the processes cannot share the effective batch.
    """
    _check_reporters(recipe)
    on_cpu = not torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(folder.checkpoints),
        max_steps=steps,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=_SCHEDULES[recipe.schedule],
        warmup_steps=round(recipe.warmup * steps),
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_gradient_norm,
        optim=_OPTIMIZERS[recipe.optimizer],
        bf16=in_bfloat16(recipe),
        dataloader_num_workers=recipe.workers,
        dataloader_pin_memory=not on_cpu,
        dataloader_drop_last=False,
        ddp_find_unused_parameters=False,
        remove_unused_columns=False,
        prediction_loss_only=True,
        logging_steps=recipe.log_every,
        logging_nan_inf_filter=False,
        eval_strategy="no" if recipe.evaluate_every is None else "steps",
        eval_steps=recipe.evaluate_every,
        save_strategy="steps",
        save_steps=recipe.save_every,
        report_to=list(recipe.report_to),
        disable_tqdm=True,
        seed=recipe.seed,
        use_cpu=on_cpu,
    )
    arguments.gradient_accumulation_steps = recipe.accumulation(arguments.world_size)
    return arguments


def _check_reporters(recipe: Recipe) -> None:
    """Refuse loggers that transformers does not know, or whose package is missing."""
    for name in recipe.report_to:
        if name in ("all", "none"):
            continue
        if name not in INTEGRATION_TO_CALLBACK:
            known = ", ".join(sorted(INTEGRATION_TO_CALLBACK))
            raise SettingsError(f"report_to={name!r} is no logger that transformers knows; use some of {known}")
        try:
            INTEGRATION_TO_CALLBACK[name]()
        except (ImportError, RuntimeError) as error:
            raise SettingsError(f"report_to={name!r} cannot be used: {error}") from error


def needed(recipe: Recipe, name: str) -> Path:
    """Return a path that a run requires.

    Raises:
        SettingsError: It is not given.
    """
    path: Path | None = getattr(recipe, name)
    if path is None:
        raise SettingsError(f"{name} is not given; add --{name} or `{name}:` to the recipe")
    return path


def shards_parameters() -> bool:
    """Return whether accelerate shards the model over the processes, with FSDP or DeepSpeed."""
    asked = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")
    return any(os.environ.get(name, "false").lower() == "true" for name in asked)


def steps_of(recipe: Recipe, rows: int) -> int:
    """Return the optimizer steps of a run over `rows` rows; an integer, at least one.

    Raises:
        SettingsError: A batch is larger than the data, or the run longer than its order of rows can be.
    """
    if recipe.batch_size > max(rows, _SMALL_BATCH):
        raise SettingsError(f"batch_size={recipe.batch_size} is more than there are rows ({rows}); lower it")
    together = recipe.batch_size * PartialState().num_processes
    effective = recipe.effective_batch or together
    steps = recipe.steps if recipe.steps is not None else max(1, round((recipe.epochs or 1.0) * rows / effective))
    if steps * effective > _MOST_ROWS:
        raise SettingsError(
            f"{steps} steps of {effective} rows are {steps * effective:,} rows, more than the {_MOST_ROWS:,} a run may "
            "take; lower epochs or steps"
        )
    return steps


def checkpoint_activations(model: PreTrainedModel) -> None:
    """Enable activation checkpointing in the layers of a model."""
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})  # the name changed in transformers 5.2x


def in_bfloat16(recipe: Recipe) -> bool:
    """Return whether the run computes in bfloat16: if requested, or if the device is fast in it."""
    if recipe.precision != "auto":
        return recipe.precision == "bfloat16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())
