"""Processors of checkpoints in the native layout: loaded from their files, completed from the config, and checked.

Older checkpoints omit values that the model's config also contains (the patch size, the feature selection, the number
of tokens of an image besides its patches). If both contain a value and differ, the prompt would have another number of
image tokens than the model has features, so this is an error. The loaded processor is tried once on a grey image and a
short question, so that a damaged file is reported here and not by the first question.
"""

from pathlib import Path
from typing import Any

from PIL import Image
from transformers import AutoProcessor, LlavaConfig, LlavaProcessor

from geochat.checkpoints.guards import guarded
from geochat.checkpoints.templates import unbounded
from geochat.errors import CheckpointError
from geochat.geometry import Fit
from geochat.models import bundled_path

_LARGEST = 4  # times the model's square: an image may be made larger before it is cropped
_QUESTION = {"type": "text", "text": "What is in the image?"}
_PROBE: list[Any] = [{"role": "user", "content": [{"type": "image"}, _QUESTION]}]


def native_processor(folder: Path, config: LlavaConfig, fit: Fit) -> LlavaProcessor:
    """Tokenizer, image processor and chat template of a folder in the native layout.

    Args:
        folder: Folder of their files.
        config: The model's architecture.
        fit: Conversion of an image to the square, by the model's settings.

    Raises:
        CheckpointError: A file is missing or damaged, they contradict the config, the chat template is missing or may
            not end.
    """
    vision: Any = config.vision_config
    with guarded(f"the processor in {folder}"):
        processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    if not isinstance(processor, LlavaProcessor):
        raise CheckpointError(f"{folder} has a {type(processor).__name__}, expected a LlavaProcessor; convert it first")
    _complete(processor, config, folder)
    _settle_template(processor, folder)
    with guarded(f"the image processor in {folder}"):
        _check_fit(processor.image_processor, fit, folder)
        check_pixels(processor.image_processor, vision.image_size, folder)
    with guarded(f"the tokenizer in {folder}"):
        _check_prompt(processor, config, folder)
    return processor


def check_pixels(image_processor: Any, side: int, folder: Path) -> None:  # noqa: ANN401 - of several kinds
    """Check that an image processor produces the square that the model expects.

    Args:
        image_processor: Any of transformers'.
        side: Side of the square, in pixels.
        folder: Folder named in messages.

    Raises:
        CheckpointError: It makes another one.
    """
    for name in ("size", "crop_size", "pad_size"):
        lengths = list(dict(getattr(image_processor, name, None) or {}).values())
        if any(not isinstance(length, int) or not 1 <= length <= _LARGEST * side for length in lengths):
            raise CheckpointError(f"{folder}: the image processor has {name}={lengths}, the model sees {side} px")
    grey = Image.new("RGB", (40, 30), (90, 100, 110))
    shape = tuple(image_processor(grey, return_tensors="pt")["pixel_values"].shape)
    if shape != (1, 3, side, side):
        raise CheckpointError(f"{folder}: the image processor makes images of {shape}, config.json calls for {side} px")


def _complete(processor: LlavaProcessor, config: LlavaConfig, folder: Path) -> None:
    vision: Any = config.vision_config
    called_for = {
        "patch_size": vision.patch_size,
        "vision_feature_select_strategy": config.vision_feature_select_strategy,
    }
    for name, value in called_for.items():
        stated = getattr(processor, name, None)
        if stated not in (None, value):
            raise CheckpointError(
                f"{folder}: the processor has {name}={stated!r} and config.json {value!r}; copy the checkpoint again"
            )
        setattr(processor, name, value)
    processor.num_additional_image_tokens = 1  # the class token, which a CLIP tower always has


def _settle_template(processor: LlavaProcessor, folder: Path) -> None:
    """Set one bounded template for processor and tokenizer."""
    found = processor.chat_template or getattr(processor.tokenizer, "chat_template", None)
    if isinstance(found, dict):
        found = found.get("default")
    if not found:
        raise CheckpointError(
            f"{folder} has no chat template, so how it was asked in training is not known; put its chat_template.jinja "
            f"there. For a model trained as LLaVA-1.5 or GeoChat, copy {bundled_path() / 'chat_template.jinja'}"
        )
    if not isinstance(found, str):
        raise CheckpointError(f"{folder} has a chat template that is a {type(found).__name__}; copy it again")
    if problem := unbounded(found):
        raise CheckpointError(
            f"the chat template in {folder} is not used: {problem}. Write it without, or copy "
            f"{bundled_path() / 'chat_template.jinja'} if the model was trained as LLaVA-1.5 or GeoChat"
        )
    processor.chat_template = processor.tokenizer.chat_template = found


def _check_fit(image_processor: Any, fit: Fit, folder: Path) -> None:  # noqa: ANN401 - of several kinds
    made: Fit = "pad" if getattr(image_processor, "do_pad", False) else "crop"
    if made != fit:
        raise CheckpointError(
            f"{folder}: the settings say fit={fit!r} and the image processor would {made}; boxes would be off. Correct "
            "one of the two in geochat.json or processor_config.json"
        )


def _check_prompt(processor: LlavaProcessor, config: LlavaConfig, folder: Path) -> None:
    """Check that a question with an image becomes tokens the model knows, including the image token."""
    tokenizer: Any = processor.tokenizer
    vocabulary = int(config.get_text_config().vocab_size)
    if len(tokenizer) > vocabulary:
        raise CheckpointError(
            f"{folder}: the tokenizer has {len(tokenizer)} tokens and the model knows {vocabulary}; they do not belong "
            "together"
        )
    if processor.image_token_id != config.image_token_id:
        raise CheckpointError(
            f"{folder}: the image token {processor.image_token!r} has id {processor.image_token_id} in the tokenizer "
            f"and {config.image_token_id} in config.json; copy the tokenizer again"
        )
    text = processor.apply_chat_template(_PROBE, add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if ids.count(config.image_token_id) != 1:
        raise CheckpointError(
            f"{folder}: the chat template writes {ids.count(config.image_token_id)} image tokens for one image; "
            "copy it again"
        )
    if _QUESTION["text"] not in text:
        raise CheckpointError(f"{folder}: the chat template leaves the question out; copy it again")
    if max(ids) >= vocabulary:
        raise CheckpointError(
            f"{folder}: the tokenizer gives id {max(ids)} and the model knows {vocabulary}; copy it again"
        )
