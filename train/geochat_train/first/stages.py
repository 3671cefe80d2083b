"""The two training stages, both run by transformers' `Trainer`, which checkpoints and resumes them."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset
from transformers import (
    CLIPVisionModel,
    LlavaForConditionalGeneration,
    Trainer,
    TrainingArguments,
    get_cosine_schedule_with_warmup,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint

from geochat_train.first.dense import TutorHeads
from geochat_train.first.places import centers

_LOG = logging.getLogger(__name__)
_LOSS_WEIGHTS = {"scene": 1.0, "category": 1.0, "geometry": 1.0}


class TutoredTower(nn.Module):
    """Stage one: the vision tower under its tutor heads."""

    def __init__(self, tower: CLIPVisionModel, heads: TutorHeads) -> None:
        super().__init__()
        self.tower = tower
        self.heads = heads

    def forward(self, pixel_values: Tensor, **targets: Tensor) -> dict[str, Tensor]:
        """The weighted loss, and its parts, of images (B, 3, S, S)."""
        patches = self.tower(pixel_values).last_hidden_state[:, 1:]  # (B, N, D)
        parts = self.heads(patches, targets)
        return {"loss": _weighted(parts)}


class TutoredChat(nn.Module):
    """Stages two and three: next-token loss on the assistant's words, the tutor heads still looking on.

    Next-token loss alone treats a coordinate that is off by one like one that is off by fifty. Stage three adds the
    distance between a coordinate and the mean of the distribution the model gives it. Nor does anything so far ask a
    patch token where it is: the dense boxes are relative to it, and the language model's rotary positions count from
    the question's end. Stage three has each patch token name its own place.
    """

    _keys_to_ignore_on_save = ("chat.lm_head.weight",)  # tells the Trainer, on resuming, that its absence is meant

    def __init__(
        self, chat: LlavaForConditionalGeneration, heads: TutorHeads, numbers: list[int], *, tutoring: float
    ) -> None:
        super().__init__()
        self.chat = chat
        self.heads = heads
        self.numbers = numbers  # ids of <0>..<100>
        self.tutoring = tutoring
        self.distance = 0.0
        self.place: nn.Linear | None = None
        self.register_state_dict_post_hook(_without_tied_head)  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor,
        position_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor,
        pixel_values: Tensor,
        **targets: Tensor,
    ) -> dict[str, Tensor]:
        """The summed loss of packed turns (B, T), mask (B, 1, T, T), about images (B, 3, S, S)."""
        patches = self.chat.model.vision_tower(pixel_values).last_hidden_state[:, 1:]  # (B, N, D)
        embeddings = self.chat.get_input_embeddings()(input_ids)  # (B, T, D')
        here = (input_ids == self.chat.config.image_token_id)[..., None].expand_as(embeddings)
        embeddings = embeddings.masked_scatter(here, self.chat.model.multi_modal_projector(patches))
        said = self.chat(
            inputs_embeds=embeddings, position_ids=position_ids, attention_mask=attention_mask, labels=labels
        )
        loss = said.loss + self.tutoring * _weighted(self.heads(patches, targets))
        if self.place is not None:
            loss = loss + self.tutoring * functional.smooth_l1_loss(
                self.place(self.heads.norm(patches)), centers(patches.shape[1]).expand(len(patches), -1, -1), beta=0.1
            )
        if self.distance:
            loss = loss + self.distance * self._distance(said.logits[:, :-1], labels[:, 1:])
        return {"loss": loss}

    def tie_weights(self) -> None:
        """Called by the Trainer on resuming."""
        self.chat.tie_weights()

    def _distance(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean distance, as a share of the frame, of coordinate labels (B, T) from the mean logits (B, T, V) give."""
        ids = torch.tensor(self.numbers)
        values = torch.linspace(0, 1, len(ids))
        is_number = torch.isin(labels, ids)
        expected = logits[is_number][:, ids].softmax(-1) @ values  # (N,)
        true = values[torch.searchsorted(ids, labels[is_number])]
        return functional.smooth_l1_loss(expected, true, beta=0.02) if len(true) else logits.sum() * 0


def _without_tied_head(_: nn.Module, state: dict[str, Tensor], prefix: str, __: dict[str, Any]) -> None:
    """The head is the embedding table, and safetensors refuses to write one tensor under two names."""
    del state[f"{prefix}chat.lm_head.weight"]


def _weighted(parts: dict[str, Tensor]) -> Tensor:
    return torch.stack([_LOSS_WEIGHTS[name] * part for name, part in parts.items()]).sum()


def run_stage(
    model: nn.Module,
    data: Dataset[Any],
    folder: Path,
    *,
    steps: int,
    schedule: int,
    batch: int,
    rates: dict[str, float],
    seed: int,
    collate: Callable[[list[Any]], dict[str, Tensor]] | None = None,
) -> None:
    """Train `model` in place, going on from the last checkpoint in `folder` if there is one.

    Args:
        model: Returns a dict with `loss`.
        data: Its length is at least `steps` x `batch`; items depend on their index alone.
        folder: Where checkpoints and the log go.
        steps: Optimizer steps.
        schedule: Steps over which the learning rate follows its cosine to zero; more than `steps` leaves it early.
        batch: Images a step.
        rates: Peak learning rate by prefix of the parameter's name; "" is the rest.
        seed: Seeds everything.
        collate: Makes a batch; None stacks dictionaries of tensors.
    """
    set_seed(seed)
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=batch,
        logging_steps=50,
        save_steps=250,
        save_total_limit=1,
        dataloader_num_workers=1,
        dataloader_prefetch_factor=4,
        remove_unused_columns=False,
        report_to=[],
        disable_tqdm=True,
        seed=seed,
        use_cpu=not torch.cuda.is_available(),
    )
    optimizer = torch.optim.AdamW(_groups(model, rates), betas=(0.9, 0.98))
    rate = get_cosine_schedule_with_warmup(optimizer, min(200, schedule // 10), schedule)
    trainer = _InOrder(
        model=model, args=arguments, train_dataset=data, data_collator=collate, optimizers=(optimizer, rate)
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


def _groups(model: nn.Module, rates: dict[str, float]) -> list[dict[str, Any]]:
    """Parameters by learning rate, the longest matching prefix deciding; no decay on vectors and embeddings."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        prefix = max((p for p in rates if name.startswith(p)), key=len)
        decays = parameter.ndim > 1 and "embed" not in name
        groups.setdefault((rates[prefix], decays), []).append(parameter)
    return [{"params": p, "lr": rate, "weight_decay": 0.05 * decays} for (rate, decays), p in groups.items()]
