"""A run of contrastive training, from its recipe to the dual encoder."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor, nn
from transformers import (
    CLIPModel,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from geochat.checkpoints.loading import quiet
from geochat.clip import DualEncoder, save_encoder
from geochat.errors import SettingsError
from geochat_train.contrastive.loss import clamp_scale, contrastive_loss
from geochat_train.contrastive.pairs import PairCollator, Pairs, read_pairs
from geochat_train.loop import (
    InOrder,
    LogFile,
    ProgressLines,
    SafeTrainer,
    Tell,
    TrainingFolder,
    needed,
    opened_run,
    training_arguments,
    training_order,
)
from geochat_train.loop.arguments import checkpoint_activations, steps_of
from geochat_train.loop.folder import digest
from geochat_train.recipe import ClipRecipe

_RESULT = "config.json"


@dataclass(frozen=True)
class Contrasted:
    """Result of a contrastive run.

    Attributes:
        folder: The dual encoder, as transformers' CLIPModel.
        steps: Optimizer steps, those of earlier starts included.
        loss: The last logged training loss, None if none was.
        scale: Current factor of the cosines.
        seconds: Time of this start.
    """

    folder: Path
    steps: int
    loss: float | None
    scale: float
    seconds: float


class ContrastiveTrainer(SafeTrainer):
    """Trains a dual encoder on pairs.

    Args:
        encoder: The one that is trained; its model is `model`.
        options: As `SafeTrainer`.
    """

    def __init__(self, *, encoder: DualEncoder, **options: Any) -> None:  # noqa: ANN401 - Trainer's own
        super().__init__(model=encoder.model, **options)
        self._encoder = encoder

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:  # noqa: ANN401 - Trainer's signature
        """Compute the contrastive loss over the batches of all processes."""
        out = model(**inputs)
        log_scale: Tensor = self.accelerator.unwrap_model(model).logit_scale
        loss = contrastive_loss(out.image_embeds.float(), out.text_embeds.float(), log_scale.float())
        return (loss, out) if return_outputs else loss

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], *_arguments: object, **_options: object
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Compute the loss only; `Trainer` expects labels."""
        with torch.no_grad():
            loss: Tensor = self.compute_loss(model, self._prepare_inputs(inputs))
        return loss.detach(), None, None

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        if self.args.should_save:
            assert output_dir is not None
            Path(output_dir).mkdir(parents=True, exist_ok=True)
            with quiet():
                save_encoder(self._encoder, Path(output_dir))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        learner = self.accelerator.unwrap_model(model or self.model)
        with quiet():
            saved = CLIPModel.from_pretrained(
                resume_from_checkpoint, dtype=torch.float32, trust_remote_code=False, local_files_only=True
            )
        learner.load_state_dict(saved.state_dict())


class _Clamp(TrainerCallback):
    """Clamps the temperature after every step."""

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,  # noqa: ANN401 - wrapped or not
        **kwargs: object,
    ) -> None:
        clamp_scale(getattr(model, "module", model).logit_scale)


def contrast(recipe: ClipRecipe, *, restart: bool = False, tell: Tell = lambda _: None) -> Contrasted:
    """Train a dual encoder, resuming from the last checkpoint of an interrupted run.

    Raises:
        SettingsError: Settings contradict each other or the run in the folder, or the model is no CLIP.
        DataError: The data cannot be used.
        CheckpointError: There is no such model.
        TrainingError: Memory or disk are exhausted, or the loss is no number.
    """
    began = time.monotonic()
    data = needed(recipe, "data")
    with opened_run(recipe, restart=restart) as (folder, state):
        encoder = _encoder(recipe, state)
        pairs = read_pairs(data, recipe.images or data.parent, recipe.split)
        tell(f"{len(pairs)} images; {pairs.report}")
        watched = None
        if recipe.validation is not None:
            folder_of_images = recipe.images or recipe.validation.parent
            watched = read_pairs(recipe.validation, folder_of_images, recipe.validation_split)
        trainer = _trainer(recipe, folder, encoder, (pairs, watched), tell)
        trainer.go_on()
        trainer.publish(_RESULT)
    scale = float(encoder.model.logit_scale.detach().exp())
    return Contrasted(folder.out, trainer.args.max_steps, trainer.last_logged("loss"), scale, time.monotonic() - began)


def _encoder(recipe: ClipRecipe, state: PartialState) -> DualEncoder:
    encoder = DualEncoder.from_pretrained(recipe.model, device=str(state.device), dtype="float32")
    model = encoder.model
    if not isinstance(model, CLIPModel):
        raise SettingsError(f"model={recipe.model} is a {type(model).__name__}; the contrastive loss here is CLIP's")
    if recipe.scratch:
        fresh = CLIPModel(model.config)
        model.load_state_dict(fresh.state_dict())
    if recipe.gradient_checkpointing:
        checkpoint_activations(model)
    nn.Module.train(model).requires_grad_(requires_grad=True)
    return encoder


def _trainer(
    recipe: ClipRecipe, folder: TrainingFolder, encoder: DualEncoder, data: tuple[Pairs, Pairs | None], tell: Tell
) -> ContrastiveTrainer:
    pairs, watched = data
    arguments = training_arguments(recipe, folder, steps_of(recipe, len(pairs)))
    step = recipe.batch_size * arguments.world_size
    if len(pairs) < step:
        raise SettingsError(f"batch_size={recipe.batch_size} is more than there are images ({len(pairs)}); lower it")
    content = "\n".join(f"{path} {said}" for path, said in zip(pairs.images, pairs.captions, strict=True))
    folder.check_identity({"rows": len(pairs), "data": digest(content.encode()), "rows a step": step})
    alike = torch.ones(len(pairs), dtype=torch.int32).numpy()
    order = training_order(alike, step, arguments.max_steps, recipe.seed, group=False)
    return ContrastiveTrainer(
        encoder=encoder,
        folder=folder,
        order=InOrder(pairs.in_turn(order)),
        keep=recipe.keep,
        keep_best=recipe.keep_best,
        tell=tell,
        args=arguments,
        train_dataset=pairs,
        eval_dataset=watched,
        data_collator=PairCollator(encoder),
        callbacks=[ProgressLines(tell, step), LogFile(folder.log), _Clamp()],
    )
