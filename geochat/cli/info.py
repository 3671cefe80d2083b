"""`geochat info`: describe a checkpoint."""

import argparse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from geochat.cli import options, output

if TYPE_CHECKING:
    from geochat.checkpoints import ModelDescription


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Describe a checkpoint: settings, abilities, size and memory. Every tensor is accounted for, none is loaded."
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", help=options.MODEL_HELP)
    parser.add_argument("--base", metavar="MODEL", help="base of MODEL, where MODEL is an adapter")
    options.add_download_option(parser)
    parser.add_argument("--bundled", action="store_true", help="list the bundled models, default first")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    """Read the config and the tensor headers of the checkpoint, and print the facts; or list the bundled models."""
    if args.bundled:
        return _list_bundled(args)
    from geochat.models.finding import check_checkpoint

    check_checkpoint(args.model, base=args.base)
    from geochat.checkpoints import describe

    facts = facts_of(describe(args.model, base=args.base, allow_download=args.allow_download))
    if args.json:
        output.print_json(facts)
        return 0
    for name, value in _lines(facts):
        print(f"{name:<22}{value}")
    return 0


def _list_bundled(args: argparse.Namespace) -> int:
    """Print name and licence of each bundled model; the default is the first.

    Raises:
        SettingsError: A model is named too.
    """
    from geochat.errors import SettingsError
    from geochat.models import bundled_names, find_bundled, read_settings

    if args.model is not None:
        raise SettingsError(
            f"--bundled lists all bundled models and takes no MODEL; leave out {args.model} or --bundled"
        )
    licences = {name: read_settings(folder).licence for name in bundled_names() if (folder := find_bundled(name))}
    if args.json:
        output.print_json([{"name": name, "licence": licence} for name, licence in licences.items()])
        return 0
    for name, licence in licences.items():
        print(f"{name:<22}{licence}")
    return 0


def facts_of(described: "ModelDescription") -> dict[str, Any]:
    """Return facts about a checkpoint, JSON-ready; sizes of parts (in files) and memory (once loaded) in bytes."""
    source = described.source
    vision: Any = source.config.vision_config
    text = source.config.get_text_config()
    return {
        **described.settings.to_dict(),
        "licence": described.licence,
        **_adapter_facts(described),
        "path": str(source.folder),
        "layout": described.kind,
        "sha256": described.sha256,
        "parameters": described.parameters,
        "parts": {
            name: {"parameters": part.parameters, "bytes": part.size}
            for name, part in (
                ("vision_tower", described.tower),
                ("projector", described.projector),
                ("language_model", described.language_model),
            )
        },
        "memory": described.memory,
        "image_size": vision.image_size,
        "patch_size": vision.patch_size,
        "image_tokens": (vision.image_size // vision.patch_size) ** 2,
        "vision_layers": vision.num_hidden_layers,
        "vision_width": vision.hidden_size,
        "text_layers": text.num_hidden_layers,
        "text_width": text.hidden_size,
        "vocabulary": text.vocab_size,
        "context": text.max_position_embeddings,
    }


def _adapter_facts(described: "ModelDescription") -> dict[str, Any]:
    """Return facts about an adapter apart from its base; none for a whole checkpoint."""
    adapter, base = described.source.adapter, described.source.base
    if adapter is None or base is None:
        return {}
    return {
        "adapter": {
            "base": adapter.base or base.settings.name,
            "base_path": str(base.folder),
            "rank": adapter.rank,
            "alpha": adapter.alpha,
            "targets": list(adapter.targets),
            "replaced": len(adapter.overrides),
            "parameters": adapter.parameters,
        }
    }


def _lines(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        match name:
            case "parts":
                for part, numbers in value.items():
                    size = _size(numbers["bytes"])
                    yield f"  {_words(part)}", f"{numbers['parameters']:,} parameters, {size} on disk"
            case "adapter":
                yield "adapter", f"rank {value['rank']}, alpha {value['alpha']:g}, of {_text(value['targets'])}"
                yield (
                    "  own parameters",
                    f"{value['parameters']:,}, with {value['replaced']} tensors of the base replaced",
                )
                yield "  base", f"{value['base']} ({value['base_path']}); all below is of both merged"
            case "memory":
                yield "memory for weights", ", ".join(f"{kind} {_size(size)}" for kind, size in value.items())
            case "earlier_turns" if value is None:
                yield _words(name), "as many as fit"
            case _:
                yield _words(name), _text(value)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"


def _text(value: object) -> str:
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(str(part) for part in value.values())
        case list() | tuple():
            return ", ".join(str(part) for part in value) or "any"
        case int():
            return f"{value:,}"
    return str(value)
