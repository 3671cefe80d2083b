"""Settings that the recipes of all methods share, and their bounds.

A setting's metadata holds its help text. This module imports nothing heavy: the command line makes its options from it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from geochat.errors import SettingsError

Precision = Literal["auto", "float32", "bfloat16"]
Schedule = Literal["cosine", "linear", "constant"]
Optimizer = Literal["adamw", "paged_adamw_8bit"]

_MOST_STEPS = 100_000_000
_MOST_EPOCHS = 1_000_000
MOST = {  # beyond these a value is a slip of the keyboard, and memory or the system would give out first
    "batch_size": 65_536,
    "effective_batch": 1 << 24,
    "workers": 512,
    "weight_decay": 100,
    "max_gradient_norm": 1_000_000_000,
    "seed": 2**32 - 1,
    "keep": 10_000,
    "max_length": 1 << 20,
    "show": 10_000,
    "rank": 8192,
    "alpha": 1_000_000,
    "group_size": 1024,
    "max_new_tokens": 8192,
    "iterations": 1000,
}


def setting(default: Any, about: str) -> Any:  # noqa: ANN401 - stands for a value of any field's type
    """Declare a field with its help text."""
    return field(default=default, metadata={"help": about})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings common to every method."""

    model: str | None = setting(None, "checkpoint or hub id to start from (default: the bundled model)")
    data: Path | None = setting(None, "training samples")
    images: Path | None = setting(None, "folder the image paths are relative to")
    validation: Path | None = setting(None, "validation samples; never trained on")
    out: Path | None = setting(None, "folder for the result; its folder run/ holds checkpoints and log")

    epochs: float | None = setting(None, "passes over the data (default: 1)")
    steps: int | None = setting(None, "optimizer steps, instead of epochs")
    batch_size: int = setting(1, "rows per batch in one process")
    effective_batch: int | None = setting(None, "rows per step over processes and accumulation (default: one of each)")
    learning_rate: float = setting(2e-4, "peak learning rate")
    schedule: Schedule = setting("cosine", "decay of the learning rate after the warm-up")
    warmup: float = setting(0.03, "share of the steps in which the learning rate rises")
    weight_decay: float = setting(0.0, "weight decay of matrices; vectors have none")
    max_gradient_norm: float = setting(1.0, "gradient clipping norm; 0 disables it")
    optimizer: Optimizer = setting("adamw", "paged_adamw_8bit takes a quarter of the memory, on CUDA")
    seed: int = setting(7, "seed of all random choices")

    precision: Precision = setting("auto", "auto is bfloat16 where the device is fast in it")
    gradient_checkpointing: bool = setting(False, "recompute activations instead of storing them")
    workers: int = setting(2, "processes that read images")

    log_every: int = setting(10, "steps between log entries")
    evaluate_every: int | None = setting(None, "steps between evaluations")
    save_every: int = setting(100, "steps between checkpoints")
    keep: int = setting(2, "checkpoints kept")
    keep_best: bool = setting(False, "the result is the state with the lowest validation loss, not the last")
    report_to: tuple[str, ...] = setting((), "further loggers, such as tensorboard or wandb")

    def __post_init__(self) -> None:
        for name in ("batch_size", "log_every", "save_every", "keep"):
            self._between(name, 1, MOST.get(name, _MOST_STEPS))
        for name in ("steps", "evaluate_every", "effective_batch"):
            self._between(name, 1, MOST.get(name, _MOST_STEPS))
        for name in ("workers", "weight_decay", "max_gradient_norm", "seed"):
            self._between(name, 0, MOST[name])
        if self.epochs is not None and self.steps is not None:
            raise SettingsError(f"epochs={self.epochs} and steps={self.steps} contradict each other; give one")
        if self.epochs is not None and not 0 < self.epochs <= _MOST_EPOCHS:
            raise SettingsError(f"epochs={self.epochs} is impossible; give a number above 0, at most {_MOST_EPOCHS:,}")
        for name in ("learning_rate", "projector_rate", "tower_rate"):
            rate = getattr(self, name, None)
            if rate is not None and not 0 < rate < 1:
                raise SettingsError(f"{name}={rate} is not between 0 and 1; 2e-4 is usual for LoRA")
        if not 0 <= self.warmup < 1:
            raise SettingsError(f"warmup={self.warmup} is no share of the steps; give a number from 0 to 1")
        if self.effective_batch is not None and self.effective_batch % self.batch_size:
            raise SettingsError(
                f"effective_batch={self.effective_batch} is no multiple of batch_size={self.batch_size}; change one"
            )
        for name in ("evaluate_every", "keep_best"):
            if getattr(self, name) and self.validation is None:
                raise SettingsError(f"{name}={getattr(self, name)} needs validation data; give validation")
        if self.keep_best and self.evaluate_every is None:
            raise SettingsError("keep_best needs evaluate_every; give how many steps apart to look")

    def accumulation(self, processes: int) -> int:
        """Return the batches per step in each of `processes`.

        Raises:
            SettingsError: They cannot share the effective batch evenly.
        """
        together = self.batch_size * processes
        effective = together if self.effective_batch is None else self.effective_batch
        if effective % together:
            raise SettingsError(
                f"effective_batch={effective} is no multiple of batch_size={self.batch_size} times {processes} "
                f"processes; use {effective // together * together or together} or another batch_size"
            )
        return effective // together

    def _between(self, name: str, least: int, most: int) -> None:
        """Refuse a setting that is out of bounds; None stands for a default."""
        value = getattr(self, name)
        if value is None or least <= value <= most:
            return
        if value > most:
            raise SettingsError(f"{name}={value} is too large; give at most {most:,}")
        raise SettingsError(f"{name}={value} is too small; give {least} or more")
