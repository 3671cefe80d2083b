"""What prompts are worth on UC Merced, with an encoder that has not seen six of its classes.

    python -m geochat_train.prompts.study --imagery DIR --out DIR [--split val|test] [--docs docs]

Zero-shot on the classes that contrastive training saw and on the six it did not; CoOp on these six from 1 to 16 shots;
base-to-new of CoOp and CoCoOp over all 21. Prompts are learned from the training photographs that are neither kept for
validation nor overlap with test ones. Each run is written down when it is done: a study that was stopped goes on.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geochat.clip import REMOTE_SENSING, DualEncoder, PromptSettings
from geochat.errors import DataError
from geochat_data.readers import UCM_SCENES
from geochat_data.splits import UNSEEN_SCENES, read_list
from geochat_train.prompts.findings import write_docs
from geochat_train.prompts.images import SceneImages, read_scenes
from geochat_train.prompts.runs import outcome
from geochat_train.prompts.settings import published
from geochat_train.prompts.trials import Trial, halves, zero_shot
from geochat_train.prompts.views import Features

SHOTS = (1, 2, 4, 8, 16)
SEEDS = (1, 2, 3)
_WORDS = "a photo of a"  # what both methods begin with in the published base-to-new comparison

Found = dict[str, Any]


@dataclass(frozen=True)
class Scenes:
    """Photographs to learn from, and others to be told."""

    train: SceneImages
    test: SceneImages

    def of(self, classes: tuple[str, ...]) -> "Scenes":
        """Those of some classes."""
        return Scenes(self.train.of(classes), self.test.of(classes))


def read_ucm_scenes(imagery: Path, split: str) -> Scenes:
    """UC Merced's photographs for learning prompts, and those of `split`, "val" or "test".

    Raises:
        DataError: They are not there.
    """
    kept, overlapping = read_list("ucm_val"), read_list("ucm_overlap")
    everything = read_scenes(imagery / "ucm" / "train", UCM_SCENES)
    train = everything.without(kept | overlapping)
    if split == "val":
        return Scenes(train, everything.only(kept - overlapping))
    return Scenes(train, read_scenes(imagery / "ucm" / "test", UCM_SCENES))


def zero_shot_figures(scenes: Scenes, features: Features) -> Iterator[Found]:
    """Accuracy by the classes' names alone, among the classes seen, among those not seen, and among all."""
    unseen = tuple(name for name in UCM_SCENES if name in UNSEEN_SCENES)
    seen = tuple(name for name in UCM_SCENES if name not in UNSEEN_SCENES)
    base, new = halves(UCM_SCENES)
    groups = {"seen": seen, "unseen": unseen, "all": UCM_SCENES, "base": base, "new": new}
    for name, classes in groups.items():
        images = scenes.test.of(classes)
        accuracy = zero_shot(images, features, REMOTE_SENSING)
        yield {
            "study": "zero-shot",
            "of": name,
            "classes": len(classes),
            "images": len(images.files),
            "accuracy": accuracy,
        }


def trials() -> Iterator[tuple[str, Trial]]:
    """The study's runs, each with the name of its part."""
    for shots in SHOTS:
        for seed in SEEDS:
            yield "shots", Trial("coop", PromptSettings(), replace(published("coop", shots), seed=seed), shots)
    for method in ("coop", "cocoop"):
        for seed in SEEDS:
            learning = replace(published(method, 16), seed=seed)
            yield "base-to-new", Trial(method, PromptSettings(words=_WORDS), learning, 16)


def findings(scenes: Scenes, features: Features, known: list[Found]) -> Iterator[Found]:
    """What is not known yet, one finding after the other."""
    if not any(found["study"] == "zero-shot" for found in known):
        yield from zero_shot_figures(scenes, features)
    unseen = scenes.of(tuple(name for name in UCM_SCENES if name in UNSEEN_SCENES))
    done = {(found["study"], found.get("method"), found.get("shots"), found.get("seed")) for found in known}
    for study, trial in trials():
        if (study, trial.method, trial.shots, trial.learning.seed) in done:
            continue
        used = unseen if study == "shots" else scenes
        row = outcome(trial, used.train, used.test, features, halved=study == "base-to-new")
        yield {"study": study, "method": trial.method, **row}


def read_findings(file: Path) -> list[Found]:
    """What was found before; a last line that was cut off is dropped.

    Raises:
        DataError: The file holds something else.
    """
    if not file.exists():
        return []
    found: list[Found] = []
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        try:
            found.append(json.loads(line))
        except ValueError as error:
            if number < len(lines) or line.endswith("\n"):
                raise DataError(f"{file}:{number} is no finding ({error}); remove the file to begin again") from error
            file.write_text("".join(lines[:-1]), encoding="utf-8")
    return found


def main() -> int:
    """Parse, run what is missing, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--imagery", metavar="DIR", type=Path, required=True, help="holds ucm/")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="findings are kept here")
    parser.add_argument("--model", metavar="MODEL", help="dual encoder (default: the bundled one)")
    parser.add_argument("--split", choices=("val", "test"), default="val", help="(default: val)")
    parser.add_argument("--docs", metavar="DIR", type=Path, help="write the table and the figure of its clip.md")
    args = parser.parse_args()
    encoder = DualEncoder.from_pretrained(args.model)
    scenes, features = read_ucm_scenes(args.imagery, args.split), Features(encoder)
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / f"{args.split}-{encoder.sha256[:12]}.jsonl"
    known = read_findings(file)
    with file.open("a", encoding="utf-8") as kept:
        for found in findings(scenes, features, known):
            kept.write(json.dumps(found) + "\n")
            kept.flush()
            sys.stdout.write(f"{json.dumps(found)}\n")
    if args.docs:
        write_docs(args.docs, read_findings(file), args.split, encoder.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
