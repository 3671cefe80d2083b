"""`geochat data index`: a training file as an Arrow index for training on."""

import argparse
from pathlib import Path
from typing import Any

from geochat_data.commands import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Index samples to an Arrow file: read at random from disk, with lengths to group by. With --model "
        "lengths are counted in its tokens and samples too long for it are left out and told; without, estimated."
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="samples, .json or .jsonl")
    parser.add_argument("--out", metavar="FILE", type=Path, help="(default: FILE with the ending .arrow)")
    parser.add_argument("--strict", action="store_true", help="stop at the first sample that cannot be used")
    parser.add_argument("--model", metavar="MODEL", help="checkpoint whose tokens are counted")
    parser.add_argument(
        "--max-length", metavar="N", type=options.positive, help="longest sample (default: the model's context)"
    )


def run(args: argparse.Namespace) -> int:
    """Index and say what was left out."""
    from geochat_data.index import estimated_length, write_index
    from geochat_data.readers import Report
    from geochat_data.samples import read_samples

    report, target = Report(strict=args.strict), args.out or args.file.with_suffix(".arrow")
    length = _token_length(args) if args.model else estimated_length
    samples = options.counted(read_samples(args.file, report), "samples")
    count = write_index(target, samples, length, report)
    options.tell(str(report))
    print(f"wrote {target}: {count} samples")
    return 0


def _token_length(args: argparse.Namespace) -> Any:  # noqa: ANN401 - a function of a type that is imported late
    from geochat.checkpoints import load
    from geochat_data.encoding import encode_sample

    checkpoint = load(args.model, device="cpu")
    limit = args.max_length or checkpoint.model.config.get_text_config().max_position_embeddings
    return lambda sample: len(encode_sample(sample, checkpoint.processor, limit).input_ids)
