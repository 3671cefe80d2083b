"""Tensors that a config requires: their names in every layout, a completeness check, and how each is made.

Names are the hub's names for LLaVA, also in written files, because vLLM accepts no others. A table of prefixes maps to
them from the original's names, from transformers' names in memory (which PEFT adapters use too), from a plain Llama's
and from a CLIP tower's. No two layouts use one prefix for different things, so the layout need not be known.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import LlavaConfig, LlavaForConditionalGeneration

from geochat.checkpoints.guards import guarded
from geochat.checkpoints.tensors import Reader, Stored, stored_tensors
from geochat.errors import CheckpointError

VISION = "vision_tower.vision_model."
PROJECTOR = "multi_modal_projector."
LANGUAGE = "language_model.model."
HEAD = "language_model.lm_head."

POSITIONS = f"{VISION}embeddings.position_embedding.weight"
EMBEDDINGS = f"{LANGUAGE}embed_tokens.weight"
OUTPUT = f"{HEAD}weight"

ORIGINAL_TOWER = "model.vision_tower.vision_tower."

_ORIGINAL = (
    (f"{ORIGINAL_TOWER}vision_model.", VISION),
    ("model.mm_projector.0.", f"{PROJECTOR}linear_1."),
    ("model.mm_projector.2.", f"{PROJECTOR}linear_2."),
)
_IN_MEMORY = (
    ("model.vision_tower.vision_model.", VISION),
    ("model.vision_tower.", VISION),
    ("model.multi_modal_projector.", PROJECTOR),
    ("model.language_model.", LANGUAGE),
)
_HUB = ((VISION, VISION), ("vision_tower.", VISION), (PROJECTOR, PROJECTOR), (LANGUAGE, LANGUAGE), (HEAD, HEAD))
_LLAMA = (("lm_head.", HEAD), ("model.", LANGUAGE))  # after the others, whose prefixes begin like these
_TOWER = (("vision_model.", VISION),)
_TABLE = _ORIGINAL + _IN_MEMORY + _HUB + _LLAMA + _TOWER

_COMPUTED = ("rotary_emb.inv_freq", "embeddings.position_ids")


def hub_name(name: str) -> str | None:
    """Return the hub name of a tensor named `name` in any layout; None if no layout has it."""
    for prefix, replacement in _TABLE:
        if name.startswith(prefix):
            return replacement + name.removeprefix(prefix)
    return None


def original_name(name: str) -> str:
    """Return the original's name of the tensor with this hub name."""
    for prefix, replacement in _ORIGINAL + _LLAMA:
        if name.startswith(replacement):
            return prefix + name.removeprefix(replacement)
    return name


def is_computed(name: str) -> bool:
    """Return whether the tensor follows from the config, so that only old checkpoints store it."""
    return name.endswith(_COMPUTED)


def quoted(names: list[str]) -> str:
    """Quote the first of `names` for a message, and count the rest."""
    return names[0] if len(names) == 1 else f"{names[0]} (and {len(names) - 1} more)"


Step = Callable[[Tensor], Tensor]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Recipe:
    """Rule that turns a stored tensor into one of the model.

    Attributes:
        stored: The stored tensor.
        shape: Shape of the result.
        steps: Changes to apply, in order.
    """

    stored: Stored
    shape: tuple[int, ...]
    steps: tuple[Step, ...] = ()

    def make(self, reader: Reader) -> Tensor:
        """Read the tensor and apply the steps; an unchanged tensor stays mapped from its file."""
        tensor = reader.read(self.stored)
        for step in self.steps:
            tensor = step(tensor)
        return tensor


@dataclass(frozen=True)
class Change:
    """A step that turns a stored tensor of one shape into the one the config requires.

    Attributes:
        before: The shape that must be stored.
        step: The step.
    """

    before: tuple[int, ...]
    step: Step


@dataclass(frozen=True)
class Contents:
    """The tensors of some files.

    Attributes:
        tensors: By the hub's name.
        dropped: Names of tensors that follow from the config or are not wanted.
    """

    tensors: dict[str, Stored]
    dropped: tuple[str, ...]


def expected_shapes(config: LlavaConfig) -> dict[str, tuple[int, ...]]:
    """Return hub name and shape of every tensor that the architecture in `config` needs; tied tensors once."""
    with torch.device("meta"):
        model = LlavaForConditionalGeneration(config)
    tied = set(model.all_tied_weights_keys)
    return {str(hub_name(n)): tuple(t.shape) for n, t in model.state_dict().items() if n not in tied}


def read_contents(files: Iterable[Path], wanted: Callable[[str], bool] = bool) -> Contents:
    """Read the tensors of the files, under their hub names.

    Args:
        files: Safetensors or PyTorch files.
        wanted: Names to take; the others are dropped.

    Raises:
        CheckpointError: A file cannot be read, a name belongs to no layout, or two tensors have one name.
    """
    tensors: dict[str, Stored] = {}
    dropped: list[str] = []
    for stored in (stored for file in files for stored in stored_tensors(file)):
        if is_computed(stored.name) or not wanted(stored.name):
            dropped.append(stored.name)
            continue
        name = hub_name(stored.name)
        if name is None:
            raise CheckpointError(f"{stored.file} holds the tensor {stored.name}, which no GeoChat layout has")
        if name in tensors:
            raise CheckpointError(f"{stored.file} holds {stored.name}, which {tensors[name].file} holds too")
        tensors[name] = stored
    return Contents(tensors, tuple(dropped))


def plan(
    config: LlavaConfig,
    tensors: Mapping[str, Stored],
    folder: Path,
    *,
    changes: Mapping[str, Change] | None = None,
    spell: Callable[[str], str] = str,
) -> dict[str, Recipe]:
    """Return a recipe for every tensor the architecture needs, in file order.

    Args:
        config: The architecture.
        tensors: Stored tensors by hub name; exactly those needed.
        folder: Folder named in messages.
        changes: Tensors that are stored otherwise than the model wants them.
        spell: Returns the name of a tensor in messages, from its hub name.

    Raises:
        CheckpointError: A tensor is missing, unexpected, not of floating point or of another shape; names it.
    """
    changes = changes or {}
    with guarded(folder / "config.json"):
        expected = expected_shapes(config)
    missing = sorted(set(expected) - set(tensors))
    if missing:
        names = quoted([spell(name) for name in missing])
        raise CheckpointError(f"{folder} lacks the tensor {names}; the copy is incomplete")
    optional = {OUTPUT}  # a tied output layer may be stored beside the embeddings it equals
    unexpected = sorted(stored.name for name, stored in tensors.items() if name not in expected.keys() | optional)
    if unexpected:
        raise CheckpointError(
            f"{folder} holds the unexpected tensor {quoted(unexpected)}; weights and config.json do not belong together"
        )
    recipes = {}
    for name, stored in tensors.items():
        if name not in expected:
            continue
        change = changes.get(name)
        _check(stored, change.before if change else expected[name])
        recipes[name] = Recipe(stored, expected[name], (change.step,) if change else ())
    return recipes


def _check(stored: Stored, shape: tuple[int, ...]) -> None:
    if stored.shape != shape:
        raise CheckpointError(
            f"{stored.file}: tensor {stored.name} has shape {stored.shape}, config.json calls for {shape}"
        )
    if stored.dtype not in DTYPES.values():
        raise CheckpointError(
            f"{stored.file}: tensor {stored.name} is of {stored.dtype}; give a checkpoint of {', '.join(DTYPES)}"
        )
