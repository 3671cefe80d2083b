"""Trials: prompts learned from some shots with a seed, their accuracy on other images, and means over seeds."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import mean, stdev

import torch

from geochat.clip import PromptSettings
from geochat.clip.classifier import text_weights
from geochat.clip.learned import METHODS, Prompts, resolved, with_classes
from geochat.errors import SettingsError
from geochat_train.prompts.features import Features, SceneImages
from geochat_train.prompts.learning import LearningSettings, OnEpoch, accuracy, learn


@dataclass(frozen=True)
class Trial:
    """Method, prompt and data of one learning run.

    Attributes:
        method: "coop" or "cocoop".
        prompt: Layout of a prompt.
        learning: The schedule and the seed.
        shots: Images per class; 0 uses all.
    """

    method: str
    prompt: PromptSettings
    learning: LearningSettings
    shots: int = 16

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise SettingsError(f"unknown method {self.method!r}; choose {' or '.join(METHODS)}")
        if self.shots < 0:
            raise SettingsError(f"shots={self.shots} cannot be; give images per class, or 0 for all")

    def described(self) -> dict[str, object]:
        """Return the trial as JSON values, for the prompt file."""
        return {"shots": self.shots, **asdict(self.learning)}


def run_trial(trial: Trial, images: SceneImages, features: Features, on_epoch: OnEpoch | None = None) -> Prompts:
    """Learn the trial's prompts from the images.

    Raises:
        SettingsError: The settings contradict each other or the encoder.
        DataError: A class has too few images.
        ImageError: An image cannot be read.
    """
    few = images.few(trial.shots, trial.learning.seed) if trial.shots else images
    torch.manual_seed(trial.learning.seed)
    encoder = features.encoder
    prompts = METHODS[trial.method](encoder, few.classes, resolved(encoder, trial.prompt))
    views = features.views(few.files, trial.learning.views)
    learn(prompts, views, torch.tensor(few.labels, device=encoder.device), trial.learning, on_epoch)
    return prompts


def score(prompts: Prompts, images: SceneImages, features: Features) -> float:
    """Return the share of images that learned prompts classify correctly, among the classes of `images`.

    Raises:
        SettingsError: Each class has vectors of its own and the images' classes are others.
    """
    asked = prompts if prompts.classes == images.classes else with_classes(prompts, images.classes)
    return accuracy(asked, features.plain(images.files), torch.tensor(images.labels, device=prompts.encoder.device))


def zero_shot(images: SceneImages, features: Features, templates: Sequence[str]) -> float:
    """Return the share of images that templates classify correctly, among the classes of `images`."""
    weights = text_weights(features.encoder, images.classes, templates)
    found = (features.plain(images.files) @ weights.T).argmax(-1).cpu()
    return (found == torch.tensor(images.labels)).float().mean().item()


@dataclass(frozen=True)
class BaseToNew:
    """Accuracy on the base classes, which were used for learning, and on the new ones."""

    base: float
    new: float

    @property
    def harmonic(self) -> float:
        """H = 2 base new / (base + new); 0 if one is."""
        return 2 * self.base * self.new / (self.base + self.new) if self.base and self.new else 0.0


def halves(classes: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split the classes into base and new halves; base has one more if the number is odd.

    Raises:
        SettingsError: There are too few for both.
    """
    middle = (len(classes) + 1) // 2
    if middle == len(classes):
        raise SettingsError(f"{len(classes)} classes have no second half; base-to-new needs at least two")
    return tuple(classes[:middle]), tuple(classes[middle:])


def base_to_new(trial: Trial, train: SceneImages, test: SceneImages, features: Features) -> BaseToNew:
    """Learn from the base classes, then classify the base classes, and the new ones, separately.

    Raises:
        SettingsError: As `run_trial`, or there are too few classes.
    """
    base, new = halves(train.classes)
    prompts = run_trial(trial, train.of(base), features)
    return BaseToNew(score(prompts, test.of(base), features), score(prompts, test.of(new), features))


Row = dict[str, float]


def outcome(trial: Trial, train: SceneImages, test: SceneImages, features: Features, *, halved: bool = False) -> Row:
    """Return shots, seed and accuracy of a trial; for `halved`, those of base and new classes and their harmonic mean.

    Raises:
        SettingsError: The settings contradict each other or the encoder.
        DataError: A class has too few images.
        ImageError: An image cannot be read.
    """
    row: Row = {"shots": trial.shots, "seed": trial.learning.seed}
    if not halved:
        return row | {"accuracy": score(run_trial(trial, train, features), test, features)}
    found = base_to_new(trial, train, test, features)
    return row | {"base": found.base, "new": found.new, "harmonic": found.harmonic}


def summary(rows: Sequence[Row]) -> list[Row]:
    """Return, for each number of shots, the number of runs, and each figure's mean and deviation over the seeds.

    The deviation is the sample's; 0 of one run.
    """
    found = []
    for shots in dict.fromkeys(row["shots"] for row in rows):
        these = [row for row in rows if row["shots"] == shots]
        told: Row = {"shots": shots, "runs": len(these)}
        for name in [name for name in these[0] if name not in told and name != "seed"]:
            values = [row[name] for row in these]
            told |= {name: mean(values), f"{name}_deviation": stdev(values) if len(values) > 1 else 0.0}
        found.append(told)
    return found
