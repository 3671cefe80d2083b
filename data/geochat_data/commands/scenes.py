"""`geochat data scenes`: synthetic aerial scenes with exact labels."""

import argparse
from pathlib import Path

from geochat_data.commands import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Draw aerial scenes with exact oriented boxes, as PNG files beside a boxes.jsonl that "
        "`geochat data build boxes` reads. The same numbers give the same scenes."
    )
    parser.add_argument("out", metavar="DIR", type=Path, help="folder to write to, created if missing")
    parser.add_argument("--count", metavar="N", type=options.positive, default=100, help="how many (default: 100)")
    parser.add_argument("--size", metavar="N", type=options.positive, default=288, help="side in pixels (default: 288)")
    parser.add_argument(
        "--seed", metavar="N", type=options.number, default=0, help="the first scene's number (default: 0)"
    )
    parser.add_argument("--kind", metavar="NAME", help="airport, junction, solar farm, ... (default: all)")


def run(args: argparse.Namespace) -> int:
    """Draw and write."""
    from geochat.files import locked
    from geochat_data.readers.boxes import write_boxes
    from geochat_data.synthetic import render_scene

    seeds = range(args.seed, args.seed + args.count)
    scenes = (render_scene(seed, args.size, args.kind) for seed in seeds)
    if not args.out.parent.is_dir():
        args.out.parent.mkdir(parents=True)
    with locked(args.out, what="geochat data scenes"):
        count = write_boxes(args.out, options.counted(scenes, "scenes"))
    print(f"wrote {args.out / 'boxes.jsonl'}: {count} scenes")
    return 0
