"""The three training stages, all run by transformers' `Trainer`, which checkpoints and resumes them."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset
from transformers import (
    CLIPModel,
    CLIPVisionModel,
    LlavaForConditionalGeneration,
    Trainer,
    TrainingArguments,
    get_cosine_schedule_with_warmup,
    set_seed,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.trainer_utils import get_last_checkpoint

from geochat_data.encoding import IGNORED
from geochat_mini.auxiliary_heads import AuxiliaryHeads, Weights
from geochat_mini.number_tokens import nearly
from geochat_mini.pointing import pointing_loss
from geochat_train.contrastive import contrastive_loss

_LOG = logging.getLogger(__name__)
_SAVED = 100  # steps between checkpoints, some minutes


class Normalize(nn.Module):
    """uint8 views (B, S, S, 3) to CLIP-normalised pixel values (B, 3, S, S); what letterboxing does to a square."""

    mean: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", 255 * torch.tensor(CLIPImageProcessorPil.image_mean), persistent=False)
        self.register_buffer("spread", 255 * torch.tensor(CLIPImageProcessorPil.image_std), persistent=False)

    def forward(self, views: Tensor) -> Tensor:
        """Normalise."""
        return ((views.float() - self.mean) / self.spread).permute(0, 3, 1, 2)


class Pretraining(nn.Module):
    """Stage one: the dual encoder under the contrastive loss, its tower under the auxiliary heads as well."""

    def __init__(self, clip: CLIPModel, heads: AuxiliaryHeads) -> None:
        super().__init__()
        self.clip = clip
        self.heads = heads
        self.normalize = Normalize()

    def forward(self, views: Tensor, input_ids: Tensor, attention_mask: Tensor, **targets: Tensor) -> dict[str, Tensor]:
        """The summed loss of views (B, S, S, 3) and their texts (B, T)."""
        seen = self.clip.vision_model(self.normalize(views))
        read = self.clip.text_model(input_ids=input_ids, attention_mask=attention_mask)
        images = self.clip.visual_projection(seen.pooler_output).float()  # (B, D)
        texts = self.clip.text_projection(read.pooler_output).float()  # (B, D)
        paired = contrastive_loss(images, texts, self.clip.logit_scale)
        losses = self.heads(seen.last_hidden_state[:, 1:], targets, Weights())
        return {"loss": paired + torch.stack(list(losses.values())).sum()}


class Perception(nn.Module):
    """Stage two: the tower at the chat's resolution and at half of it, under the heads, on all scenes.

    Half the resolution costs a quarter, so that many more photographs are seen in the same time; scenes need no more.
    """

    def __init__(self, tower: CLIPVisionModel, heads: AuxiliaryHeads) -> None:
        super().__init__()
        self.tower = tower
        self.heads = heads
        self.normalize = Normalize()

    def forward(self, views: Tensor, small_views: Tensor, **targets: Tensor) -> dict[str, Tensor]:
        """The summed loss of views (B, S, S, 3) and small ones (B, K, S/2, S/2, 3), whose targets begin "small_"."""
        small = {name: value.flatten(0, 1) for name, value in targets.items() if name.startswith("small_")}
        small = {name.removeprefix("small_"): value for name, value in small.items()}
        loss = self._loss(views, targets) + self._loss(small_views.flatten(0, 1), small)
        return {"loss": loss}

    def _loss(self, views: Tensor, targets: dict[str, Tensor]) -> Tensor:
        resized = views.shape[1] != self.tower.config.image_size
        seen = self.tower(self.normalize(views), interpolate_pos_encoding=resized)
        losses = self.heads(seen.last_hidden_state[:, 1:], targets, Weights(box=1.0, small=0.5))
        return torch.stack(list(losses.values())).sum()


class Instruction(nn.Module):
    """Stage three: projector and language model on the assistant's words, the tower frozen as GeoChat's is.

    The loss of a number that is nearly right is nearly the loss of the right one; next-token loss alone would
    treat a coordinate that is off by one like one that is off by fifty.

    While a caption is written the scene class must stay legible in the states before the last layer. Where it is in
    doubt, classes that people describe in many ways would lose, token by token, to those described in one.

    Tokens that no answer has held so far weigh in the softmax but do not move for it. Pushed out of every answer alike,
    their embeddings would end up pointing one way, and nothing could tell them apart later.
    """

    nearly: Tensor
    said: Tensor
    pointing = 0.5  # weight of the loss that shows where to look
    numbers = 2.0  # of a number's loss beside a word's
    legible = 0.5  # of the loss that keeps a caption to its scene
    _keys_to_ignore_on_save = ("chat.lm_head.weight",)  # tells the Trainer, on resuming, that its absence is meant

    def __init__(self, chat: LlavaForConditionalGeneration, numbers: list[int], scenes: int) -> None:
        super().__init__()
        self.chat = chat
        self.scene = nn.Linear(chat.lm_head.in_features, scenes)  # thrown away afterwards
        nn.init.zeros_(self.scene.weight)  # until it has learnt something it must not pull at a model that goes on
        self.first, self.last = numbers[0], numbers[-1]  # ids of the numbers, which follow one another
        assert numbers == list(range(self.first, self.last + 1))
        self.normalize = Normalize()
        self.register_buffer("nearly", nearly(), persistent=False)
        self.register_buffer("said", torch.zeros(len(chat.lm_head.weight), dtype=torch.bool))
        chat.model.vision_tower.requires_grad_(False)
        self.register_state_dict_post_hook(_without_tied_head)  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor,
        *,
        position_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor,
        views: Tensor,
        weights: Tensor,
        described: Tensor,
        **points: Tensor,
    ) -> dict[str, Tensor]:
        """The loss of packed turns about views.

        Args:
            input_ids: (B, T).
            position_ids: (B, T).
            attention_mask: (B, 1, T, T), true where attention is allowed.
            labels: (B, T).
            views: (B, S, S, 3).
            weights: (B, T) of the labels.
            described: (B, T), the scene class where a caption's words are, -100 elsewhere.
            points: See `join`.
        """
        model = self.chat.model
        with torch.no_grad():
            patches = model.vision_tower(self.normalize(views)).last_hidden_state[:, 1:]  # (B, N, D)
        embeddings = self.chat.get_input_embeddings()(input_ids)  # (B, T, D)
        here = (input_ids == self.chat.config.image_token_id)[..., None].expand_as(embeddings)
        images = model.multi_modal_projector(patches).to(embeddings.dtype)
        output = model.language_model(
            inputs_embeds=embeddings.masked_scatter(here, images),
            position_ids=position_ids,
            attention_mask=attention_mask,
            use_cache=False,
            output_hidden_states=True,
        )
        wanted, counts = labels[:, 1:], weights[:, 1:]
        spoken = wanted != IGNORED
        self.said[wanted[spoken]] = True
        table: Tensor = self.chat.lm_head.weight
        table = torch.where(self.said[:, None], table, table.detach())
        logits = functional.linear(output.last_hidden_state[:, :-1][spoken], table).float()
        first = int(here[0, :, 0].int().argmax())
        image = slice(first, first + patches.shape[1])
        language, states = model.language_model, output.hidden_states
        shown = pointing_loss(language, states, position_ids, attention_mask, image=image, points=points)
        loss = self._loss(logits, wanted[spoken], counts[spoken]) + self.pointing * shown
        return {"loss": loss + self.legible * self._legible(states[-2][:, :-1], described[:, 1:])}

    def tie_weights(self) -> None:
        """Called by the Trainer on resuming."""
        self.chat.tie_weights()

    def _legible(self, states: Tensor, scenes: Tensor) -> Tensor:
        """Mean cross-entropy of the scene read off states (B, T, D) where it is known, (B, T)."""
        known = scenes != IGNORED
        logits = self.scene(functional.rms_norm(states[known], states.shape[-1:])).float()
        return functional.cross_entropy(logits, scenes[known], reduction="sum") / known.sum().clamp(min=1)

    def _loss(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Weighted mean over tokens of logits (K, V) against labels (K,)."""
        logs = logits.log_softmax(-1)
        number = (labels >= self.first) & (labels <= self.last)
        words = -logs[~number].gather(1, labels[~number][:, None])[:, 0] @ counts[~number]
        near = self.nearly[labels[number] - self.first]  # (K', numbers)
        numbers = -(near * logs[number][:, self.first : self.last + 1]).sum(-1) @ counts[number]
        return (words + self.numbers * numbers) / counts.sum().clamp(min=1)


def _without_tied_head(_: nn.Module, state: dict[str, Tensor], prefix: str, __: dict[str, Any]) -> None:
    """The head is the embedding table, and safetensors refuses to write one tensor under two names."""
    del state[f"{prefix}chat.lm_head.weight"]


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
    """Train `model` in place, going on from the last checkpoint in `folder` if there is one.

    Args:
        model: Returns a dict with `loss`.
        data: Its length is at least `steps` x `batch`; items depend on their index alone.
        folder: Where checkpoints and the log go.
        steps: Optimizer steps.
        batch: Images a step.
        rate: Peak learning rate.
        seed: Seeds everything.
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
    """Takes the items in order: they are already random, and each is a function of its index."""

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler[int]:  # noqa: ANN401
        data: Any = train_dataset or self.train_dataset
        return torch.utils.data.SequentialSampler(data)


def _groups(model: nn.Module) -> list[dict[str, Any]]:
    """The parameters that learn; vectors and embeddings do not decay."""
    decaying: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (decaying if parameter.ndim > 1 and "embed" not in name else rest).append(parameter)
    return [{"params": decaying, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}]
