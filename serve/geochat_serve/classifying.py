"""The Classify panel: which of some classes the open image is closest to, by the bundled dual encoder."""

import threading

from geochat.clip import Classifier, DualEncoder
from geochat.errors import SettingsError
from geochat.imagery import GeoImage

_MOST = 200  # classes at once


class SceneClassifier:
    """A dual encoder that everybody shares; it is loaded when first asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._encoder: DualEncoder | None = None

    def classify(self, image: GeoImage, text: str) -> dict[str, float]:
        """Probabilities by class, in the order they are named.

        Args:
            image: What is looked at.
            text: Class names, separated by commas or line ends; one named twice counts once.

        Raises:
            SettingsError: There are fewer than two classes, or too many.
            CheckpointError: The bundled encoder is missing or damaged.
            PromptError: A class's name is too long.
        """
        names = [name.strip() for name in text.replace("\n", ",").split(",")]
        classes = list(dict.fromkeys(name for name in names if name))
        if len(classes) < 2:
            raise SettingsError(f"there {'is one class' if classes else 'are no classes'}; name two or more")
        if len(classes) > _MOST:
            raise SettingsError(f"{len(classes)} classes are too many; name up to {_MOST}")
        with self._lock:
            if self._encoder is None:
                self._encoder = DualEncoder.from_pretrained()
        return Classifier.zero_shot(self._encoder, classes).classify(image).probabilities
