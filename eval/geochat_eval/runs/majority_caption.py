"""Caption baseline that depends on the class alone.

Each image gets the most frequent training caption of the class that a model predicted for it. A model whose captions
are no better describes only the class.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from geochat.errors import DataError, GeoChatError
from geochat_data.readers import Report, read_jsonl, read_ucm
from geochat_data.splits import read_list
from geochat_eval.runs.folder import EvaluationFolder
from geochat_eval.runs.predictors import Prediction, Query
from geochat_eval.scorers.labels import plain


class MajorityCaptionPredictor:
    """Answers with one caption for each class.

    Args:
        scenes: A finished run of `ucmerced` on the same images.
        imagery: UC Merced with its captions, of whose training split captions are taken.

    Raises:
        DataError: The run is not finished, or there are no captions.
    """

    sha256 = None

    def __init__(self, scenes: Path, imagery: Path) -> None:
        folder = EvaluationFolder(scenes)
        self.name = f"majority captions, classes by {folder.read_settings().get('model')}"
        rows = (row for _, row in read_jsonl(folder.answers, Report()))
        self._classes = {str(row["image"]): plain(str(row["answer"])) for row in rows}
        self._captions = _commonest(imagery)
        if not self._captions:
            raise DataError(f"{imagery} holds no training captions; name the folder of UC Merced with --images")

    def predict(self, questions: Iterable[Query]) -> Iterator[tuple[int, Prediction | GeoChatError]]:
        """See `Predictor`. The answer is empty if the model named no class."""
        for asked in questions:
            found = self._classes.get(str(asked.row["image"]))
            if found is None:
                yield asked.number, DataError("the run of scenes has no answer for its image")
            else:
                yield asked.number, Prediction(self._captions.get(found, ""))


def _commonest(imagery: Path) -> dict[str, str]:
    """Find the most frequent caption of each class, without validation and overlapping photographs."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for image in read_ucm(imagery, "train", leave_out=read_list("ucm_val") | read_list("ucm_overlap")):
        counts[plain(str(image.scene))].update(image.captions)
    return {scene: captions.most_common(1)[0][0] for scene, captions in counts.items() if captions}
