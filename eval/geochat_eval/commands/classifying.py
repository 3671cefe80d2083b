"""A dual encoder that answers a scene benchmark in place of a model that talks."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geochat_eval.running import Answerer


def add_classifier_options(group: Any) -> None:  # noqa: ANN401 - argparse keeps its type private
    """`--classifier` and `--prompts`; `classifier` reads them."""
    group.add_argument(
        "--classifier",
        action="store_true",
        help="MODEL is a dual encoder: answer with the likeliest class the question names (default: the bundled one)",
    )
    group.add_argument("--prompts", metavar="FILE", type=Path, help="prompts learned for it, instead of templates")


def classifier(args: argparse.Namespace) -> "Answerer":
    """The dual encoder of `--model`, as an answerer.

    Raises:
        CheckpointError: It cannot be loaded, or the prompts are another encoder's.
    """
    from geochat.clip import DualEncoder, read_prompts
    from geochat_eval.running.classifying import ClassifierAnswerer

    prompts = read_prompts(args.prompts) if args.prompts else None
    encoder = DualEncoder.from_pretrained(
        args.model, device=args.device, dtype=args.dtype, allow_download=args.allow_download
    )
    return ClassifierAnswerer(encoder, prompts)
