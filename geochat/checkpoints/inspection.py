"""Description of a checkpoint, and the memory it needs, from its config and headers alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import Path

from geochat.checkpoints.layout import HEAD, LANGUAGE, PROJECTOR, VISION, Recipe
from geochat.checkpoints.sources import Source, recognise
from geochat.models import SETTINGS_FILE, Settings, bundled_path, weights_sha256

_PARTS = {"tower": (VISION,), "projector": (PROJECTOR,), "language_model": (LANGUAGE, HEAD)}
_NF4_BLOCK = 64  # weights that share one float32 scale (Dettmers et al. 2023)


@dataclass(frozen=True)
class Part:
    """A part of a model.

    Attributes:
        parameters: Number of weights.
        size: Bytes they take in the files.
    """

    parameters: int
    size: int


@dataclass(frozen=True)
class ModelDescription:
    """A checkpoint that is inspected but not loaded.

    Attributes:
        source: Its architecture, tensors, settings and files.
        kind: "native", or "converted on load".
        tower: The CLIP vision tower.
        projector: The two layers between tower and language model.
        language_model: Embeddings, layers and output layer.
        memory: Bytes of the loaded weights in each precision: "float32", "bfloat16", "8bit", "4bit". The key/value
            cache and activations come on top.
    """

    source: Source = field(repr=False)
    kind: str
    tower: Part
    projector: Part
    language_model: Part
    memory: dict[str, int]

    @property
    def settings(self) -> Settings:
        """The contents of `geochat.json`, including the licence."""
        return self.source.settings

    @property
    def licence(self) -> str:
        """Licence of the checkpoint; for an adapter without its own, "unstated" and that of its base."""
        base = self.source.base
        if base is None:
            return self.settings.licence
        own = (self.source.folder / SETTINGS_FILE).is_file() and self.settings.licence
        if own and own not in (base.settings.licence, "unstated"):
            return own
        return f"unstated; base: {base.settings.licence}"

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return self.tower.parameters + self.projector.parameters + self.language_model.parameters

    @cached_property
    def sha256(self) -> str:
        """Hex digest over the weights files in order; computed on first use."""
        return weights_sha256(self.source.files)


def describe(
    source: str | Path | None = None, *, base: str | Path | None = None, allow_download: bool = False
) -> ModelDescription:
    """Describe a checkpoint of any kind, checking that every tensor is there.

    Args:
        source: A directory or a hub id; None is the bundled model.
        base: Base of an adapter; None uses the base that it names.
        allow_download: Whether what a local folder names, a base or a vision tower, may be downloaded.

    Raises:
        CheckpointError: There is no such checkpoint, or it is incomplete, damaged or unknown.
    """
    found = recognise(bundled_path() if source is None else source, base=base, allow_download=allow_download)
    parts = {part: _part(found.recipes, prefixes) for part, prefixes in _PARTS.items()}
    memory = memory_needed({name: recipe.shape for name, recipe in found.recipes.items()})
    kind = "native" if found.native else "converted on load"
    return ModelDescription(found, kind, **parts, memory=memory)


def _part(recipes: dict[str, Recipe], prefixes: tuple[str, ...]) -> Part:
    own = [recipe for name, recipe in recipes.items() if name.startswith(prefixes)]
    parameters = sum(prod(recipe.shape) for recipe in own)
    return Part(parameters, sum(recipe.stored.nbytes for recipe in own))


def memory_needed(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Return the bytes of loaded weights, by precision.

    Args:
        shapes: Shapes of every tensor, by the hub's name.
    """
    total = sum(prod(shape) for shape in shapes.values())
    linear = [shape for name, shape in shapes.items() if name.startswith(f"{LANGUAGE}layers.") and len(shape) == 2]
    quantized = sum(prod(shape) for shape in linear)
    rest = 2 * (total - quantized)
    return {
        "float32": 4 * total,
        "bfloat16": 2 * total,
        "8bit": rest + quantized + 4 * sum(shape[0] for shape in linear),  # a float32 scale for each row
        "4bit": rest + quantized // 2 + 4 * quantized // _NF4_BLOCK,
    }
