"""Caption baseline that depends on the class alone.

Each image gets the most frequent training caption of the class that a model predicted for it. A model whose captions
are no better describes only the class.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from geochat.errors import DataError, GeoChatError
from geochat_data.readers import Report, read_jsonl
from geochat_data.records import LabelledImage
from geochat_eval.runs.folder import EvaluationFolder
from geochat_eval.runs.predictors import Prediction, Query
from geochat_eval.scorers.labels import plain


class MajorityCaptionPredictor:
    """Answers with one caption for each class.

    Args:
        scenes: A finished run of scenes on the same images.
        training: Images with scenes and captions, which the answers are taken from.

    Raises:
        DataError: The run is not finished, or there are no captions.
    """

    sha256 = None

    def __init__(self, scenes: Path, training: Iterable[LabelledImage]) -> None:
        folder = EvaluationFolder(scenes)
        self.name = f"majority captions, classes by {folder.read_settings().get('model')}"
        rows = (row for _, row in read_jsonl(folder.answers, Report()))
        self._classes = {str(row["image"]): plain(str(row["answer"])) for row in rows}
        self._captions = _commonest(training)
        if not self._captions:
            raise DataError("the labels hold no training captions of scenes; name those whose split is train")

    def predict(self, questions: Iterable[Query]) -> Iterator[tuple[int, Prediction | GeoChatError]]:
        """See `Predictor`. The answer is empty if the model named no class."""
        for asked in questions:
            found = self._classes.get(str(asked.row["image"]))
            if found is None:
                yield asked.number, DataError("the run of scenes has no answer for its image")
            else:
                yield asked.number, Prediction(self._captions.get(found, ""))


def _commonest(training: Iterable[LabelledImage]) -> dict[str, str]:
    """Return the most frequent caption of each class."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for image in training:
        if image.scene is None:
            continue
        counts[plain(image.scene)].update(image.captions)
    return {scene: captions.most_common(1)[0][0] for scene, captions in counts.items() if captions}
