"""LoRA adapters: the original's and PEFT's own.

Both are folders with an `adapter_config.json`. PEFT adds two matrices to each adapted matrix W, and the model computes
W + B A · alpha / r (Hu et al. 2021, section 4.1), which is merged here in float32. The original stores other trained
weights in `non_lora_trainables.bin`. PEFT stores them in the adapter's own file, together with rows of single tokens if
their embeddings were trained. CLIP-tower weights saved by the original are dropped, as in the original itself, which
loads the tower from CLIP's weights afterwards.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geochat.checkpoints.layout import ORIGINAL_TOWER, Recipe, hub_name, quoted
from geochat.checkpoints.tensors import Reader, Stored, stored_tensors
from geochat.errors import CheckpointError
from geochat.models.objects import read_object

ADAPTER_CONFIG = "adapter_config.json"
_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
_BESIDE = "non_lora_trainables.bin"
_WRAPPING = "base_model.model."
_ROWS = ".token_adapter.trainable_tokens_delta"
_UNSUPPORTED = ("use_dora", "rank_pattern", "alpha_pattern", "layer_replication", "fan_in_fan_out", "lora_bias")


@dataclass(frozen=True)
class LowRank:
    """The step that merges one adapted matrix.

    Attributes:
        a: (r, in).
        b: (out, r).
        scale: alpha / r.
        reader: Reader of the two factors.
    """

    a: Stored
    b: Stored
    scale: float
    reader: Reader

    def __call__(self, weight: Tensor) -> Tensor:
        """W + B A · scale, (out, in), in float32."""
        update = self.reader.read(self.b).float() @ self.reader.read(self.a).float()
        return weight.float().add(update, alpha=self.scale)

    def __str__(self) -> str:
        return f"{self.a.file}: {self.a.name} {self.a.shape} and its lora_B {self.b.shape} adapt a matrix"

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Return whether the two factors fit a matrix of this shape."""
        return shape == (self.b.shape[0], self.a.shape[1]) and self.a.shape[0] == self.b.shape[1]


@dataclass(frozen=True)
class TokenRows:
    """The step that replaces the rows of some tokens in an embedding table or an output matrix.

    Attributes:
        tokens: K token ids.
        rows: (K, D).
        reader: Reader of the rows.
    """

    tokens: tuple[int, ...]
    rows: Stored
    reader: Reader

    def __call__(self, weight: Tensor) -> Tensor:
        """Return the table (V, D) with these rows, in float32."""
        return weight.float().index_copy(0, torch.tensor(self.tokens), self.reader.read(self.rows).float())

    def __str__(self) -> str:
        stored = self.rows
        return f"{stored.file}: {stored.name} {stored.shape} replaces the rows of {len(self.tokens)} tokens in a table"

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Return whether a table of this shape has these rows."""
        return self.rows.shape == (len(self.tokens), shape[-1]) and max(self.tokens, default=0) < shape[0]


@dataclass(frozen=True)
class Adapter:
    """Contents of an adapter folder.

    Attributes:
        folder: The folder.
        base: Base that it names, None if none.
        rank: Rows of each A, r.
        alpha: The numerator of the scale.
        files: Its weights files.
        merges: The step for each adapted matrix, by the hub's name.
        tokens: The step for each table in which tokens were trained, by the hub's name.
        overrides: Tensors that replace the base's, by the hub's name.
        dropped: Names of tensors of the CLIP tower that the original saved and never reads.
    """

    folder: Path
    base: str | None
    rank: int
    alpha: float
    files: tuple[Path, ...]
    merges: dict[str, LowRank]
    tokens: dict[str, TokenRows]
    overrides: dict[str, Stored]
    dropped: tuple[str, ...]

    @property
    def targets(self) -> tuple[str, ...]:
        """The last parts of the names of the adapted matrices, such as "q_proj"."""
        return tuple(sorted({name.removesuffix(".weight").rpartition(".")[2] for name in self.merges}))

    @property
    def parameters(self) -> int:
        """Number of the adapter's own weights."""
        halves = [half for step in self.merges.values() for half in (step.a, step.b)]
        rows = [step.rows for step in self.tokens.values()]
        return sum(math.prod(stored.shape) for stored in (*halves, *rows, *self.overrides.values()))

    def merged(self, recipes: Mapping[str, Recipe]) -> dict[str, Recipe]:
        """Return the recipes of the base with the adapter merged into them.

        Raises:
            CheckpointError: The adapter adapts a tensor that the base lacks, or has in another shape.
        """
        merged = dict(recipes)
        steps: list[tuple[str, LowRank | TokenRows]] = [*self.merges.items(), *self.tokens.items()]
        for name, step in steps:
            recipe = merged.get(name)
            if recipe is None or not step.fits(recipe.shape):
                has = "does not have" if recipe is None else f"has as {recipe.shape}"
                raise CheckpointError(f"{step} that the base {has}; give the base the adapter was trained on")
            merged[name] = replace(recipe, steps=(*recipe.steps, step))
        return merged


def read_adapter(folder: Path) -> Adapter:
    """Read the adapter in `folder` from the headers of its files.

    Raises:
        CheckpointError: A file is missing or damaged, or the adapter is of a kind that cannot be merged.
    """
    config = read_object(folder / ADAPTER_CONFIG)
    rank, alpha, scale = _scale(folder, config)
    files = [folder / name for name in (*_WEIGHTS, _BESIDE) if (folder / name).is_file()]
    if not any(file.name in _WEIGHTS for file in files):
        raise CheckpointError(f"{folder} holds no {' or '.join(_WEIGHTS)}; copy the adapter again")
    reader = Reader()
    halves: dict[str, dict[str, Stored]] = {"lora_A": {}, "lora_B": {}}
    tokens: dict[str, TokenRows] = {}
    overrides: dict[str, Stored] = {}
    dropped: list[str] = []
    for stored in (stored for file in files for stored in stored_tensors(file)):
        inner = _unwrapped(stored.name)
        module = inner.removesuffix(_ROWS)
        half = next((half for half in halves if f".{half}." in inner), None)
        name = hub_name(inner.replace(f".{half}.", ".") if half else inner.replace(_ROWS, ".weight"))
        if inner.startswith(ORIGINAL_TOWER):
            dropped.append(stored.name)
        elif name is None or "lora_" in name:
            raise CheckpointError(f"{stored.file} holds the unexpected tensor {stored.name}; it is not a plain LoRA")
        elif module != inner:
            tokens[name] = TokenRows(_tokens(folder, config, module), stored, reader)
        else:
            (halves[half] if half else overrides)[name] = stored
    merges = _merges(halves["lora_A"], halves["lora_B"], scale, reader)
    base = config.get("base_model_name_or_path")
    if not isinstance(base, str | None):
        raise CheckpointError(f"{folder / ADAPTER_CONFIG} has base_model_name_or_path={base!r}, expected a name")
    return Adapter(folder, base, rank, alpha, tuple(files), merges, tokens, overrides, tuple(dropped))


def _merges(a: dict[str, Stored], b: dict[str, Stored], scale: float, reader: Reader) -> dict[str, LowRank]:
    single = sorted(stored.name for name, stored in (a | b).items() if name not in a.keys() & b.keys())
    if single:
        raise CheckpointError(f"the adapter holds {quoted(single)} without its other half; copy it again")
    return {name: LowRank(a[name], b[name], scale, reader) for name in a}


def _tokens(folder: Path, config: dict[str, Any], module: str) -> tuple[int, ...]:
    """Return the ids of the trained tokens: one list, or one per layer by the end of its name."""
    found = config.get("trainable_token_indices")
    if isinstance(found, dict):
        found = next((ids for layer, ids in found.items() if module.endswith(layer)), None)
    if not isinstance(found, list) or not all(isinstance(token, int) and token >= 0 for token in found):
        raise CheckpointError(
            f"{folder / ADAPTER_CONFIG} has trainable_token_indices={found!r}, which does not say whose rows {module} "
            "holds; copy the adapter again"
        )
    return tuple(found)


def _unwrapped(name: str) -> str:
    """Return a tensor's name in the base: PEFT wraps a model twice, and DeepSpeed's saving may unwrap it once."""
    inner = name.removeprefix(_WRAPPING) if name.startswith(_WRAPPING) else name.removeprefix("base_model.")
    return inner.replace(".modules_to_save.default.", ".").replace(".base_layer.", ".")


def _scale(folder: Path, config: dict[str, Any]) -> tuple[int, float, float]:
    """Return rank r, alpha, and alpha / r, or alpha / √r for rank-stabilised LoRA (Kalajdzievski 2023)."""
    kind = str(config.get("peft_type"))
    if kind != "LORA":
        raise CheckpointError(f"{folder} is a {kind} adapter; only LoRA can be merged")
    odd = [name for name in _UNSUPPORTED if config.get(name)]
    if config.get("bias", "none") != "none":
        odd.append("bias")
    if config.get("init_lora_weights", True) not in (True, False, "gaussian"):
        odd.append("init_lora_weights")  # the others change the base's weights too
    if odd:
        raise CheckpointError(f"{folder} has {odd[0]}={config[odd[0]]!r}, which cannot be merged; merge it with PEFT")
    try:
        rank, alpha = int(config["r"]), float(config["lora_alpha"])
        scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise CheckpointError(f"{folder / ADAPTER_CONFIG} has no usable r and lora_alpha: {error!r}") from error
    if not math.isfinite(scale):
        raise CheckpointError(f"{folder / ADAPTER_CONFIG} has r={rank} and lora_alpha={alpha}; copy the adapter again")
    return rank, alpha, scale
