"""Items spread over a Ray cluster: read tasks make rows of each, workers that hold a model answer them, in a stream.

Ray Data does it: it starts the workers, keeps them fed without running far ahead of them, and does again what a worker
or a machine took with it when it was lost. Rows are JSON values. Needs the extra "ray".
"""

import json
import logging
import math
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from geochat.errors import EngineError, SettingsError

_BLOCKS = 256  # groups of items
_ROW_BYTES = 128  # a row is longer, so blocks are shorter than what a worker takes, and are bundled for it
_REACHED_S = 5.0  # within which a cluster's port answers
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))  # RFC 9113: preface, settings
_SETTINGS = 4  # type of the frame that a server answers with
Row = dict[str, Any]
Expand = Callable[[int], Iterator[Row]]
"""The rows of an item, by its number; run in tasks of the cluster."""
Answer = Callable[[list[Row]], list[Row]]
"""Rows answered, as many as there were; run by a worker."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Address of a Ray cluster, and the number of workers.

    Attributes:
        address: "local" starts a Ray on this machine; "auto" joins the one that this machine belongs to; else the
            address of its head, as host:6379.
        workers: Number of workers with a model; None uses as many as the cluster has room for.
        cpus: Of a worker.
        gpus: Of a worker; less than 1 where several share one, None where there are none.
        batch: Rows that a worker takes at once.

    Raises:
        SettingsError: A number is impossible, or the address is that of a Ray client.
    """

    address: str
    workers: int | None = None
    cpus: float = 1.0
    gpus: float | None = None
    batch: int = 16

    def __post_init__(self) -> None:
        if "://" in self.address:
            raise SettingsError(
                f"--ray {self.address} is for Ray clients, to which Ray Data streams nothing; run this on a machine of "
                "the cluster with --ray auto, or hand it in there with `ray job submit`"
            )
        if self.workers is not None and self.workers < 1:
            raise SettingsError(f"--workers {self.workers} leaves nobody to work; give 1 or more")
        if self.cpus <= 0 or (self.gpus is not None and self.gpus <= 0):
            raise SettingsError("a worker needs some CPU, and more than 0 of a GPU where it is given one")


@contextmanager
def connected(cluster: Cluster) -> "Iterator[Any]":
    """Ray, connected; left again at the end, unless the process was connected before.

    Raises:
        SettingsError: Ray is not installed, or the address is none.
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
            if cluster.address == "auto":
                _require_cluster()
            elif cluster.address != "local":
                require_reachable(cluster.address)
            own = {"num_cpus": _needed(cluster)} if cluster.address == "local" else {}
            ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR, **own)
        except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            if cluster.address == "local":
                raise EngineError(f"Ray cannot be started on this machine: {error}") from error
            raise EngineError(
                f"--ray {cluster.address} cannot be joined ({error}); run this on a machine of the cluster, with its "
                "version of Ray, and with RAY_AUTH_MODE=token if `ray start --head` said that authentication is on"
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
    """Call a function on a machine with room for a worker, and return its result; to be called while `connected`.

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

    Rows arrive in any order, each once, as long as a worker is available. Leaving the iterator ends the computation.

    Args:
        cluster: The cluster.
        count: Number of items.
        expand: Returns the rows of an item.
        load: Loads the predictor; called once in each worker.

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


def require_reachable(address: str, within: float = _REACHED_S) -> None:
    """Require that a gRPC server, as Ray's is, answers at an address. Ray itself tries for minutes, and then aborts.

    Args:
        address: As host:port.
        within: Seconds to wait for the connection, and for the answer.

    Raises:
        SettingsError: The address has no host or port.
        EngineError: Nothing answers there, or something that is not Ray.
    """
    try:
        url = urlsplit(f"//{address}")
        host, port = url.hostname, url.port
    except ValueError:  # a port that is no number
        host, port = None, None
    if not host or not port:
        raise SettingsError(f"--ray {address} is no address; give HOST:6379, auto or local")
    encrypted = os.environ.get("RAY_USE_TLS", "0") not in ("0", "false", "")
    try:
        with socket.create_connection((host, port), within) as connection:
            connection.sendall(b"" if encrypted else _HTTP2)
            answer = b"" if encrypted else connection.recv(9)  # the head of a frame: length, type, flags, stream
    except OSError as error:
        raise EngineError(
            f"no Ray answers at {address} ({error}); check the address that `ray start --head` printed, or give "
            "--ray local"
        ) from error
    if not encrypted and answer[3:4] != bytes((_SETTINGS,)):
        raise EngineError(
            f"what listens at {address} is not Ray; its port is the one that `ray start --head` printed, usually 6379"
        )


def _require_cluster() -> None:
    """Require a cluster to which this machine belongs, or that RAY_ADDRESS names.

    Raises:
        EngineError: There is none, or it has ended.
    """
    from ray._private.services import canonicalize_bootstrap_address_or_die  # noqa: PLC0415 - as `ray.init` finds it

    try:
        require_reachable(canonicalize_bootstrap_address_or_die("auto"))
    except (ConnectionError, EngineError) as error:
        reason = str(error).partition(" Please")[0].partition(";")[0].rstrip(".")
        raise EngineError(
            f"--ray auto: {reason}; start a cluster with `ray start --head`, give the address of one, or --ray local, "
            "which starts one for this command alone"
        ) from error


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
