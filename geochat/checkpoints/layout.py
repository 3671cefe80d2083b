"""Tensor names on disk, and the check that a checkpoint holds exactly the tensors its config calls for.

Tensors are written under the names the hub uses for LLaVA (`vision_tower.vision_model.*`, `language_model.model.*`),
because vLLM refuses the shorter ones that `save_pretrained` gives a model built in memory; transformers reads both.
"""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from transformers import LlavaConfig, LlavaForConditionalGeneration

from geochat.errors import CheckpointError

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
_LFS_POINTER = b"version https://git-lfs"

_IN_MEMORY_TO_DISK = (
    ("model.vision_tower.", "vision_tower.vision_model."),
    ("model.multi_modal_projector.", "multi_modal_projector."),
    ("model.language_model.", "language_model.model."),
    ("lm_head.", "language_model.lm_head."),
)


def disk_name(name: str) -> str:
    """The on-disk name of a tensor that a `LlavaForConditionalGeneration` calls `name`.

    Raises:
        CheckpointError: The model holds a tensor that no LLaVA has.
    """
    for prefix, replacement in _IN_MEMORY_TO_DISK:
        if name.startswith(prefix):
            return replacement + name.removeprefix(prefix)
    raise CheckpointError(f"the model holds {name!r}, which no LLaVA model has; it cannot be saved in this layout")


def expected_shapes(config: LlavaConfig) -> dict[str, tuple[int, ...]]:
    """On-disk name and shape of every tensor the architecture in `config` needs; tied tensors once."""
    with torch.device("meta"):
        model = LlavaForConditionalGeneration(config)
    tied = set(model.all_tied_weights_keys)
    return {disk_name(n): tuple(t.shape) for n, t in model.state_dict().items() if n not in tied}


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of the checkpoint in `folder`, as its index lists them.

    Raises:
        CheckpointError: There are none, one is missing, or the index is damaged.
    """
    index = folder / INDEX_FILE
    if not index.is_file():
        single = folder / WEIGHTS_FILE
        if not single.is_file():
            raise CheckpointError(f"{folder} holds no {WEIGHTS_FILE}; it is not a checkpoint in the native layout")
        return [single]
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        if any(Path(name).name != name for name in names):
            raise ValueError("it names a file outside the folder")  # noqa: TRY301
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise CheckpointError(f"{index} is not a safetensors index ({error}); copy the checkpoint again") from error
    files = [folder / name for name in names]
    for file in files:
        if not file.is_file():
            raise CheckpointError(f"{file} is named by {INDEX_FILE} and missing; copy the checkpoint again")
    return files


def read_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor in one safetensors file, from its header alone.

    Raises:
        CheckpointError: The file is a git-LFS pointer, truncated or not safetensors.
    """
    with file.open("rb") as stream:
        if stream.read(len(_LFS_POINTER)) == _LFS_POINTER:
            raise CheckpointError(f"{file} is a git-LFS pointer, not weights; run `git lfs pull` where it came from")
    try:
        with safe_open(file, framework="pt") as tensors:
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} cannot be read as safetensors ({error}); copy it again") from error


def check_tensors(config: LlavaConfig, files: list[Path]) -> None:
    """Hold the tensors in `files` against the architecture in `config`.

    Raises:
        CheckpointError: A tensor is missing, unexpected or of another shape; the message names it.
    """
    expected = expected_shapes(config)
    found: dict[str, tuple[int, ...]] = {}
    for file in files:
        found.update({_canonical(name): shape for name, shape in read_shapes(file).items()})
    missing = sorted(set(expected) - set(found))
    if missing:
        raise CheckpointError(f"{files[0].parent} lacks the tensor {_named(missing)}; the copy is incomplete")
    unexpected = sorted(set(found) - set(expected) - {"language_model.lm_head.weight"})
    if unexpected:
        raise CheckpointError(
            f"{files[0].parent} holds the unexpected tensor {_named(unexpected)}; weights and config.json do not belong together"
        )
    for name, shape in expected.items():
        if found[name] != shape:
            raise CheckpointError(
                f"{files[0].parent}: tensor {name} has shape {found[name]}, config.json calls for {shape}"
            )


def _canonical(name: str) -> str:
    """The hub's name for a tensor that `save_pretrained` may have written under its shorter one."""
    if name.startswith("vision_tower.") and not name.startswith("vision_tower.vision_model."):
        return name.replace("vision_tower.", "vision_tower.vision_model.", 1)
    return name


def _named(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} (and {len(names) - 1} more)"
