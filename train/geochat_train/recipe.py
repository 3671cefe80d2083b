"""Recipes: the settings of a training run, one class per method.

A setting's metadata holds its help text. A recipe is made from a file of `train/configs`, or a user's own, and from
overriding values (`geochat_train.recipe_files`). This module imports nothing heavy: the command line makes its options
from it.
"""

from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from geochat.errors import SettingsError

Part = Literal["language_model", "projector", "vision_tower"]
Precision = Literal["auto", "float32", "bfloat16"]
Schedule = Literal["cosine", "linear", "constant"]
Attention = Literal["auto", "sdpa", "eager", "flash_attention_2"]
Optimizer = Literal["adamw", "paged_adamw_8bit"]

LANGUAGE_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


_MOST_STEPS = 100_000_000
_MOST_EPOCHS = 1_000_000
_MOST = {  # beyond these a value is a slip of the keyboard, and memory or the system would give out first
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
            self._between(name, 1, _MOST.get(name, _MOST_STEPS))
        for name in ("steps", "evaluate_every", "effective_batch"):
            self._between(name, 1, _MOST.get(name, _MOST_STEPS))
        for name in ("workers", "weight_decay", "max_gradient_norm", "seed"):
            self._between(name, 0, _MOST[name])
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


@dataclass(frozen=True, kw_only=True)
class TuningRecipe(Recipe):
    """Instruction tuning, independent of the method of adaptation."""

    adapt: tuple[Part, ...] = setting(
        ("language_model", "projector"), f"parts to train: some of {', '.join(get_args(Part))}"
    )
    projector_rate: float | None = setting(None, "learning rate of the projector (default: learning_rate)")
    tower_rate: float | None = setting(None, "learning rate of the vision tower (default: learning_rate)")
    max_length: int = setting(2048, "longest row in tokens, image included; longer samples are left out")
    share_images: bool = setting(False, "join questions about one image in a row, each as if it were asked alone")
    cache_features: bool = setting(False, "compute the frozen tower's features of each image once, for all steps")
    group_by_length: bool = setting(True, "batch rows of similar length, which reduces padding")
    attention: Attention = setting("auto", "auto is FlashAttention where it is installed, else PyTorch's own")
    show: int = setting(0, "validation samples to answer, with boxes drawn, at every evaluation")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._between("max_length", 1, _MOST["max_length"])
        self._between("show", 0, _MOST["show"])
        if unknown := [part for part in self.adapt if part not in get_args(Part)]:
            raise SettingsError(f"adapt={unknown[0]!r} is no part of the model; use {', '.join(get_args(Part))}")
        if not self.adapt:
            raise SettingsError("adapt is empty, so nothing would be taught; name a part")
        if self.show and self.evaluate_every is None:
            raise SettingsError(f"show={self.show} needs evaluate_every; give how many steps apart to look")
        if self.share_images and self.attention == "flash_attention_2":
            raise SettingsError("share_images needs a mask that flash_attention_2 does not take; use sdpa")
        if self.cache_features and "vision_tower" in self.adapt:
            raise SettingsError("cache_features needs a frozen tower, and adapt holds vision_tower; leave out one")
        for name, part in (("projector_rate", "projector"), ("tower_rate", "vision_tower")):
            if getattr(self, name) is not None and part not in self.adapt:
                raise SettingsError(f"{name}={getattr(self, name)} has no effect: adapt does not hold {part}")


@dataclass(frozen=True, kw_only=True)
class LoraRecipe(TuningRecipe):
    """Low-rank adaptation: small matrices added to the frozen ones (Hu et al. 2021); the projector is fully tuned."""

    rank: int = setting(64, "rank of the adapters")
    alpha: int = setting(16, "their scale is alpha / rank")
    dropout: float = setting(0.05, "share of an adapter's input that is dropped in training")
    targets: tuple[str, ...] = setting(LANGUAGE_TARGETS, "matrices of the language model's layers that are adapted")
    answer_tokens: bool = setting(False, "also tune the embeddings of the answers' tokens, for names new to the model")
    added_tokens: bool = setting(False, "tune the embeddings of tokens added to the vocabulary, such as <0> to <100>")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._between("rank", 1, _MOST["rank"])
        self._between("alpha", 1, _MOST["alpha"])
        if not 0 <= self.dropout < 1:
            raise SettingsError(f"dropout={self.dropout} is no share; give a number from 0 to 1")
        if "language_model" in self.adapt and not self.targets:
            raise SettingsError("targets is empty; name matrices of the language model, such as q_proj")
        for name in ("answer_tokens", "added_tokens"):
            if getattr(self, name) and "language_model" not in self.adapt:
                raise SettingsError(f"{name} has no effect: adapt does not hold language_model")


@dataclass(frozen=True, kw_only=True)
class QloraRecipe(LoraRecipe):
    """LoRA with a 4-bit language model: NF4 with quantised constants (Dettmers et al. 2023)."""


@dataclass(frozen=True, kw_only=True)
class FullRecipe(TuningRecipe):
    """All weights of the adapted parts."""

    learning_rate: float = setting(2e-5, "peak learning rate")


@dataclass(frozen=True, kw_only=True)
class ProjectorRecipe(TuningRecipe):
    """Alignment: only the projector is trained (Liu et al. 2023, section 4.2)."""

    learning_rate: float = setting(1e-3, "peak learning rate")
    adapt: tuple[Part, ...] = field(default=("projector",), init=False)


@dataclass(frozen=True, kw_only=True)
class ClipRecipe(Recipe):
    """Contrastive training of a dual encoder (Radford et al. 2021)."""

    model: str | None = setting(None, "dual encoder to start from: directory or hub id (default: the bundled one)")
    scratch: bool = setting(False, "take the model's shape and vocabulary, and begin with random weights")
    split: str = setting("train", "rows of the data to use, if they have a `split`")
    validation_split: str = setting("val", "rows of the validation data to use, if they have a `split`")
    batch_size: int = setting(64, "pairs per batch in one process; contrasted with those of all processes")
    learning_rate: float = setting(1e-5, "peak learning rate")
    weight_decay: float = setting(0.2, "weight decay of matrices; vectors have none")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._between("batch_size", 2, _MOST["batch_size"])

    def accumulation(self, processes: int) -> int:
        """Always one batch per step: accumulated batches would not serve as negatives for one another.

        Raises:
            SettingsError: More is asked for.
        """
        if (count := super().accumulation(processes)) > 1:
            raise SettingsError(
                f"effective_batch={self.effective_batch} would take {count} batches a step, which does not widen a "
                "contrastive batch; raise batch_size or the number of processes"
            )
        return count


METHODS: dict[str, type[Recipe]] = {
    "lora": LoraRecipe,
    "qlora": QloraRecipe,
    "full": FullRecipe,
    "projector": ProjectorRecipe,
    "clip": ClipRecipe,
}


def method_of(recipe: Recipe) -> str:
    """The method's name."""
    return next(name for name, kind in METHODS.items() if kind is type(recipe))


def settings_of(kind: type[Recipe]) -> list[Field[Any]]:
    """Return the settings of a method that a user can set."""
    return [field for field in fields(kind) if field.init]
