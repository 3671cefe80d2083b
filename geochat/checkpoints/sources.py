"""Recognition of a folder's contents from config and tensors, never from its name.

There are three kinds: the native layout (its config has a `vision_config`), the original's (its config names an
`mm_vision_tower`), and an adapter (it has an `adapter_config.json`) with its base. All are represented in one form: an
architecture and a recipe for each of its tensors. Only headers and the shapes of packed matrices are read.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import LlavaConfig, LlavaProcessor

from geochat.checkpoints.adapters import ADAPTER_CONFIG, Adapter, read_adapter
from geochat.checkpoints.architecture import read_architecture, refuse_quantized
from geochat.checkpoints.hub import find, is_hub_id
from geochat.checkpoints.layout import VISION, Recipe, original_name, plan, read_contents
from geochat.checkpoints.original import changes, find_tower, is_of_tower, llava_config, tower_config
from geochat.checkpoints.packed import assembled
from geochat.checkpoints.processors import native_processor
from geochat.checkpoints.tensors import Stored, weight_files
from geochat.checkpoints.tokenizer import llama_tokenizer
from geochat.errors import CheckpointError
from geochat.models import SETTINGS_FILE, Settings, read_settings
from geochat.models.objects import read_object
from geochat.prompts import chat_template
from geochat.vision import build_processor

IMAGE_SIZE = 504  # of the published model, whose config does not say it
_TOWER = "mm_vision_tower"


@dataclass(frozen=True)
class Source:
    """A checkpoint of any kind, inspected but not loaded.

    Attributes:
        folder: Its folder.
        config: The architecture.
        recipes: Recipes of the tensors, by hub name.
        settings: Its GeoChat settings.
        files: The weights files that make it up.
        dropped: Names of stored tensors that the model does not need.
        text: A folder with a whole processor, or the `tokenizer.model` that one is built from.
        native: Whether the folder is in the native layout and can be loaded as it is.
        adapter: The adapter that is merged into a base, None for a whole checkpoint.
        base: The base.
    """

    folder: Path
    config: LlavaConfig
    recipes: dict[str, Recipe]
    settings: Settings
    files: tuple[Path, ...]
    dropped: tuple[str, ...]
    text: Path
    native: bool
    adapter: Adapter | None = None
    base: "Source | None" = None

    def processor(self) -> LlavaProcessor:
        """Tokenizer, image processor and chat template.

        Raises:
            CheckpointError: One of their files is missing or damaged, or the tokenizer is another model's.
        """
        if self.text.is_dir():
            return native_processor(self.text, self.config, self.settings.fit or "pad")
        vision: Any = self.config.vision_config
        tokenizer = llama_tokenizer(self.text, self.config.get_text_config().max_position_embeddings)
        known = len(tokenizer) - 1  # without <image>
        if known != self.config.image_token_id:
            raise CheckpointError(
                f"{self.text} has, with the tokens added beside it, {known} tokens and config.json "
                f"vocab_size={self.config.image_token_id}; copy the checkpoint's tokenizer.model and, where tokens "
                "were added in training, its added_tokens.json there"
            )
        return build_processor(
            tokenizer, vision.image_size, vision.patch_size, chat_template(), self.settings.fit or "pad"
        )


def recognise(
    source: str | Path,
    *,
    base: str | Path | None = None,
    image_size: int = IMAGE_SIZE,
    allow_download: bool = False,
) -> Source:
    """Inspect a checkpoint: locate it, determine its kind, and account for each of its tensors.

    Args:
        source: A directory, a hub id or a bundled model's name.
        base: Base of an adapter; None uses the base that it names.
        image_size: Side of the square the model will see, in pixels; for the original's layout, which does not say.
        allow_download: Whether what a local folder names, its base or its tower, may be downloaded. What is given as
            `source` or `base` may be, and so may what a `source` on the hub names.

    Raises:
        CheckpointError: There is no such checkpoint, it is of no known kind, or it is incomplete or damaged.
    """
    folder = find(source)
    allowed = allow_download or is_hub_id(source)
    name = Path(source).name or folder.resolve().name
    if not (folder / ADAPTER_CONFIG).is_file():
        if base is not None:
            raise CheckpointError(f"{folder} is not an adapter and takes no base")
        return _whole(folder, folder, {}, name=name, image_size=image_size, allowed=allowed)
    adapter = read_adapter(folder)
    found = _base_folder(adapter, base, allowed=allowed)
    return _adapted(adapter, found, name, image_size, allowed=allowed or (base is not None and is_hub_id(base)))


def _base_folder(adapter: Adapter, base: str | Path | None, *, allowed: bool) -> Path:
    if base is not None:
        return find(base)
    if not adapter.base:
        raise CheckpointError(f"{adapter.folder} is an adapter and names no base; give one")
    try:
        return find(adapter.base, beside=adapter.folder, allow_download=allowed)
    except CheckpointError as error:
        raise CheckpointError(
            f"{adapter.folder} adapts {adapter.base!r}, which is not found ({error}); or give its base (--base)"
        ) from error


def _adapted(adapter: Adapter, base: Path, name: str, image_size: int, *, allowed: bool) -> Source:
    """Return a base with an adapter; the original's adapters bring the config that a plain Llama lacks."""
    own_config = "vision_config" not in read_object(base / "config.json") and (adapter.folder / "config.json").is_file()
    described = adapter.folder if own_config else base
    whole = _whole(base, described, adapter.overrides, name=name, image_size=image_size, allowed=allowed)
    own_processor = (adapter.folder / "processor_config.json").is_file()
    own_settings = (adapter.folder / SETTINGS_FILE).is_file()
    return replace(
        whole,
        folder=adapter.folder,
        recipes=adapter.merged(whole.recipes),
        settings=read_settings(adapter.folder) if own_settings else replace(whole.settings, name=name),
        files=(*whole.files, *adapter.files),
        dropped=(*whole.dropped, *adapter.dropped),
        text=adapter.folder if own_processor else whole.text,
        native=False,
        adapter=adapter,
        base=whole,
    )


def _whole(
    folder: Path, described: Path, overrides: dict[str, Stored], *, name: str, image_size: int, allowed: bool
) -> Source:
    """Return a checkpoint whose weights are in `folder` and whose config is in `described`."""
    raw = read_object(described / "config.json")
    if "vision_config" in raw:
        return _native(folder, overrides, name)
    refuse_quantized(raw, described)
    if _TOWER in raw:
        return _original(folder, described, raw, overrides, name=name, image_size=image_size, allowed=allowed)
    raise CheckpointError(
        f"{described} is a {raw.get('model_type')!r} model without a vision tower, expected a GeoChat or LLaVA "
        "checkpoint or an adapter"
    )


def _native(folder: Path, overrides: dict[str, Stored], name: str) -> Source:
    config = read_architecture(folder)
    files = weight_files(folder)
    contents = read_contents(files)
    recipes = plan(config, assembled(contents.tensors) | overrides, folder)
    plain = all(file.suffix == ".safetensors" for file in files)
    settings = read_settings(folder, name)
    return Source(folder, config, recipes, settings, tuple(files), contents.dropped, folder, native=plain)


def _original(
    folder: Path,
    described: Path,
    raw: dict[str, Any],
    overrides: dict[str, Stored],
    *,
    name: str,
    image_size: int,
    allowed: bool,
) -> Source:
    files = weight_files(folder)
    contents = read_contents(files)
    tensors, dropped = contents.tensors | overrides, contents.dropped
    tower = str(raw[_TOWER])
    vision_config = tower_config(tower, described, tensors, allow_download=allowed)
    config = llava_config(raw, vision_config, image_size, described / "config.json")
    if not any(tensor.startswith(VISION) for tensor in tensors):
        tower_files = weight_files(find_tower(tower, described, allow_download=allowed))
        vision = read_contents(tower_files, is_of_tower)
        tensors, dropped, files = tensors | vision.tensors, dropped + vision.dropped, [*files, *tower_files]
    recipes = plan(config, tensors, folder, changes=changes(raw, config, tensors), spell=original_name)
    settings, text = read_settings(folder, name), folder / "tokenizer.model"
    return Source(folder, config, recipes, settings, tuple(files), dropped, text, native=False)
