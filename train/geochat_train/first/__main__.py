"""Make the first bundled model: `python -m geochat_train.first --imagery DIR --out DIR`.

Stopped at any moment and started again with the same arguments, it goes on where it was.
"""

import argparse
import logging
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPVisionModel, LlavaProcessor

from geochat.checkpoints import Settings, save_checkpoint
from geochat.prompts import SYSTEM_PROMPT, Message, chat_template
from geochat.vision import build_image_processor, build_processor, interpolate_positions
from geochat_data.encoding import Example, encode
from geochat_data.manifest import write_manifest
from geochat_data.records import LabelledImage
from geochat_train.first import shape
from geochat_train.first.dense import TutorHeads, tutor_targets
from geochat_train.first.material import Material, converse, gather
from geochat_train.first.packing import Packed, pack, pad
from geochat_train.first.pools import Views
from geochat_train.first.stages import TutoredChat, TutoredTower, run_stage

_CONVERSATIONS = 0.2  # share of rows whose questions see those before them, as in a chat
_SETTINGS = Settings(
    name="geochat-first",
    ground_resolution=(0.15, 0.6),
    licence="Apache-2.0; trained on UC Merced (USGS, public domain), UCM-captions and OpenAerialMap (CC BY 4.0)",
)


def pretrain(material: Material, folder: Path, *, steps: int, batch: int, seed: int) -> TutoredTower:
    """Stage one: the tower at low resolution, on scene classes and dense boxes."""
    tower = CLIPVisionModel(shape.vision_config(shape.PRETRAINING_SIZE))
    model = TutoredTower(tower, TutorHeads(tower.config.hidden_size, len(material.scenes)))
    pixels = build_image_processor(shape.PRETRAINING_SIZE)
    grid = shape.PRETRAINING_SIZE // shape.PATCH

    def make(image: LabelledImage, _: random.Random) -> dict[str, Tensor]:
        values = pixels(image.open(), return_tensors="pt")["pixel_values"][0]
        return {"pixel_values": values, **tutor_targets(image, material.scenes, grid)}

    views = Views(material.pools, shape.PRETRAINING_SIZE, steps * batch, seed, make)
    run_stage(model, views, folder, steps=steps, batch=batch, rates={"": 1e-3}, seed=seed)
    return model


def instruct(
    material: Material, taught: TutoredTower, folder: Path, *, steps: int, batch: int, seed: int
) -> tuple[TutoredChat, LlavaProcessor]:
    """Stage two: tower, projector and language model together, at the resolution of the chat."""
    tokenizer = shape.train_tokenizer(_texts(material, seed))
    torch.manual_seed(seed)
    chat = shape.build_model(tokenizer)
    grid = shape.CHAT_SIZE // shape.PATCH
    chat.model.vision_tower.load_state_dict(_at_resolution(taught.tower, grid))
    processor = build_processor(tokenizer, shape.CHAT_SIZE, shape.PATCH, chat_template(SYSTEM_PROMPT))

    def tokens(messages: Sequence[Message]) -> Example:
        return encode(messages, processor, image_tokens=grid * grid, max_length=shape.CONTEXT)

    def make(image: LabelledImage, rng: random.Random) -> tuple[Packed, Tensor, dict[str, Tensor]] | None:
        turns = converse(image, rng)
        if not turns:
            return None
        together = rng.random() < _CONVERSATIONS
        examples = [tokens([m for turn in turns for m in turn])] if together else [tokens(turn) for turn in turns]
        packed = pack(examples, chat.config.image_token_id)
        pixels = processor.image_processor(image.open(), return_tensors="pt")["pixel_values"][0]
        return packed, pixels, tutor_targets(image, material.scenes, grid)

    def collate(items: list[Any]) -> dict[str, Tensor]:
        words, pixels, targets = zip(*items, strict=True)
        stacked = {name: torch.stack([target[name] for target in targets]) for name in targets[0]}
        return {**pad(words, tokenizer.pad_token_id), "pixel_values": torch.stack(pixels), **stacked}

    model = TutoredChat(chat, taught.heads, tutoring=0.3)
    views = Views(material.pools, shape.CHAT_SIZE, steps * batch, seed + 1, make)
    rates = {"": 1.5e-3, "chat.model.vision_tower": 4e-4, "heads": 4e-4}
    run_stage(model, views, folder, steps=steps, batch=batch, rates=rates, seed=seed, collate=collate)
    return model, processor


def _at_resolution(tower: CLIPVisionModel, grid: int) -> dict[str, Tensor]:
    """The tower's weights with its position embeddings interpolated to `grid` x `grid` patches."""
    weights = tower.state_dict()
    name = next(name for name in weights if name.endswith("position_embedding.weight"))
    return {**weights, name: interpolate_positions(weights[name], grid)}


def _texts(material: Material, seed: int, count: int = 4000) -> list[str]:
    """Conversations to learn the vocabulary from, and the system prompt as often as it will be read."""
    views = Views(
        material.pools, 64, count, seed + 2, lambda image, rng: [m.text for turn in converse(image, rng) for m in turn]
    )
    return [SYSTEM_PROMPT, *(f" {text}" for index in range(count) for text in views[index])]


def main() -> None:
    """Parse, train both stages, save."""
    parser = argparse.ArgumentParser(prog="python -m geochat_train.first", description=__doc__)
    parser.add_argument("--imagery", type=Path, required=True, help="folder with ucm/ and oam-buildings/")
    parser.add_argument("--out", type=Path, required=True, help="folder for stages, log and checkpoint")
    parser.add_argument("--rendered", type=int, default=3000, help="synthetic scenes to render")
    parser.add_argument("--pretrain-steps", type=int, default=1500)
    parser.add_argument("--instruct-steps", type=int, default=1300)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    material, report = gather(args.imagery, args.rendered, args.seed)
    files = {image.path for pool in material.pools for image in pool.images if image.path is not None}
    count = write_manifest(args.out / "manifest.sha256", files, args.imagery)
    logging.info("material: %s; %d files named in manifest.sha256", report, count)
    taught = pretrain(material, args.out / "pretrain", steps=args.pretrain_steps, batch=48, seed=args.seed)
    model, processor = instruct(
        material, taught, args.out / "instruct", steps=args.instruct_steps, batch=16, seed=args.seed
    )
    settings = replace(_SETTINGS, scene_classes=material.scenes)
    save_checkpoint(args.out / "checkpoint", model.chat, processor, settings, dtype=torch.float16)
    logging.info("saved %s", args.out / "checkpoint")


if __name__ == "__main__":
    main()
