"""Learning prompts for a frozen dual encoder from a few labelled images: CoOp and CoCoOp.

Image features do not change, so each view of an image is encoded once, and an epoch needs only the text tower.

- `features`: labelled scenes, few per class, reproducibly, and the features of their augmented views.
- `learning`: the settings, by default the published schedule, and the loop.
- `trials`: learning from selected images, and accuracy on others.
- `study`: all of it on the bundled encoder, with the table and the plot of docs/clip.md.
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
