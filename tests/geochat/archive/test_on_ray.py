"""Archives on Ray: two nodes on this machine, workers and machines lost, and jobs that others began."""

import importlib.util
import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from geochat.archive import Archive, Manifest, SceneWork, SceneWriter, Status, list_scenes, on_ray, run_here
from geochat.archive.cluster import Cluster
from geochat.archive.on_ray import Collector, scene_rows, worker
from geochat.errors import EngineError

HERE = Path(__file__).parent
spec = importlib.util.spec_from_file_location("archive_stand_in", HERE / "stand_in.py")
stand_in = importlib.util.module_from_spec(spec)
sys.modules["archive_stand_in"] = stand_in
spec.loader.exec_module(stand_in)
Bright, rows, windows = stand_in.Bright, stand_in.rows, stand_in.windows

WORK = SceneWork("find", ("ship",), {"window": 64, "overlap": 16})


@pytest.fixture
def scenes(tmp_path):
    """Twelve scenes of two CRSs, the second of them truncated."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    for number in range(12):
        crs = "EPSG:4326" if number % 3 == 0 else "EPSG:32631"
        stand_in.write_scene(folder / f"{number:02}.tif", (200, 200), ((20 + number, 30, 60 + number, 50),), crs)
    damaged = folder / "01.tif"
    damaged.write_bytes(damaged.read_bytes()[:-300])
    return folder


def begin(tmp_path, name):
    listed = list_scenes([str(tmp_path / "scenes" / "*.tif"), str(tmp_path / "gone.tif")])
    return Archive(tmp_path / name, Manifest(listed.scenes), WORK, Bright().info)


def run_whole(tmp_path):
    archive = begin(tmp_path, "whole")
    entries = dict(run_here(archive, Bright(), SceneWriter(archive)))
    assert len(entries) == 13
    return rows(tmp_path / "whole")


def run_ray(tmp_path, what):
    pytest.importorskip("ray", reason="needs Ray (the extra ray)")
    command = [sys.executable, str(HERE / "ray_runs.py"), what, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def require_same(found, whole):
    """Require the same rows, each once, in one order; scores within 1e-4."""
    assert [row[:2] for row in found] == [row[:2] for row in whole]
    assert [row[2] for row in found] == pytest.approx([row[2] for row in whole], abs=1e-4)


def test_what_workers_answer_makes_the_same_rows(scenes, tmp_path):
    """The way of a window over Ray, without Ray; some rows come twice, as from a worker that was lost."""
    whole = run_whole(tmp_path)
    archive = begin(tmp_path, "job")
    answer = pickle.loads(pickle.dumps(partial(worker, archive.work, Bright, archive.manifest)))()
    with archive.job, Status(archive) as status:
        numbers = list(archive.job.numbers())
        collector = Collector(archive, SceneWriter(archive), status)
        sent = json.loads(json.dumps([row for number in numbers for row in scene_rows(archive, number)]))
        entries = {}
        for start in reversed(range(0, len(sent), 7)):
            answered = json.loads(json.dumps(answer(sent[start : start + 7])))
            for row in (*answered, *answered[:2]):
                entries |= dict(collector.take(row))
        entries |= dict(collector.written(wait=True))
        collector.close()
    assert sorted(entries) == list(range(13))
    assert [number for number, entry in entries.items() if "error" in entry].__len__() == 2
    require_same(rows(tmp_path / "job"), whole)
    assert set(Counter(windows(tmp_path / "job")).values()) == {1}


def test_a_worker_whose_model_answers_nothing_ends_the_run(tmp_path):
    """Fifty windows in a row of one worker, though another answers in between."""
    stand_in.write_scene(tmp_path / "a.tif", (640, 640))
    archive = Archive(tmp_path / "job", Manifest(list_scenes([str(tmp_path / "a.tif")]).scenes), WORK, Bright().info)
    good, bad = (
        {"entry": {"answers": [{"boxes": []}]}, "unanswered": False},
        {"entry": {"error": "gone"}, "unanswered": True},
    )
    with archive.job, Status(archive) as status:
        rows = [row for number in archive.job.numbers() for row in scene_rows(archive, number)]
        collector = Collector(archive, SceneWriter(archive), status)
        for place, row in enumerate(rows[:99]):
            reply = {"worker": "b", **bad} if place % 2 else {"worker": "a", **good}
            assert list(collector.take({**row, **reply})) == []
        with pytest.raises(EngineError, match=r"last 50 windows got no answer: gone \(worker b\)"):
            list(collector.take({**rows[99], "worker": "b", **bad}))
        collector.close()


def test_a_worker_refuses_windows_of_scenes_that_it_cannot_open(tmp_path):
    scene = stand_in.write_scene(tmp_path / "a.tif")
    archive = Archive(tmp_path / "job", Manifest(list_scenes([str(scene)]).scenes), WORK, Bright().info)
    sent = list(scene_rows(archive, 0))
    scene.unlink()
    answered = worker(archive.work, Bright, archive.manifest)(sent)
    assert len(answered) == len(sent)
    assert all("does not exist" in row["refused"] and "entry" not in row for row in answered)


@pytest.mark.slow
def test_a_machine_that_cannot_open_scenes_makes_none_fail(scenes, tmp_path, monkeypatch):
    """Its windows and its scenes are left to another round, of other machines."""
    whole, rounds = run_whole(tmp_path), []

    def answered_there(cluster, count, expand, load):
        rounds.append(count)
        answer = load()
        for item in range(count):
            lost = len(rounds) == 1 and item % 3 == 0  # the disk, to the task that lays out, or to the worker
            if lost and item % 2:
                yield {"scene": item, "error": "does not exist"}
                continue
            sent = list(expand(item))
            if lost:
                yield from ({**row, "refused": "does not exist", "worker": "lost"} for row in sent)
            else:
                yield from answer(sent)

    monkeypatch.setattr(on_ray, "answered_there", answered_there)
    archive = begin(tmp_path, "job")
    entries = dict(on_ray.run_on_ray(archive, Bright, SceneWriter(archive), Cluster("local")))
    assert rounds == [13, 4]  # 0, 3, 6 and 9; 12 is missing here, too
    assert [number for number, entry in sorted(entries.items()) if "error" in entry] == [1, 12]
    require_same(rows(tmp_path / "job"), whole)


@pytest.mark.slow
def test_addresses_without_a_cluster_end_soon(tmp_path):
    pytest.importorskip("ray", reason="needs Ray (the extra ray)")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    script = (
        "import sys, time; from geochat.archive.cluster import Cluster, connected; import ray.data\n"
        "begun = time.monotonic()\n"
        "try:\n    connected(Cluster(sys.argv[1])).__enter__()\n"
        "except Exception as error:\n    print(time.monotonic() - begun, error)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    for address, message in (
        ("auto", "start a cluster with `ray start --head`, give the address of one, or --ray local"),
        (f"127.0.0.1:{port}", "no Ray answers"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", script, address], capture_output=True, text=True, env=environment, check=True
        )
        seconds, said = done.stdout.split(maxsplit=1)
        assert message in said
        assert float(seconds) < 10


@pytest.mark.slow
def test_two_nodes_give_the_rows_of_one_process(scenes, tmp_path):
    whole = run_whole(tmp_path)
    run_ray(tmp_path, "whole")
    require_same(rows(tmp_path / "job"), whole)
    assert Counter(windows(tmp_path / "job")) == Counter(windows(tmp_path / "whole"))


@pytest.mark.slow
def test_a_killed_worker_and_a_lost_node_lose_nothing(scenes, tmp_path):
    whole = run_whole(tmp_path)
    told = run_ray(tmp_path, "killed")
    assert told["killed_after"] < told["removed_after"] < told["answers"]
    require_same(rows(tmp_path / "job"), whole)
    assert Counter(windows(tmp_path / "job")) == Counter(windows(tmp_path / "whole"))


@pytest.mark.slow
def test_workers_lost_at_random_and_a_list_with_duplicates(scenes, tmp_path):
    """Five workers killed; a list of two CRSs with a link, a copy, a name twice, and scenes missing and damaged."""
    whole = run_whole(tmp_path)
    shutil.copy(scenes / "03.tif", scenes / "copy.tif")
    (scenes / "link.tif").symlink_to(scenes / "04.tif")
    names = [*(f"scenes/{number:02}.tif" for number in range(12)), "gone.tif", "scenes/05.tif", "scenes/*.tif"]
    (tmp_path / "list.txt").write_text("\n".join(names))
    told = run_ray(tmp_path, "random")
    assert len(told["killed"]) == 5
    require_same(rows(tmp_path / "job"), whole)
    assert Counter(windows(tmp_path / "job")) == Counter(windows(tmp_path / "whole"))


@pytest.mark.slow
def test_ray_and_parts_finish_each_others_job(scenes, tmp_path):
    whole = run_whole(tmp_path)
    pytest.importorskip("ray", reason="needs Ray (the extra ray)")
    archive = begin(tmp_path, "job")
    assert len(dict(run_here(archive, Bright(), SceneWriter(archive), share=(0, 3)))) == 5
    script = (
        f"import sys; sys.path.insert(0, {str(HERE)!r}); from test_on_ray import *\n"
        f"archive = begin(Path({str(tmp_path)!r}), 'job')\n"
        "list(run_here(archive, Bright(0.2), SceneWriter(archive), share=(1, 3), "
        "tell=lambda status: print(status.windows, flush=True)))"
    )
    part = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    for _ in range(20):  # one scene, and a piece of the next
        part.stdout.readline()
    part.kill()
    part.communicate()
    before = len(windows(tmp_path / "job"))
    told = run_ray(tmp_path, "whole")
    assert told["answers"] < len(windows(tmp_path / "whole")) - before + 20  # what failed was asked again
    require_same(rows(tmp_path / "job"), whole)
    assert Counter(windows(tmp_path / "job")) == Counter(windows(tmp_path / "whole"))
    again = begin(tmp_path, "job")
    assert dict(run_here(again, Bright(), SceneWriter(again))) == {}
