"""Runs on a Ray cluster of two nodes on this machine: `ray_runs.py whole|killed|random|memory FOLDER`.

Each starts and ends a cluster of its own. Writes one JSON object.
"""

import importlib.util
import json
import os
import random
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

STAND_IN = Path(__file__).with_name("stand_in.py")


def stand_in():
    """The stand-in's module; a worker has no other way to it."""
    spec = importlib.util.spec_from_file_location("archive_stand_in", STAND_IN)
    module = importlib.util.module_from_spec(spec)
    sys.modules["archive_stand_in"] = module
    spec.loader.exec_module(module)
    return module


def load(path, seconds, log):
    """The engine of a worker."""
    import importlib.util
    import sys

    spec = importlib.util.spec_from_file_location("archive_stand_in", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["archive_stand_in"] = module
    spec.loader.exec_module(module)
    return module.Bright(seconds, log)


def resident_mib():
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def lose_at_random(log, told):
    """Kill one of the workers that answered last, five times, at random moments."""
    choose, told["killed"] = random.Random(7), []
    while len(told["killed"]) < 5:
        time.sleep(choose.uniform(1, 4))
        alive = [pid for pid in sorted(set(log.read_text().split()[-20:])) if Path(f"/proc/{pid}").exists()]
        if alive:
            told["killed"].append(len(log.read_text().split()))
            os.kill(int(choose.choice(alive)), signal.SIGKILL)


def main(what, folder):
    """Run, and tell about it."""
    import ray
    from ray.cluster_utils import Cluster as Nodes

    from geochat.archive import Archive, Manifest, SceneWork, SceneWriter, finish, list_scenes
    from geochat.archive.cluster import Cluster, connected
    from geochat.archive.on_ray import model_there, run_on_ray

    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": 200_000_000})
    second = nodes.add_node(num_cpus=2, object_store_memory=200_000_000)
    ray.init(address=nodes.address, log_to_driver=False, logging_level="ERROR")
    log = folder / "answers.log"
    log.touch()
    engine = partial(load, str(STAND_IN), 0.15 if what in ("killed", "random") else 0.0, str(log))
    where = Cluster(nodes.address, workers=2, batch=16 if what == "memory" else 4)
    told = {}

    def lose():
        """Kill a worker, and later the second node."""
        while len(pids := sorted({int(line) for line in log.read_text().split()})) < 1:
            time.sleep(0.05)
        told["killed_after"] = len(log.read_text().split())
        os.kill(pids[0], signal.SIGKILL)
        before = told["killed_after"]
        while len(log.read_text().split()) < before + 12:
            time.sleep(0.05)
        told["removed_after"] = len(log.read_text().split())
        nodes.remove_node(second, allow_graceful=False)

    try:
        with connected(where):
            words = [str(folder / "scenes" / "*.tif"), *([str(folder / "gone.tif")] if what != "memory" else [])]
            listed = list_scenes([str(folder / "list.txt")] if what == "random" else words)
            work = SceneWork("find", ("ship",), {"window": 64, "overlap": 16})
            archive = Archive(folder / "job", Manifest(listed.scenes), work, model_there(where, engine))
            if what in ("killed", "random"):
                losing = lose if what == "killed" else partial(lose_at_random, log, told)
                threading.Thread(target=losing, daemon=True).start()
            begun, memory = time.perf_counter(), []
            for steps, _ in enumerate(run_on_ray(archive, engine, SceneWriter(archive), where), 1):
                if steps % 500 == 0:
                    memory.append(round(resident_mib()))
                    sys.stderr.write(f"{steps} scenes: {memory[-1]} MiB\n")
            told |= {"seconds": round(time.perf_counter() - begun, 1), "memory_mib": memory}
            finish(archive)
    finally:
        ray.shutdown()
        for node in [*nodes.worker_nodes, nodes.head_node]:
            node.kill_all_processes(check_alive=False, allow_graceful=False)
    told["answers"] = len(log.read_text().split())
    sys.stdout.write(f"{json.dumps(told)}\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
