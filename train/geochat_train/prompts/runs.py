"""Runs over shots and seeds: what each gave, and their mean and deviation."""

from collections.abc import Sequence
from statistics import mean, stdev

from geochat_train.prompts.images import SceneImages
from geochat_train.prompts.trials import Trial, base_to_new, run_trial, score
from geochat_train.prompts.views import Features

Row = dict[str, float]


def outcome(trial: Trial, train: SceneImages, test: SceneImages, features: Features, *, halved: bool = False) -> Row:
    """Shots, seed and accuracy of a trial; of base classes, new classes and their harmonic mean where `halved`.

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
    """For each number of shots, how many runs there were, and each figure's mean and its deviation over the seeds.

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
