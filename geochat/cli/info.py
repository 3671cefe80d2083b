"""`geochat info`: what a checkpoint is and can do."""

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geochat.checkpoints import Checkpoint


def add_parser(commands: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "info", help="describe a model", description="Say what a checkpoint is and what it can do."
    )
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", help="checkpoint directory or hub id (default: the bundled model)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    return parser


def run(args: argparse.Namespace) -> int:
    """Load the checkpoint, which checks every tensor, and print what is known of it."""
    from geochat.checkpoints import load
    from geochat.cli import output

    facts = describe(load(args.model, device="cpu"))
    if args.json:
        output.print_json(facts)
        return 0
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):<18}{_text(value)}")
    return 0


def describe(checkpoint: "Checkpoint") -> dict[str, Any]:
    """Facts about a checkpoint, JSON-ready."""
    vision: Any = checkpoint.model.config.vision_config
    text = checkpoint.model.config.get_text_config()
    return {
        **checkpoint.settings.to_dict(),
        "path": str(checkpoint.path),
        "sha256": checkpoint.sha256,
        "parameters": sum(parameter.numel() for parameter in checkpoint.model.parameters()),
        "image_size": vision.image_size,
        "patch_size": vision.patch_size,
        "image_tokens": (vision.image_size // vision.patch_size) ** 2,
        "vision_layers": vision.num_hidden_layers,
        "vision_width": vision.hidden_size,
        "text_layers": text.num_hidden_layers,
        "text_width": text.hidden_size,
        "vocabulary": len(checkpoint.processor.tokenizer),
        "context": text.max_position_embeddings,
    }


def _text(value: object) -> str:
    match value:
        case None:
            return "unknown"
        case dict():
            return ", ".join(str(part) for part in value.values())
        case list() | tuple():
            return ", ".join(str(part) for part in value) or "any"
        case int():
            return f"{value:,}"
    return str(value)
