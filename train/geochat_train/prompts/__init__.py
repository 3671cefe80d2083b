"""Learning prompts for a frozen dual encoder from a few labelled images: CoOp and CoCoOp.

Features of images never change, so each view of an image is encoded once, and an epoch costs the text tower alone.

- `settings`: the published schedule.
- `images`: few images a class, reproducibly.
- `views`: their augmented views' features.
- `learning`: the loop.
- `trials`: what is learned from which images, and how well it then names others.
- `study`: all of it on the bundled encoder, with the table and the figure of docs/clip.md.
"""

from geochat_train.prompts.features import Features, SceneImages, read_scenes
from geochat_train.prompts.learning import LearningSettings, learn, published
from geochat_train.prompts.trials import Trial, base_to_new, run_trial

__all__ = [
    "Features",
    "LearningSettings",
    "SceneImages",
    "Trial",
    "base_to_new",
    "learn",
    "published",
    "read_scenes",
    "run_trial",
]
