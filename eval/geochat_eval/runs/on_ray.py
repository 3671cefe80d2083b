"""Predictor that runs a model on a Ray cluster: questions are the rows, each worker holds the model."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from geochat.archive.cluster import Answer, Cluster, Row, answered_there
from geochat.archive.on_ray import model_there
from geochat.dialects import Dialect
from geochat.engines import Engine
from geochat.errors import GeoChatError
from geochat_eval.runs.predictors import ChatPredictor, Prediction, Query


class RayPredictor:
    """Answers with workers of a cluster as `ChatPredictor` does; to be used while `connected`.

    The images must have the same paths on all machines. Questions are held in memory, and those of one image go to one
    worker.

    Args:
        cluster: The cluster.
        engine: Opens the engine of a worker.

    Raises:
        GeoChatError: The model cannot be loaded there.
    """

    def __init__(self, cluster: Cluster, engine: Callable[[], Engine]) -> None:
        self._cluster, self._engine = cluster, engine
        info = model_there(cluster, engine)
        self.name: str = info.name
        self.sha256: str | None = info.sha256
        self.dialect: Dialect = info.dialect

    def predict(self, questions: Iterable[Query]) -> Iterator[tuple[int, Prediction | GeoChatError]]:
        """See `Predictor`."""
        groups = [[_to_row(each) for each in group] for _, group in groupby(questions, key=lambda each: each.image)]
        if not groups:
            return
        rows = answered_there(self._cluster, len(groups), partial(_rows, groups), partial(_worker, self._engine))
        for row in rows:
            told = row["reply"]
            yield row["number"], GeoChatError(told["error"]) if "error" in told else Prediction(**told)


def _rows(groups: list[list[Row]], item: int) -> Iterator[Row]:
    return iter(groups[item])


def _worker(engine: Callable[[], Engine]) -> Answer:
    predictor = ChatPredictor(engine())

    def answer(rows: list[Row]) -> list[Row]:
        replies = predictor.predict(_from_row(row) for row in rows)
        return [{"number": number, "reply": _told(reply)} for number, reply in replies]

    return answer


def _to_row(asked: Query) -> Row:
    """Convert a question to a row for a worker, without its truth."""
    return {
        "number": asked.number,
        "prompt": asked.prompt,
        "image": None if asked.image is None else str(asked.image),
        "max_new_tokens": asked.max_new_tokens,
        "choices": list(asked.row.get("choices", ())),
    }


def _from_row(row: Row) -> Query:
    image = None if row["image"] is None else Path(row["image"])
    return Query(row["number"], row["prompt"], image, row["max_new_tokens"], {"choices": row["choices"]})


def _told(reply: Prediction | GeoChatError) -> dict[str, Any]:
    if isinstance(reply, GeoChatError):
        return {"error": str(reply)}
    return {
        "text": reply.text,
        "finish": reply.finish,
        "written": reply.written,
        "choice_method": reply.choice_method,
        "probabilities": None if reply.probabilities is None else dict(reply.probabilities),
    }
