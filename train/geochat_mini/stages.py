"""The losses of the three stages."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    CLIPModel,
    CLIPVisionModel,
    LlavaForConditionalGeneration,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from geochat_data.encoding import IGNORED
from geochat_mini import shape
from geochat_mini.auxiliary_heads import AuxiliaryHeads, Weights
from geochat_mini.number_tokens import nearly
from geochat_mini.pointing import pointing_loss
from geochat_mini.text_teacher import WIDTH as TEXT_VECTOR
from geochat_train.contrastive import contrastive_loss


def _eager_on_cpu(model: Any) -> None:  # noqa: ANN401 - any of transformers' models
    """Avoid fused attention on a CPU, where its backward pass takes a third of a step."""
    if not torch.cuda.is_available():
        model.set_attn_implementation("eager")


class Normalize(nn.Module):
    """Converts uint8 views (B, S, S, 3) to CLIP-normalised pixel values (B, 3, S, S), as letterboxing a square does."""

    mean: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", 255 * torch.tensor(CLIPImageProcessorPil.image_mean), persistent=False)
        self.register_buffer("spread", 255 * torch.tensor(CLIPImageProcessorPil.image_std), persistent=False)

    def forward(self, views: Tensor) -> Tensor:
        """Normalise."""
        return ((views.float() - self.mean) / self.spread).permute(0, 3, 1, 2)


class Pairing(nn.Module):
    """The dual encoder with the contrastive loss, its tower with the heads, its text tower with the text teacher.

    A temporary head predicts the text teacher's vectors; the teacher's similarities between phrases are targets for the
    text features themselves, which distinguish classes.
    """

    taught = 1.0  # weight of what the text teacher says
    likeness = 12.0  # its cosines are multiplied by this before their softmax

    def __init__(self, clip: CLIPModel, heads: AuxiliaryHeads) -> None:
        super().__init__()
        _eager_on_cpu(clip)
        self.clip = clip
        self.heads = heads
        self.meaning = nn.Linear(shape.WIDTH, TEXT_VECTOR)  # thrown away afterwards
        self.normalize = Normalize()

    def forward(
        self,
        views: Tensor,
        input_ids: Tensor,
        attention_mask: Tensor,
        *,
        phrase_ids: Tensor,
        phrase_mask: Tensor,
        phrase_vectors: Tensor,
        **targets: Tensor,
    ) -> dict[str, Tensor]:
        """Return the summed loss.

        Args:
            views: (B, S, S, 3).
            input_ids: (B, T), their texts.
            attention_mask: (B, T).
            phrase_ids: (B, P, U), other phrases.
            phrase_mask: (B, P, U).
            phrase_vectors: (B, P, 384), what the text teacher makes of them.
            targets: Targets of the heads.
        """
        seen = self.clip.vision_model(self.normalize(views))
        images = self.clip.visual_projection(seen.pooler_output).float()  # (B, D)
        texts = self._read(input_ids, attention_mask)  # (B, D)
        paired = contrastive_loss(images, texts, self.clip.logit_scale)
        losses = self.heads(seen.last_hidden_state[:, 1:], targets, Weights())
        meant = self._meaning(self._read(phrase_ids.flatten(0, 1), phrase_mask.flatten(0, 1)), phrase_vectors)
        return {"loss": paired + self.taught * meant + torch.stack(list(losses.values())).sum()}

    def _read(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        read = self.clip.text_model(input_ids=input_ids, attention_mask=attention_mask)
        features: Tensor = self.clip.text_projection(read.pooler_output)
        return features.float()

    def _meaning(self, features: Tensor, vectors: Tensor) -> Tensor:
        """Return the distance of phrases' features (K, D) from the teacher's vectors (B, P, 384) and similarities."""
        vectors = vectors.flatten(0, 1)
        away = 1 - functional.cosine_similarity(self.meaning(features).float(), vectors, dim=-1).mean()
        same = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
        features = functional.normalize(features, dim=-1)
        mine = (self.likeness * features @ features.T).masked_fill(same, -torch.inf)
        theirs = (self.likeness * vectors @ vectors.T).masked_fill(same, -torch.inf)
        logs = mine.log_softmax(-1).masked_fill(same, 0)
        return 4 * away - (theirs.softmax(-1) * logs).sum(-1).mean()


class Perception(nn.Module):
    """The tower at the chat's resolution and at half of it, with the heads, on all scenes.

    Half the resolution costs a quarter of the time, so that many more photographs are seen; scenes need no higher one.
    """

    def __init__(self, tower: CLIPVisionModel, heads: AuxiliaryHeads) -> None:
        super().__init__()
        self.tower = tower
        _eager_on_cpu(tower)
        self.heads = heads
        self.normalize = Normalize()

    def forward(self, views: Tensor, small_views: Tensor, **targets: Tensor) -> dict[str, Tensor]:
        """Return the loss of views (B, S, S, 3) and small ones (B, K, S/2, S/2, 3), whose targets begin "small_"."""
        small = {name: value.flatten(0, 1) for name, value in targets.items() if name.startswith("small_")}
        small = {name.removeprefix("small_"): value for name, value in small.items()}
        loss = self._loss(views, targets) + self._loss(small_views.flatten(0, 1), small)
        return {"loss": loss}

    def _loss(self, views: Tensor, targets: dict[str, Tensor]) -> Tensor:
        resized = views.shape[1] != self.tower.config.image_size
        seen = self.tower(self.normalize(views), interpolate_pos_encoding=resized)
        losses = self.heads(seen.last_hidden_state[:, 1:], targets, Weights(scene=2.0, box=1.0, small=0.5))
        return torch.stack(list(losses.values())).sum()


class Instruction(nn.Module):
    """Projector and language model on the assistant's text; the tower is frozen as in GeoChat.

    The loss of a nearly correct number is nearly that of the correct one; plain next-token loss would treat a
    coordinate that is off by one like one that is off by fifty.

    While a caption is written, the scene class must be predictable from the states before the last layer. Otherwise, if
    it is in doubt, classes with varied descriptions would lose, token by token, to those with uniform ones.

    Tokens not used in any answer so far weigh in the softmax but are not moved by it. Otherwise they would be pushed
    out of every answer alike, and their embeddings would become indistinguishable.
    """

    nearly: Tensor
    said: Tensor
    pointing = 0.5  # weight of the loss that shows where to look
    numbers = 2.0  # of a number's loss beside a word's
    legible = 0.5  # of the loss that keeps a caption to its scene
    _keys_to_ignore_on_save = ("chat.lm_head.weight",)  # tells the Trainer, on resuming, that its absence is meant

    def __init__(self, chat: LlavaForConditionalGeneration, numbers: list[int], scenes: int) -> None:
        super().__init__()
        _eager_on_cpu(chat)
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
        """Return the loss of packed turns about views.

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
        bias = torch.zeros_like(attention_mask, dtype=embeddings.dtype)  # eager attention adds its mask
        output = model.language_model(
            inputs_embeds=embeddings.masked_scatter(here, images),
            position_ids=position_ids,
            attention_mask=bias.masked_fill(~attention_mask, torch.finfo(bias.dtype).min),
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
        """Do nothing; the Trainer calls this on resuming."""
        self.chat.tie_weights()

    def _legible(self, states: Tensor, scenes: Tensor) -> Tensor:
        """Return the mean cross-entropy of the scene predicted from states (B, T, D) where it is known, (B, T)."""
        known = scenes != IGNORED
        logits = self.scene(functional.rms_norm(states[known], states.shape[-1:])).float()
        return functional.cross_entropy(logits, scenes[known], reduction="sum") / known.sum().clamp(min=1)

    def _loss(self, logits: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """Return the weighted mean over tokens of the loss of logits (K, V) against labels (K,)."""
        logs = logits.log_softmax(-1)
        number = (labels >= self.first) & (labels <= self.last)
        words = -logs[~number].gather(1, labels[~number][:, None])[:, 0] @ counts[~number]
        near = self.nearly[labels[number] - self.first]  # (K', numbers)
        numbers = -(near * logs[number][:, self.first : self.last + 1]).sum(-1) @ counts[number]
        return (words + self.numbers * numbers) / counts.sum().clamp(min=1)


def _without_tied_head(_: nn.Module, state: dict[str, Tensor], prefix: str, __: dict[str, Any]) -> None:
    """Remove the tied head, because safetensors refuses to write one tensor under two names."""
    del state[f"{prefix}chat.lm_head.weight"]
