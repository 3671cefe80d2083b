"""Adaptation: low-rank matrices added to frozen ones, or full training of parts of the model."""

import re
from collections.abc import Collection, Iterable
from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import LlavaForConditionalGeneration

from geochat.errors import SettingsError
from geochat_train.recipe import LoraRecipe, Part, TuningRecipe

PARTS: dict[Part, str] = {
    "language_model": "model.language_model",
    "projector": "model.multi_modal_projector",
    "vision_tower": "model.vision_tower",
}
_TOWER_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
Tuned = LlavaForConditionalGeneration | PeftModel


def adapt(model: LlavaForConditionalGeneration, recipe: TuningRecipe, base: str, said: Collection[int] = ()) -> Tuned:
    """Make the parts that a recipe names trainable, and freeze the rest.

    Low-rank matrices are added to the language model's `targets` and to all matrices of the tower's layers; the
    projector is small and fully tuned. So are the embeddings of some tokens if the recipe says so, for input and
    output: low-rank matrices alone rarely produce a word whose own row did not change. Trained weights are float32
    regardless of the precision of the frozen ones.

    Args:
        model: Changed in place.
        recipe: Recipe, which names the parts to adapt.
        base: Name of the base in the adapter.
        said: Tokens whose embeddings are tuned, by `answer_tokens` or `added_tokens`.

    Raises:
        SettingsError: No matrix has the name of a target.
    """
    if isinstance(recipe, LoraRecipe) and recipe.low_rank:
        tuned: Tuned = _with_adapters(model, recipe, base, said)
    else:
        model.requires_grad_(False)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(
                any(name.startswith(PARTS[part]) for part in recipe.adapt) or _is_head(name, recipe)
            )
        _freeze_unused(model)
        tuned = model
    for parameter in tuned.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return tuned


def _with_adapters(
    model: LlavaForConditionalGeneration, recipe: LoraRecipe, base: str, said: Collection[int]
) -> PeftModel:
    patterns = []
    if "language_model" in recipe.adapt:
        patterns.append(rf"{PARTS['language_model']}\..*\.{_any(recipe.targets)}")
    if "vision_tower" in recipe.adapt:
        used = _any(map(str, range(used_layers(model))))
        patterns.append(rf"{PARTS['vision_tower']}\..*layers\.{used}\..*\.{_any(_TOWER_TARGETS)}")
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    for target in recipe.targets if "language_model" in recipe.adapt else ():
        if not any(re.fullmatch(rf"{PARTS['language_model']}\..*\.{re.escape(target)}", name) for name in names):
            known = sorted({name.rpartition(".")[2] for name in names if name.startswith(PARTS["language_model"])})
            raise SettingsError(f"targets={target!r} is no matrix of the language model; it has {', '.join(known)}")
    whole = ["multi_modal_projector"] if "projector" in recipe.adapt else None
    if not patterns:  # the projector alone
        raise SettingsError(f"adapt={recipe.adapt} leaves LoRA nothing; run `geochat train projector`")
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules="|".join(patterns),
        modules_to_save=whole,
        trainable_token_indices=_token_rows(model, said) if said and tunes_tokens(recipe) else None,
    )
    tuned = get_peft_model(model, config)
    tuned.peft_config["default"].base_model_name_or_path = base
    return tuned


def tunes_tokens(recipe: LoraRecipe) -> bool:
    """Return whether token embeddings are tuned."""
    return recipe.answer_tokens or recipe.added_tokens


def tuned_tokens(recipe: TuningRecipe, said: Collection[int], tokenizer: Any) -> frozenset[int]:  # noqa: ANN401
    """Return the tokens whose embeddings a recipe tunes.

    Args:
        recipe: Recipe, which selects them.
        said: Tokens that the answers hold.
        tokenizer: Tokenizer with the added tokens.
    """
    if not isinstance(recipe, LoraRecipe):
        return frozenset()
    added = tokenizer.added_tokens_encoder.values() if recipe.added_tokens else ()
    return frozenset(said if recipe.answer_tokens else ()) | frozenset(added)


def _token_rows(model: LlavaForConditionalGeneration, said: Collection[int]) -> list[int] | dict[str, list[int]]:
    """Return the rows that PEFT trains: of the input embeddings, and of the output embeddings unless both are tied."""
    tokens = sorted(said)
    return tokens if model.config.tie_word_embeddings else {"embed_tokens": tokens, "lm_head": tokens}


def used_layers(model: LlavaForConditionalGeneration) -> int:
    """Return the tower's layers that affect its features; later ones get no gradient, which is an error in DDP."""
    vision: Any = model.config.vision_config
    count = int(vision.num_hidden_layers)
    layer = model.config.vision_feature_layer
    deepest = max(layer) if isinstance(layer, list) else layer  # hidden states; 0 is before the first layer
    return count + 1 + deepest if deepest < 0 else deepest


def _freeze_unused(model: LlavaForConditionalGeneration) -> None:
    used = used_layers(model)
    for name, parameter in model.named_parameters():
        if not name.startswith(PARTS["vision_tower"]):
            continue
        layer = re.search(r"layers\.(\d+)\.", name)
        if "post_layernorm" in name or (layer and int(layer[1]) >= used):
            parameter.requires_grad_(False)


def _is_head(name: str, recipe: TuningRecipe) -> bool:
    return name.startswith("lm_head") and "language_model" in recipe.adapt


def _any(names: Iterable[str]) -> str:
    return f"(?:{'|'.join(map(re.escape, names))})"
