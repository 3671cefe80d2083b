"""Comparison with a plain `Trainer` and a stock padding collator: `python eval/bench/train.py [--steps N] [--json]`.

Both use the bundled model with the same adapter, optimizer and samples: questions about rendered scenes, some alone and
some many in a conversation, so lengths are mixed. Each variant runs in its own process, which separates peak memory.
Speed is in CPU time, which other programs on the machine do not affect. Tokens are those of the samples, without
padding; if questions share an image, its tokens count for each of them.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from transformers import LlavaProcessor, Trainer, TrainingArguments

from geochat.checkpoints import Checkpoint, load
from geochat.dialects import GEOCHAT
from geochat_data.building import BuildSettings, build_samples
from geochat_data.encoding import Collator, encode_sample
from geochat_data.samples import Sample, write_samples
from geochat_data.synthetic import render_scene
from geochat_train.loop import InOrder, RunFolder, training_arguments, training_order
from geochat_train.recipe import LoraRecipe
from geochat_train.tuning.adapting import Tuned, adapt
from geochat_train.tuning.packing import RowCollator
from geochat_train.tuning.rows import read_rows
from geochat_train.tuning.trainer import TuningTrainer

WAYS = ("plain", "ours", "ours, images shared")
LONGEST = 1024


class Listed(Dataset[Sample]):
    """Samples in the form that `Trainer` takes."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


class StockCollator:
    """The collator of the library's examples: the processor pads, labels are the ids without padding."""

    def __init__(self, processor: LlavaProcessor, images: Path) -> None:
        self.processor = processor
        self.images = images

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Return a batch."""
        texts = [self._text(sample) for sample in samples]
        pictures = [Image.open(self.images / str(sample.image)).convert("RGB") for sample in samples]
        batch = dict(self.processor(text=texts, images=pictures, padding=True, return_tensors="pt"))
        batch["labels"] = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        return batch

    def _text(self, sample: Sample) -> str:
        turns: list[dict[str, Any]] = [
            {"role": message.role, "content": [{"type": "text", "text": message.text}]} for message in sample.messages
        ]
        turns[0]["content"].insert(0, {"type": "image"})
        return str(self.processor.apply_chat_template(turns))


def write_material(folder: Path, images: int) -> Path:
    """Write rendered scenes, half of them with separate questions and half with conversations."""
    scenes = [render_scene(seed, 224) for seed in range(images)]
    half = images // 2
    alone = build_samples(scenes[:half], folder, BuildSettings(GEOCHAT, questions=(8, 8), dialogues=0))
    settings = BuildSettings(GEOCHAT, questions=(8, 16), dialogues=0, packed=True, seed=1)
    packed = build_samples(scenes[half:], folder, settings)
    path = folder / "train.jsonl"
    write_samples(path, [*alone, *packed])
    return path


def measure(way: str, path: Path, steps: int, batch: int) -> dict[str, float]:
    """Measure speed and peak memory of one variant."""
    torch.manual_seed(0)
    checkpoint = load(device="cpu", dtype="float32")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    recipe = LoraRecipe(batch_size=batch, steps=steps, precision="float32", workers=0, max_length=LONGEST, warmup=0.0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = RunFolder(Path(scratch) / "out")
        folder.checkpoints.mkdir(parents=True)
        model = adapt(checkpoint.model, recipe, "bundled")
        trainer, tokens, samples = _trainer(way, (model, checkpoint), recipe, folder, path)
        began = time.process_time()
        trainer.train()
        seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "tokens_a_second": round(tokens / seconds, 1),
        "samples_a_second": round(samples / seconds, 2),
        "seconds": round(seconds, 2),
        "peak_mb": round((peak - before) / 1024, 1),
    }


def _trainer(
    way: str, models: tuple[Tuned, Checkpoint], recipe: LoraRecipe, folder: RunFolder, path: Path
) -> tuple[Trainer, int, int]:
    """Return the trainer, and the numbers of tokens and samples that it will read."""
    model, checkpoint = models
    processor = checkpoint.processor
    arguments = training_arguments(recipe, folder, int(recipe.steps or 1))
    arguments.save_strategy = "no"
    rows = read_rows(path, None, processor, max_length=LONGEST, share_images=way == WAYS[2])
    lengths = {sample.id: len(encode_sample(sample, processor, LONGEST).input_ids) for row in rows for sample in row}
    count = recipe.batch_size * arguments.max_steps
    if way == WAYS[0]:
        order = np.concatenate([np.random.default_rng(0).permutation(len(rows)) for _ in range(-(-count // len(rows)))])
        order = order[:count]
        plain = TrainingArguments(
            output_dir=str(folder.path),
            max_steps=arguments.max_steps,
            per_device_train_batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
            remove_unused_columns=False,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        samples = Listed([rows[int(index)][0] for index in order])
        trainer = Trainer(
            model=model, args=plain, train_dataset=samples, data_collator=StockCollator(processor, path.parent)
        )
    else:
        order = training_order(rows.lengths, recipe.batch_size, arguments.max_steps, recipe.seed)
        trainer = TuningTrainer(
            processor=processor,
            settings=checkpoint.settings,
            folder=folder,
            order=InOrder(order),
            keep=1,
            model=model,
            args=arguments,
            train_dataset=rows,
            data_collator=RowCollator(Collator(processor, path.parent, LONGEST)),
        )
    read = [sample for index in order for sample in rows[int(index)]]
    return trainer, sum(lengths[sample.id] for sample in read), len(read)


def main() -> None:
    """Run each variant in its own process, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        print(json.dumps(measure(args.way, args.data, args.steps, args.batch)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        data = write_material(Path(scratch), args.images)
        found = {}
        for way in WAYS:
            command = [sys.executable, __file__, "--way", way, "--data", str(data)]
            command += ["--steps", str(args.steps), "--batch", str(args.batch)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            found[way] = json.loads(done.stdout.splitlines()[-1])
    if args.json:
        print(json.dumps(found))
        return
    for way, row in found.items():
        faster = row["tokens_a_second"] / found["plain"]["tokens_a_second"]
        print(
            f"{way:<22}{row['tokens_a_second']:>8.0f} tokens/s ({faster:.2f} x) "
            f"{row['samples_a_second']:>7.2f} samples/s {row['peak_mb']:>8.0f} MB above the loaded model"
        )


if __name__ == "__main__":
    main()
