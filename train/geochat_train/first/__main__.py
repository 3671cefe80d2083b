"""Make the first bundled model: `python -m geochat_train.first --imagery DIR --out DIR`.

Stopped at any moment and started again with the same arguments, it goes on where it was.
"""

import argparse
import logging
import random
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import CLIPVisionModel, LlavaProcessor

from geochat.checkpoints import Settings, save_checkpoint
from geochat.prompts import SYSTEM_PROMPT, Message, chat_template
from geochat.vision import build_image_processor, build_processor, interpolate_positions
from geochat_data.manifest import write_manifest
from geochat_data.records import LabelledImage
from geochat_train.first import shape
from geochat_train.first.dense import TutorHeads, tutor_targets
from geochat_train.first.material import Material, clipped, converse, gather, locating
from geochat_train.first.places import write_places
from geochat_train.first.pools import Views
from geochat_train.first.stages import TutoredChat, TutoredTower, run_stage
from geochat_train.first.talk import Talk

_BATCH = 16
_LOCATING = {
    "refer": 4.0,
    "identify": 1.2,
    "grounding": 1.5,
    "scene": 1.2,
    "caption": 0.5,
    "presence": 0.5,
    "count": 0.8,
}
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
    run_stage(model, views, folder, steps=steps, schedule=steps, batch=batch, rates={"": 1e-3}, seed=seed)
    return model


def assemble(material: Material, taught: TutoredTower, seed: int) -> tuple[TutoredChat, LlavaProcessor]:
    """The whole model around the taught tower, whose position embeddings are interpolated to the chat's resolution."""
    tokenizer = shape.train_tokenizer(_texts(material, seed))
    torch.manual_seed(seed)
    chat = shape.build_model(tokenizer)
    chat.model.vision_tower.load_state_dict(_at_resolution(taught.tower, shape.CHAT_SIZE // shape.PATCH))
    processor = build_processor(tokenizer, shape.CHAT_SIZE, shape.PATCH, chat_template(SYSTEM_PROMPT))
    vocabulary = tokenizer.get_vocab()
    numbers = [vocabulary[number] for number in shape.NUMBERS]
    return TutoredChat(chat, taught.heads, numbers, tutoring=0.3), processor


def instruct(
    material: Material, model: TutoredChat, processor: LlavaProcessor, folder: Path, *, steps: int, seed: int
) -> None:
    """Stage two: tower, projector and language model together, on all kinds of questions.

    It is left before its learning rate has fallen to zero, for stage three to go on.
    """
    talk = Talk(processor, material.scenes, shape.CHAT_SIZE // shape.PATCH, converse)
    views = Views(material.pools, shape.CHAT_SIZE, steps * _BATCH, seed + 1, talk.make)
    rates = {"": 1.5e-3, "chat.model.vision_tower": 4e-4, "heads": 4e-4}
    run_stage(
        model, views, folder, steps=steps, schedule=1300, batch=_BATCH, rates=rates, seed=seed, collate=talk.collate
    )


def locate(
    material: Material, model: TutoredChat, processor: LlavaProcessor, folder: Path, *, steps: int, seed: int
) -> None:
    """Stage three: mostly questions about places, and a loss that knows how far off a coordinate is."""

    def ask(image: LabelledImage, rng: random.Random) -> list[tuple[Message, Message]]:
        return converse(clipped(image), rng, turns=3, shares=_LOCATING)

    torch.manual_seed(seed)
    model.distance, model.tutoring = 5.0, 0.6
    write_places(model.chat.model.vision_tower)
    model.place = nn.Linear(model.heads.norm.normalized_shape[0], 2)
    talk = Talk(processor, material.scenes, shape.CHAT_SIZE // shape.PATCH, ask)
    views = Views(locating(material).pools, shape.CHAT_SIZE, steps * _BATCH, seed + 3, talk.make)
    rates = {"": 1.2e-3, "chat.model.vision_tower": 5e-4, "heads": 5e-4}
    run_stage(
        model, views, folder, steps=steps, schedule=steps, batch=_BATCH, rates=rates, seed=seed, collate=talk.collate
    )


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
    """Parse, train the three stages, save."""
    parser = argparse.ArgumentParser(prog="python -m geochat_train.first", description=__doc__)
    parser.add_argument("--imagery", type=Path, required=True, help="folder with ucm/ and oam-buildings/")
    parser.add_argument("--out", type=Path, required=True, help="folder for stages, log and checkpoint")
    parser.add_argument("--rendered", type=int, default=3000, help="synthetic scenes to render")
    parser.add_argument("--pretrain-steps", type=int, default=1500)
    parser.add_argument("--instruct-steps", type=int, default=1000)
    parser.add_argument("--locate-steps", type=int, default=330)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    material, report = gather(args.imagery, args.rendered, args.seed)
    files = {image.path for pool in material.pools for image in pool.images if image.path is not None}
    count = write_manifest(args.out / "manifest.sha256", files, args.imagery)
    logging.info("material: %s; %d files named in manifest.sha256", report, count)
    taught = pretrain(material, args.out / "pretrain", steps=args.pretrain_steps, batch=48, seed=args.seed)
    model, processor = assemble(material, taught, args.seed)
    instruct(material, model, processor, args.out / "instruct", steps=args.instruct_steps, seed=args.seed)
    locate(material, model, processor, args.out / "locate", steps=args.locate_steps, seed=args.seed)
    settings = replace(_SETTINGS, scene_classes=material.scenes)
    save_checkpoint(args.out / "checkpoint", model.chat, processor, settings, dtype=torch.float16)
    logging.info("saved %s", args.out / "checkpoint")


if __name__ == "__main__":
    main()
