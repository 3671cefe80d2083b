"""Items spread over a Ray cluster: read tasks make rows of each, workers that hold a model answer them, in a stream.

Ray Data does it: it starts the workers, keeps them fed without running far ahead of them, and does again what a worker
or a machine took with it when it was lost. Rows are JSON values. Needs the extra "ray".
"""

import json
import logging
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from geochat.errors import EngineError, SettingsError

_BLOCKS = 256  # groups of items
_ROW_BYTES = 128  # a row is longer, so blocks are shorter than what a worker takes, and are bundled for it
Row = dict[str, Any]
Expand = Callable[[int], Iterator[Row]]
"""The rows of an item, by its number; run in tasks of the cluster."""
Answer = Callable[[list[Row]], list[Row]]
"""Rows answered, as many as there were; run by a worker."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where work is done, and by how many workers.

    Attributes:
        address: "local" starts a Ray on this machine; "auto" joins the one that runs here; else the address of one, as
            ray://host:10001 or host:6379.
        workers: How many hold a model; None takes as many as the cluster has room for.
        cpus: Of a worker.
        gpus: Of a worker; less than 1 where several share one, None where there are none.
        batch: Rows that a worker takes at once.

    Raises:
        SettingsError: A number is impossible.
    """

    address: str
    workers: int | None = None
    cpus: float = 1.0
    gpus: float | None = None
    batch: int = 16

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise SettingsError(f"--workers {self.workers} leaves nobody to work; give 1 or more")
        if self.cpus <= 0 or (self.gpus is not None and self.gpus <= 0):
            raise SettingsError("a worker needs some CPU, and more than 0 of a GPU where it is given one")


@contextmanager
def connected(cluster: Cluster) -> "Iterator[Any]":
    """Ray, connected; left again at the end, unless the process was connected before.

    Raises:
        SettingsError: Ray is not installed.
        EngineError: There is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no network unless asked
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what is lost and done again is no error
    try:
        import ray  # noqa: PLC0415 - 617 MB, an extra
        import ray.data  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError("--ray needs Ray; install geochat[ray], here and on the cluster") from error
    before = ray.is_initialized()
    if not before:
        try:
            own = {"num_cpus": _needed(cluster)} if cluster.address == "local" else {}
            ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR, **own)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise EngineError(
                f"there is no Ray at {cluster.address} ({error}); start one, or give --ray local"
            ) from error
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    try:
        yield ray
    finally:
        if not before:
            ray.shutdown()


def called_there(cluster: Cluster, function: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the function returns
    """What a function returns on a machine that has room for a worker; to be called while `connected`.

    Raises:
        EngineError: There is no room for a worker.
        Exception: What the function raises.
    """
    import ray  # noqa: PLC0415

    _workers(cluster)
    told = ray.remote(num_cpus=cluster.cpus, num_gpus=cluster.gpus or 0, max_retries=3)(function)
    try:
        return ray.get(told.remote())
    except ray.exceptions.RayTaskError as error:
        raise (error.cause if isinstance(error.cause, Exception) else error) from None


def answered_there(cluster: Cluster, count: int, expand: Expand, load: Callable[[], Answer]) -> Iterator[Row]:
    """Answer the rows of items on the cluster; to be called while `connected`.

    Rows come in any order, each once, as long as a worker can be had. Leaving the iterator ends the computation.

    Args:
        cluster: Where, and by how many.
        count: How many items there are.
        expand: Makes the rows of an item.
        load: Makes what answers; called once in each worker.

    Raises:
        EngineError: The workers cannot be started, or fail otherwise than by being lost.
    """
    import ray  # noqa: PLC0415

    def rows(items: dict[str, Any]) -> Iterator[dict[str, list[str]]]:
        return ({"row": [json.dumps(row)]} for item in items["item"] for row in expand(int(item)))

    class Worker:
        def __init__(self) -> None:
            self._answer = load()

        def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
            return {"row": [json.dumps(row) for row in self._answer([json.loads(row) for row in batch["row"]])]}

    workers, context = _workers(cluster), ray.data.DataContext.get_current()
    usual, context.target_max_block_size = context.target_max_block_size, _ROW_BYTES * cluster.batch
    # Tasks that lay out rows take no CPU: they run also where workers hold all that a smaller cluster has left.
    answered = (
        ray.data.from_items([{"item": item} for item in range(count)], override_num_blocks=min(count, _BLOCKS))
        .map_batches(rows, batch_size=1, num_cpus=0, compute=ray.data.TaskPoolStrategy(size=max(2, workers)))
        .map_batches(
            Worker,
            batch_size=cluster.batch,
            compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
            num_cpus=cluster.cpus,
            num_gpus=cluster.gpus,
        )
    )
    try:
        for row in answered.iter_rows():
            yield json.loads(row["row"])
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        raise EngineError(f"the workers on Ray failed: {str(cause).strip().splitlines()[-1]}") from error
    finally:
        context.target_max_block_size = usual


def _needed(cluster: Cluster) -> int:
    """Logical CPUs of a Ray on this machine: those it has, or what the workers that are wanted need."""
    return max(os.cpu_count() or 1, math.ceil((cluster.workers or 1) * cluster.cpus))


def _workers(cluster: Cluster) -> int:
    """Number of workers: those wanted, or those that there is room for.

    Raises:
        EngineError: There is no room for them; Ray would wait for it without a word.
    """
    import ray  # noqa: PLC0415

    has = ray.cluster_resources()
    cpus, gpus = has.get("CPU", 0.0), has.get("GPU", 0.0)
    room = int(min(cpus / cluster.cpus, gpus / cluster.gpus if cluster.gpus else math.inf))
    wanted = cluster.workers or room
    if not 1 <= wanted <= room:
        raise EngineError(
            f"the cluster has {cpus:g} CPUs and {gpus:g} GPUs, room for {room} workers; give fewer (--workers), or "
            "less to each (--cpus-per-worker, --gpus-per-worker)"
        )
    return wanted
