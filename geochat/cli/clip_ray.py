"""`geochat clip classify --ray`: images classified by the workers of a Ray cluster."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from geochat.cli.archives import cluster
from geochat.cli.images import ImageName
from geochat.errors import EngineError, ImageError

if TYPE_CHECKING:
    from geochat.archive.cluster import Answer, Cluster, Row
    from geochat.clip import Classification, Classifier

Load = Callable[[], "Classifier"]
OnError = Callable[[ImageName, Exception], object]


def classified(
    args: argparse.Namespace, files: Sequence[ImageName], load: Load, opener: Callable[..., Any], on_error: OnError
) -> "tuple[Sequence[str], Iterator[Classification]]":
    """Return the classes and an iterator of classified images, in order; the cluster is left when the iterator ends.

    Args:
        args: With `batch_size` and the options of the cluster.
        files: The images, which must be there under the same names.
        load: Loads the classifier of a worker.
        opener: Opens an image.
        on_error: Called with an image that cannot be read, which is left out.

    Raises:
        GeoChatError: Ray is not installed, there is no such cluster, or the classifier cannot be loaded there.
    """
    results = _results(replace(cluster(args), batch=args.batch_size), files, load, opener, on_error)
    classes: Sequence[str] = next(results)
    return classes, results


def _results(
    where: "Cluster", files: Sequence[ImageName], load: Load, opener: Callable[..., Any], on_error: OnError
) -> Iterator[Any]:
    """Yield the classes, then each image's result."""
    from geochat.archive.cluster import answered_there, called_there, connected
    from geochat.clip import Classification

    with connected(where):
        yield called_there(where, lambda: list(load().classes))
        rows = answered_there(where, len(files), _row, partial(_worker, files, load, opener))
        early: dict[int, Row] = {}
        for number, file in enumerate(files):
            while number not in early:
                if (row := next(rows, None)) is None:
                    raise EngineError(f"{file} did not come back from Ray; run the same command again")
                early[row["number"]] = row
            told = early.pop(number)
            if "error" in told:
                on_error(file, ImageError(told["error"]))
            else:
                yield Classification(**told["found"])


def _row(item: int) -> "Iterator[Row]":
    yield {"number": item}


def _worker(files: Sequence[ImageName], load: Load, opener: Callable[..., Any]) -> "Answer":
    classifier = load()

    def answer(rows: "list[Row]") -> "list[Row]":
        errors: dict[str, str] = {}

        def failed(image: object, error: Exception) -> None:
            errors[str(image)] = str(error)

        wanted = [files[row["number"]] for row in rows]
        found = classifier.classify_many(wanted, batch_size=len(wanted), opener=opener, on_error=failed)
        by_place = iter(list(found))
        answered = []
        for row, file in zip(rows, wanted, strict=True):
            if str(file) in errors:
                answered.append({**row, "error": errors[str(file)]})
            else:
                each = next(by_place)
                result = {"image": each.image, "label": each.label, "probabilities": dict(each.probabilities)}
                answered.append({**row, "found": result})
        return answered

    return answer
