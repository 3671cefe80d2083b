"""`geochat convert`: rewrite a checkpoint in the native layout, which transformers, vLLM and SGLang load."""

import argparse
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochat.cli import options, output
from geochat.cli.output import note
from geochat.progress import progress_bar

if TYPE_CHECKING:
    from tqdm import tqdm


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Rewrite a checkpoint in the native layout: one in the layout of the original GeoChat or LLaVA-1.5, or a LoRA "
        "adapter, which is merged into its base. Every tensor is accounted for. An interrupted conversion resumes when "
        "the command is run again."
    )
    parser.add_argument("source", metavar="SRC", help="checkpoint directory or hub id")
    parser.add_argument("destination", metavar="DST", type=Path, help="folder to write; must not exist")
    parser.add_argument("--base", metavar="MODEL", help="base of SRC, if an adapter (default: the one it names)")
    parser.add_argument("--dtype", metavar="NAME", help="float32, bfloat16 or float16 (default: as SRC)")
    parser.add_argument("--shard-size", metavar="SIZE", default="5GB", help="largest weights file (default: 5GB)")
    parser.add_argument(
        "--image-size",
        metavar="PIXELS",
        type=int,
        default=504,
        help="input size of the vision tower, where SRC does not state it (default: 504, as GeoChat)",
    )
    options.add_download_option(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    """Convert, and print a summary."""
    from geochat.models.finding import check_checkpoint, check_destination

    check_checkpoint(args.source, base=args.base)
    check_destination(args.destination)
    from geochat.checkpoints import convert

    try:
        with progress_bar("MB") as bar:
            done = convert(
                args.source,
                args.destination,
                base=args.base,
                dtype=args.dtype,
                shard_size=args.shard_size,
                image_size=args.image_size,
                progress=partial(_show, bar),
                allow_download=args.allow_download,
            )
    except KeyboardInterrupt:
        note("interrupted; run the same command again to resume")
        raise
    if args.json:
        output.print_json({**asdict(done), "folder": str(done.folder)})
        return 0
    print(f"{done.folder}: {done.tensors} tensors, {done.size / 1e9:.2f} GB as {done.dtype} in {done.shards} files")
    if done.resumed:
        print(f"{done.resumed} of the files were finished by an earlier run")
    if done.dropped:
        print(f"{len(done.dropped)} tensors of the source are not needed, such as {done.dropped[-1]}")
    return 0


def _show(bar: "tqdm[Any]", written: int, total: int) -> None:
    bar.total = total // 10**6
    bar.update(written // 10**6 - bar.n)
