"""A run of instruction tuning, from its recipe to the result."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import TrainerCallback
from transformers.utils.import_utils import is_flash_attn_2_available

from geochat.checkpoints import Checkpoint, load
from geochat.checkpoints.adapters import ADAPTER_CONFIG
from geochat.checkpoints.hub import find
from geochat.errors import SettingsError, TrainingError
from geochat.models import ModelInfo, Settings, bundled_names
from geochat_data.encoding import Collator
from geochat_train.loop import (
    InOrder,
    LogFile,
    ProgressLines,
    Tell,
    TrainingFolder,
    needed,
    opened_run,
    training_arguments,
    training_order,
)
from geochat_train.loop.arguments import checkpoint_activations, in_bfloat16, shards_parameters, steps_of
from geochat_train.loop.folder import digest
from geochat_train.recipe import TuningRecipe
from geochat_train.tuning.adapting import PARTS, Tuned, adapt, tuned_tokens
from geochat_train.tuning.packing import RowCollator
from geochat_train.tuning.rows import Rows, read_rows
from geochat_train.tuning.sample_answers import SampleAnswers
from geochat_train.tuning.tower_features import FeatureCollator, tower_features
from geochat_train.tuning.trainer import TuningTrainer


@dataclass(frozen=True)
class Tuning:
    """Result of a tuning run.

    Attributes:
        folder: The result, an adapter or a whole checkpoint.
        steps: Optimizer steps, those of earlier starts included.
        loss: The last logged training loss, None if none was.
        validation_loss: Validation loss of the state that is the result, None without validation data.
        seconds: Time of this start.
        reward: The last logged mean reward of sampled answers, None where none are rewarded.
    """

    folder: Path
    steps: int
    loss: float | None
    validation_loss: float | None
    seconds: float
    reward: float | None = None


class Objective:
    """Objective of a run: here, the likelihood of the answers in its rows. Others derive from it.

    Attributes:
        recipe: Recipe of the run.
        repeats: Steps taken on the same rows before the next.
    """

    repeats = 1

    def __init__(self, recipe: TuningRecipe) -> None:
        self.recipe = recipe

    def choose(self, rows: Rows, info: ModelInfo) -> Rows:
        """Return the rows that are trained on, of those read."""
        return rows

    def trainer(
        self, model: Tuned, checkpoint: Checkpoint, collator: Collator, options: dict[str, Any]
    ) -> TuningTrainer:
        """Return the trainer of an adapted model.

        Args:
            model: The adapted model.
            checkpoint: Checkpoint from which it was made.
            collator: Collator of samples.
            options: Further arguments of `TuningTrainer`.
        """
        rows = RowCollator(collator, additive=self.recipe.attention == "eager")
        return TuningTrainer(model=model, processor=checkpoint.processor, data_collator=rows, **options)

    def before(self, checkpoint: Checkpoint) -> None:
        """Take what is needed of the model before it is adapted."""


def tune(
    recipe: TuningRecipe,
    *,
    restart: bool = False,
    tell: Tell = lambda _: None,
    objective: Objective | None = None,
) -> Tuning:
    """Tune a model, resuming from the last checkpoint of an interrupted run.

    Args:
        recipe: Recipe of the run.
        restart: Whether to delete an existing run in the folder.
        tell: Called with progress messages.
        objective: Objective of the run; None for the likelihood of the answers.

    Raises:
        SettingsError: Settings contradict each other, or the run in the folder.
        DataError: Samples or images cannot be used.
        CheckpointError: There is no such model.
        TrainingError: Memory or disk are exhausted, or the loss is no number.
    """
    began, objective = time.monotonic(), objective or Objective(recipe)
    data = needed(recipe, "data")
    with opened_run(recipe, restart=restart) as (folder, state):
        checkpoint = loaded(recipe, state)
        rows = _rows(objective, data, checkpoint, folder)
        tell(f"{len(rows)} rows of {rows.lengths.mean():.0f} tokens on average; {rows.report}")
        watched = None if recipe.validation is None else _rows(objective, recipe.validation, checkpoint, folder)
        trainer = _trainer(objective, folder, checkpoint, (rows, watched), tell)
        trainer.go_on()
        trainer.publish(ADAPTER_CONFIG if recipe.low_rank else "config.json")
    watched_loss = trainer.best_loss if recipe.keep_best else trainer.last_logged("eval_loss")
    loss, reward = trainer.last_logged("loss"), trainer.last_logged("reward")
    return Tuning(folder.out, trainer.args.max_steps, loss, watched_loss, time.monotonic() - began, reward)


def loaded(recipe: TuningRecipe, state: PartialState) -> Checkpoint:
    """Load the model for training, on this process's device.

    Raises:
        SettingsError: It is an adapter itself.
        CheckpointError: There is no such model.
    """
    if recipe.model is not None and (find(recipe.model) / ADAPTER_CONFIG).is_file():
        raise SettingsError(f"model={recipe.model} is an adapter; merge it first: geochat merge {recipe.model} MERGED")
    checkpoint = load(
        recipe.model,
        device="cpu" if shards_parameters() else str(state.device),
        dtype="bfloat16" if in_bfloat16(recipe) else "float32",
        quantization="4bit" if recipe.four_bit else None,
    )
    flash = is_flash_attn_2_available() and state.device.type == "cuda" and not recipe.packs
    automatic = "flash_attention_2" if flash else "sdpa"
    checkpoint.model.set_attn_implementation(automatic if recipe.attention == "auto" else recipe.attention)
    return checkpoint


def images_of(recipe: TuningRecipe) -> Path:
    """Return the folder that image paths are relative to: by default that of the data."""
    return recipe.images or needed(recipe, "data").parent


def _rows(objective: Objective, path: Path, checkpoint: Checkpoint, folder: TrainingFolder) -> Rows:
    recipe = objective.recipe
    rows = read_rows(
        path,
        images_of(recipe),
        checkpoint.processor,
        max_length=recipe.max_length,
        share_images=recipe.share_images,
        scratch=folder.index,
    )
    return objective.choose(rows, checkpoint.info)


def _trainer(
    objective: Objective,
    folder: TrainingFolder,
    checkpoint: Checkpoint,
    data: tuple[Rows, Rows | None],
    tell: Tell,
) -> TuningTrainer:
    recipe, (rows, watched) = objective.recipe, data
    images = images_of(recipe)
    collator = _collator(recipe, folder, checkpoint, data, tell)
    tokens = tuned_tokens(recipe, rows.said, checkpoint.processor.tokenizer)
    objective.before(checkpoint)
    model = adapt(checkpoint.model, recipe, base_name(recipe), tokens)
    if recipe.gradient_checkpointing:
        checkpoint_activations(checkpoint.model)
    settings = taught(checkpoint.settings, folder.out.resolve().name)
    arguments = training_arguments(recipe, folder, steps_of(recipe, len(rows) * objective.repeats))
    step = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
    folder.check_identity({"rows": len(rows), "data": digest(rows.lengths.tobytes()), "rows a step": step})
    _check_room(model, folder, recipe.keep)
    callbacks: list[TrainerCallback] = [ProgressLines(tell, step), LogFile(folder.log)]
    if recipe.show and shards_parameters():
        raise SettingsError(
            f"show={recipe.show} needs the whole model in one process; leave it out where it is sharded"
        )
    if recipe.show and watched is not None:
        shown = [watched[index][0] for index in range(0, len(watched), -(-len(watched) // recipe.show))]
        callbacks.append(SampleAnswers(shown, images, model, checkpoint, folder.path / "samples"))
    batches = -(-arguments.max_steps // objective.repeats)
    order = training_order(rows.lengths, step, batches, recipe.seed, group=recipe.group_by_length)
    options: dict[str, Any] = {
        "settings": settings,
        "folder": folder,
        "order": InOrder(order.reshape(batches, step).repeat(objective.repeats, axis=0).ravel()),
        "keep": recipe.keep,
        "keep_best": recipe.keep_best,
        "tell": tell,
        "rates": _rates(recipe),
        "args": arguments,
        "train_dataset": rows,
        "eval_dataset": watched,
        "callbacks": callbacks,
    }
    return objective.trainer(model, checkpoint, collator, options)


def _collator(
    recipe: TuningRecipe,
    folder: TrainingFolder,
    checkpoint: Checkpoint,
    data: tuple[Rows, Rows | None],
    tell: Tell,
) -> Collator:
    plain = Collator(checkpoint.processor, images_of(recipe), recipe.max_length)
    if not recipe.cache_features:
        return plain
    found = {rows[index][0].image for rows in data if rows is not None for index in range(len(rows))}
    names = sorted(name for name in found if name is not None)
    features = tower_features(checkpoint.model, names, plain.pixels, folder.path / "features.bin", tell)
    return FeatureCollator(plain.processor, plain.images, plain.max_length, features)


def taught(settings: Settings, name: str) -> Settings:
    """Return the settings of the tuned model.

    Dialect, angles, fit and trained wordings are those of the base. Its known names are no longer the base's lists but
    those of the training data, so any class and any object may be asked for. The base's calibration does not hold.
    """
    return replace(settings, name=name, categories=(), scene_classes=(), box_confidence=None)


def base_name(recipe: TuningRecipe) -> str:
    """Return the name of the base in an adapter: a bundled model's name, a folder's path, a hub id as given."""
    if recipe.model is None:
        return bundled_names()[0]
    folder = Path(recipe.model)
    return str(folder.resolve()) if folder.is_dir() else recipe.model


def _rates(recipe: TuningRecipe) -> Callable[[str], float]:
    """Return the learning rate of a parameter by its part of the model."""
    of_part = {"projector": recipe.projector_rate, "vision_tower": recipe.tower_rate}
    known = {PARTS[part]: rate for part, rate in of_part.items() if rate is not None}  # type: ignore[index]
    return lambda name: next((rate for prefix, rate in known.items() if f"{prefix}." in name), recipe.learning_rate)


def _check_room(model: Tuned, folder: TrainingFolder, keep: int) -> None:
    """Check before training that its checkpoints fit on the disk.

    Raises:
        TrainingError: They would not.
    """
    learnt = sum(p.numel() for p in model.parameters() if p.requires_grad)
    saved = learnt if hasattr(model, "peft_config") else sum(p.numel() for p in model.parameters())
    wanted = (keep + 1) * (4 * saved + 8 * learnt) + 4 * saved  # weights and Adam's two moments in float32
    free = shutil.disk_usage(folder.path).free
    if wanted > free:
        raise TrainingError(
            f"checkpoints take {wanted / 1e9:.1f} GB and {folder.path} has {free / 1e9:.1f} GB free; free space, lower "
            f"keep={keep} or choose another out"
        )
