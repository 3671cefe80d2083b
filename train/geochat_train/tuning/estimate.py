"""Estimate of memory and steps of a run, without loading weights.

The model is built of fake tensors, which have shapes but no memory, and adapted as in the run; one batch is passed
through it, and the tensors that autograd keeps for the backward pass are counted. This works for any architecture,
adapter, precision and attention, unlike a formula. Temporary buffers and the framework itself, about 0.5 GB on CUDA,
are not counted.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from peft import PeftModel
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

from geochat.checkpoints.loading import NOT_QUANTIZED
from geochat.checkpoints.sources import recognise
from geochat.models import bundled_path
from geochat_train.loop.arguments import in_bfloat16, steps_of
from geochat_train.recipe import TuningRecipe
from geochat_train.tuning.adapting import PARTS, Tuned, adapt, tuned_tokens
from geochat_train.tuning.rows import read_rows

_GB = 1e9
_NF4 = 0.5 + 0.127 / 8  # bytes a weight with its share of doubly quantised constants (Dettmers et al. 2023, section 3)
_LEARNT = 0.25  # share of a row's text that is answers, where there is no data to count


@dataclass(frozen=True)
class Memory:
    """Gigabytes (10^9 bytes) in one process.

    Attributes:
        weights: The model's own.
        adapters: Adapters added to it.
        gradients: Gradients of what is learnt.
        optimizer: Its state.
        activations: Memory for the backward pass of one batch of the longest rows.
    """

    weights: float
    adapters: float
    gradients: float
    optimizer: float
    activations: float

    @property
    def total(self) -> float:
        """Sum of all parts."""
        return self.weights + self.adapters + self.gradients + self.optimizer + self.activations


@dataclass(frozen=True)
class Estimate:
    """Estimated cost of a run.

    Attributes:
        architecture: Whose shapes were taken.
        trainable_parameters: Number of trainable parameters.
        total_parameters: Total number of parameters, adapters included.
        rows: Rows of the data, None without data.
        tokens_per_sample: Their mean length; without data the longest allowed.
        steps: Optimizer steps, None where they depend on data that is not given.
        memory_gb: In one process, unsharded.
    """

    architecture: str
    trainable_parameters: int
    total_parameters: int
    rows: int | None
    tokens_per_sample: float
    steps: int | None
    memory_gb: Memory

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as JSON-ready values."""
        memory = {name: round(value, 3) for name, value in asdict(self.memory_gb).items()}
        return {**asdict(self), "memory_gb": {**memory, "total": round(self.memory_gb.total, 3)}}

    def __str__(self) -> str:
        lines = {
            "architecture": self.architecture,
            "trainable parameters": f"{self.trainable_parameters:,} of {self.total_parameters:,}",
            "rows": "unknown" if self.rows is None else f"{self.rows:,}",
            "tokens a row": f"{self.tokens_per_sample:.0f}",
            "steps": "unknown" if self.steps is None else f"{self.steps:,}",
            "memory": f"{self.memory_gb.total:.2f} GB in one process, unsharded",
        }
        parts = {f"  {name}": f"{value:.2f} GB" for name, value in asdict(self.memory_gb).items()}
        return "\n".join(f"{name:<22}{value}" for name, value in {**lines, **parts}.items())


def estimate(recipe: TuningRecipe) -> Estimate:
    """Estimate the cost of a run of `recipe`.

    A hub id that is not in the local cache is not downloaded; the published GeoChat-7B's shapes are used instead.

    Raises:
        SettingsError: Settings contradict each other.
        DataError: Samples or images cannot be used.
        CheckpointError: The model's folder is damaged.
    """
    config, processor, name = _architecture(recipe)
    rows = None
    if recipe.data is not None and processor is not None:
        rows = read_rows(
            recipe.data, recipe.images, processor, max_length=recipe.max_length, share_images=recipe.share_images
        )
    longest = recipe.max_length if rows is None else int(rows.lengths.max())
    longest += recipe.sampled_tokens
    with torch.device("meta"):
        model = LlavaForConditionalGeneration(config)
        if in_bfloat16(recipe):
            nn.Module.to(model, torch.bfloat16)
        said = () if rows is None else rows.said
        tokens = said if processor is None else tuned_tokens(recipe, said, processor.tokenizer)
        tuned = adapt(model, recipe, "", tokens)
    with FakeTensorMode(allow_non_fake_inputs=True):
        _make_fake(tuned)
        activations = _activations(tuned, model, recipe, longest)
    learnt = sum(p.numel() for p in tuned.parameters() if p.requires_grad)
    bytes_a_weight = 2 if in_bfloat16(recipe) else 4
    added = learnt if isinstance(tuned, PeftModel) else 0
    memory = Memory(
        weights=_weights(config, recipe, bytes_a_weight, learnt - added) / _GB,
        adapters=4 * added / _GB,
        gradients=4 * learnt / _GB,
        optimizer=(2 if recipe.optimizer == "paged_adamw_8bit" else 8) * learnt / _GB,
        activations=activations / _GB,
    )
    steps = recipe.steps if rows is None else steps_of(recipe, len(rows))
    total = sum(p.numel() for p in tuned.parameters())
    mean = float(longest if rows is None else rows.lengths.mean())
    return Estimate(name, learnt, total, None if rows is None else len(rows), round(mean, 1), steps, memory)


def published_config() -> LlavaConfig:
    """Return the architecture of GeoChat-7B (Kuckreja et al. 2024, section 3.2)."""
    tower: dict[str, Any] = {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
    }
    return LlavaConfig(
        vision_config=CLIPVisionConfig(image_size=504, patch_size=14, **tower),
        text_config=LlamaConfig(vocab_size=32064, hidden_size=4096, intermediate_size=11008, num_hidden_layers=32),
        image_token_index=32000,
        image_seq_length=1296,
        vision_feature_layer=-2,
    )


def _architecture(recipe: TuningRecipe) -> tuple[LlavaConfig, LlavaProcessor | None, str]:
    source: str | Path = bundled_path() if recipe.model is None else recipe.model
    if not Path(source).is_dir():
        try:
            source = snapshot_download(str(source), local_files_only=True)
        except (LocalEntryNotFoundError, HFValidationError):
            return published_config(), None, f"GeoChat-7B's shapes, as {source} is not here"
    found = recognise(source)
    return found.config, found.processor(), str(recipe.model or found.settings.name)


def _weights(config: LlavaConfig, recipe: TuningRecipe, width: int, tuned_in_place: int) -> float:
    """Return the bytes of the model's own weights."""
    with torch.device("meta"):
        model = LlavaForConditionalGeneration(config)
    total = sum(p.numel() for p in model.parameters())
    if not recipe.four_bit:
        return width * (total - tuned_in_place) + 4 * tuned_in_place
    quantised = sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not name.startswith(NOT_QUANTIZED)
    )
    return _NF4 * quantised + width * (total - quantised)


def _make_fake(model: nn.Module) -> None:
    """Replace meta tensors with fake tensors, for which PyTorch selects the kernels of a CPU."""
    fakes: dict[int, Tensor] = {}
    for module in model.modules():
        for store in (module._parameters, module._buffers):
            for name, tensor in store.items():
                if tensor is not None and id(tensor) not in fakes:
                    fake = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
                    is_parameter = isinstance(tensor, nn.Parameter)
                    fakes[id(tensor)] = nn.Parameter(fake, tensor.requires_grad) if is_parameter else fake
                if tensor is not None:
                    store[name] = fakes[id(tensor)]  # type: ignore[assignment]


def _activations(tuned: Tuned, model: LlavaForConditionalGeneration, recipe: TuningRecipe, tokens: int) -> float:
    """Return the bytes that autograd keeps for one batch of rows of `tokens` tokens."""
    config: Any = model.config
    vision, text, batch = config.vision_config, config.get_text_config(), recipe.batch_size
    learnt = recipe.sampled_tokens or max(1, round(_LEARNT * (tokens - config.image_seq_length)))
    own = {parameter.untyped_storage()._cdata for parameter in tuned.parameters()}
    kept: dict[int, Any] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage  # held, so that no other takes its place
        return tensor

    def size() -> int:
        return sum(storage.nbytes() for storage in kept.values())

    tuned.train()
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=in_bfloat16(recipe)),
    ):
        pixels = torch.empty(batch, 3, vision.image_size, vision.image_size)
        features = model.model.get_image_features(pixel_values=pixels, return_dict=True).pooler_output
        in_tower = size()
        embeddings = torch.empty(batch, tokens, text.hidden_size, requires_grad=bool(in_tower))
        read = model.model.language_model(inputs_embeds=embeddings, use_cache=False).last_hidden_state
        in_language = size() - in_tower
        logits = model.lm_head(read[:, :learnt]).float()
        loss = functional.cross_entropy(logits.flatten(0, 1), torch.zeros(batch * learnt, dtype=torch.long))
    del features, loss
    if not recipe.gradient_checkpointing:
        return size()
    width = 2 if in_bfloat16(recipe) else 4
    inputs = width * batch * tokens * text.hidden_size * text.num_hidden_layers
    once: float = in_language / text.num_hidden_layers  # of the layer that is computed again
    if any(name.startswith(PARTS["vision_tower"]) for name in _learnt_names(model)):
        patches = batch * (vision.image_size // vision.patch_size) ** 2
        inputs += width * patches * vision.hidden_size * vision.num_hidden_layers
    else:
        inputs += in_tower  # of the projector, which is not computed again
    needed: float = inputs + once + size() - in_tower - in_language
    return needed


def _learnt_names(model: LlavaForConditionalGeneration) -> list[str]:
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]
