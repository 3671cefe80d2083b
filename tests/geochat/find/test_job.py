"""A job is one folder: killed at any moment, shared by processes, split into parts, it records each window once."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from geochat.errors import DataError, SettingsError
from geochat.find import plan_windows
from geochat.find.job import Job

SCRIPT = Path(__file__).with_name("slow_search.py")
WINDOWS = 13 * 10  # of 800 x 600 pixels, 100 a side, 60 apart


def start(job, out, seconds):
    command = [sys.executable, str(SCRIPT), str(job), str(out), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def entries(job):
    lines = [line for path in sorted((job / "journal").glob("*.jsonl")) for line in path.read_text().splitlines()]
    return [json.loads(line) for line in lines]


def recorded(job):
    return Counter(entry["number"] for entry in entries(job))


@pytest.fixture(scope="module")
def search(coded):
    """`search(job)` is the search of the script, in this process; `asked` are the windows it asks about."""
    spec = importlib.util.spec_from_file_location("slow_search", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    def begin(job, **options):
        engine = script.helpers.Oracle({"ship": script.SHIPS})
        finding = script.search(engine, job, **options)
        finding.asked = engine.asked
        return finding

    return begin


@pytest.fixture(scope="module")
def whole(tmp_path_factory, search):
    """The layer of a search that nobody disturbs."""
    return finish(search(None), tmp_path_factory.mktemp("whole") / "ships.geojson", WINDOWS)


def finish(finding, out, asked):
    """The layer of a search, which asks about so many windows."""
    for _ in finding:
        pass
    assert len(finding.asked) in ({asked} if isinstance(asked, int) else asked)
    assert finding.complete
    return features(finding.save(out))


def features(path):
    return json.loads(path.read_text())["features"]


def test_a_kill_costs_what_was_being_computed(tmp_path, search, whole):
    job, asked = tmp_path / "job", 0
    for _ in range(2):
        process = start(job, tmp_path / "none.geojson", 0.02)
        for _ in range(25):
            process.stdout.readline()
            asked += 1
        os.kill(process.pid, signal.SIGKILL)
        asked += len(process.communicate()[0].splitlines())
    before = recorded(job)
    assert 30 <= len(before) < WINDOWS
    assert asked <= len(before) + 2  # one window under way at each kill
    assert finish(search(job), tmp_path / "ships.geojson", WINDOWS - len(before)) == whole
    assert recorded(job) == Counter(range(WINDOWS))


def test_processes_share_a_job(tmp_path, whole):
    job = tmp_path / "job"
    processes = [start(job, tmp_path / f"{number}.geojson", 0.02) for number in range(2)]
    asked = [process.communicate(timeout=120)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum(map(len, asked)) == WINDOWS
    assert all(asked)
    assert recorded(job) == Counter(range(WINDOWS))
    written = [features(path) for path in tmp_path.glob("*.geojson")]
    assert written
    assert all(each == whole for each in written)


def test_a_process_takes_over_from_one_that_was_killed(tmp_path, search, whole):
    one = start(tmp_path / "job", tmp_path / "one.geojson", 0.5)
    one.stdout.readline()
    finding = search(tmp_path / "job")
    for _ in finding.asking.run():
        if one.poll() is None:
            os.kill(one.pid, signal.SIGKILL)
            one.communicate()
    assert finding.complete
    assert recorded(tmp_path / "job") == Counter(range(WINDOWS))
    assert features(finding.save(tmp_path / "ships.geojson")) == whole


def test_what_another_process_holds_is_left_to_it(tmp_path, search):
    one = start(tmp_path / "job", tmp_path / "one.geojson", 0.5)
    one.stdout.readline()
    finding = search(tmp_path / "job")
    list(finding)
    assert 0 < len(finding.asked) < WINDOWS
    assert not finding.complete
    os.kill(one.pid, signal.SIGKILL)
    one.communicate()


def test_a_line_torn_by_a_dying_machine_is_asked_about_again(tmp_path, search, whole):
    job, out = tmp_path / "job", tmp_path / "ships.geojson"
    finish(search(job), out, WINDOWS)
    journal = job / "journal" / "0.jsonl"
    content = journal.read_bytes()
    journal.write_bytes(content[: content.rstrip().rfind(b"\n") + 10])
    assert finish(search(job), out, 1) == whole
    assert recorded(job) == Counter(range(WINDOWS))


@pytest.mark.parametrize("place", range(0, 4000, 1954))
def test_a_damaged_line_is_asked_about_again(tmp_path, search, whole, place):
    job, out = tmp_path / "job", tmp_path / "ships.geojson"
    finish(search(job), out, WINDOWS)
    journal = job / "journal" / "0.jsonl"
    content = bytearray(journal.read_bytes())
    content[place] ^= 1
    journal.write_bytes(bytes(content))
    # Two where the byte ended a line; none where it named the checksum: an entry without one is read as an older one.
    assert finish(search(job), out, (1, 2) if content.count(b'"check"') == WINDOWS else 0) == whole


def test_parts_of_a_split_job(tmp_path, search, whole):
    job, asked = tmp_path / "job", Counter()
    for part in range(3):
        finding = search(job, share=(part, 3))
        list(finding)
        assert 0 < len(finding.asked) < WINDOWS
        assert finding.complete is (part == 2)
        asked.update(finding.asked)
    assert set(asked.values()) == {1}
    assert recorded(job) == Counter(range(WINDOWS))
    assert features(finding.save(tmp_path / "ships.geojson")) == whole


def test_an_interrupt_leaves_a_layer_of_what_was_done(oracle, coded, truth, tmp_path):
    chat = oracle({"ship": truth.boxes((10, 10, 40, 30), (700, 500, 740, 530))})
    options = {"window": 100, "overlap": 40, "job": tmp_path / "job"}

    def interrupt(window, _):
        if len(chat.engine.asked) == 40:
            raise KeyboardInterrupt
        return False

    chat.engine.failing = interrupt
    finding = chat.find(coded(800, 600), "ship", **options)
    with pytest.raises(KeyboardInterrupt):
        list(finding)
    out = finding.save(tmp_path / "part.geojson")
    assert len(features(out)) == 1
    reasons = Counter(row.properties["reason"] for row in finding.not_looked_at())
    assert reasons == {"not reached": WINDOWS - 39}
    again = chat.find(coded(800, 600), "ship", **options)
    assert len(list(again)) == 2
    assert len(chat.engine.asked) == WINDOWS + 1


def test_windows_that_failed_are_asked_about_again_when_that_is_wanted(oracle, coded, truth, tmp_path):
    chat = oracle({"ship": truth.boxes((10, 10, 40, 30))})
    options = {"window": 100, "overlap": 40, "job": tmp_path / "job"}
    chat.engine.failing = lambda window, _: window[:2] == (0, 0)
    finding = chat.find(coded(300, 300), "ship", **options)
    assert not list(finding)
    assert (finding.complete, finding.progress.failed) == (True, 1)
    chat.engine.failing = lambda *_: False
    assert not list(chat.find(coded(300, 300), "ship", **options))
    again = chat.find(coded(300, 300), "ship", **options, retry=True)
    assert len(list(again)) == 1
    assert again.progress.failed == 0


@pytest.mark.parametrize(
    ("phrase", "options"),
    [("tank", {}), ("ship", {"window": 120}), ("ship", {"max_boxes": 3}), ("ship", {"area": None, "scales": (1, 2)})],
)
def test_the_folder_of_another_job_is_refused(oracle, coded, truth, tmp_path, phrase, options):
    chat = oracle({"ship": truth.boxes((10, 10, 40, 30))})
    given = {"window": 100, "overlap": 40, "job": tmp_path / "job"}
    list(chat.find(coded(300, 300), "ship", **given))
    with pytest.raises(SettingsError, match="holds another job"):
        chat.find(coded(300, 300), phrase, **{**given, **options})
    assert chat.find(coded(300, 300), phrase, **{**given, **options}, restart=True).progress.done == 0


def test_a_lower_score_or_limit_needs_no_other_job(oracle, coded, truth, tmp_path):
    chat = oracle({"ship": truth.boxes((10, 10, 40, 30))})
    given = {"window": 100, "overlap": 40, "job": tmp_path / "job"}
    assert len(list(chat.find(coded(300, 300), "ship", **given))) == 1
    asked = len(chat.engine.asked)
    assert not list(chat.find(coded(300, 300), "ship", **given, min_score=0.99))
    assert len(chat.engine.asked) == asked


def test_a_scene_that_was_changed_is_another_one(oracle, write_scene, coded, truth, tmp_path):
    chat = oracle({"ship": truth.boxes((10, 10, 40, 30))})
    given = {"window": 100, "overlap": 40, "job": tmp_path / "job"}
    list(chat.find(write_scene(300, 300), "ship", **given))
    with pytest.raises(SettingsError, match="fingerprint is"):
        chat.find(write_scene(300, 300, pixels=coded(300, 300)[::-1]), "ship", **given)


def test_a_damaged_manifest_is_told(tmp_path):
    plan = plan_windows((300, 300), 100)
    Job(tmp_path / "job", {"kind": "find"}, plan)
    (tmp_path / "job" / "job.json").write_text("{")
    with pytest.raises(DataError, match=r"job.json is damaged"):
        Job(tmp_path / "job", {"kind": "find"}, plan)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be created"):
        Job(tmp_path / "file" / "job", {}, plan_windows((300, 300), 100))


def test_a_job_at_work_is_not_emptied(tmp_path):
    plan = plan_windows((300, 300), 100)
    with Job(tmp_path / "job", {}, plan), pytest.raises(DataError, match="at work"):
        Job(tmp_path / "job", {}, plan, restart=True)


def test_leaving_the_loop_ends_the_reading(oracle, coded, truth):
    before = set(threading.enumerate())
    finding = oracle({"ship": truth.boxes((10, 10, 40, 30))}).find(coded(800, 600), "ship", window=100, overlap=40)
    for _ in finding:
        break
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("geochat")]


def test_damage_at_the_corner_is_one_window_s_too(oracle, write_scene, truth):
    path = write_scene(800, 600)
    content = bytearray(path.read_bytes())
    content[1500:3500] = b"\xff" * 2000
    path.write_bytes(bytes(content))
    finding = oracle({"ship": truth.boxes((700, 500, 740, 530))}).find(path, "ship", window=100, overlap=40)
    assert len(list(finding)) == 1
    assert 0 < finding.progress.failed < WINDOWS


def test_an_error_while_reading_is_one_window_s(oracle, write_scene, coded, truth, tmp_path):
    path = write_scene(800, 600)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 200] = bytes(200)
    path.write_bytes(bytes(content))
    finding = oracle({"ship": truth.boxes((10, 10, 40, 30))}).find(path, "ship", window=100, overlap=40)
    assert len(list(finding)) == 1
    assert finding.complete
    assert 0 < finding.progress.failed < WINDOWS
    assert all("failed: " in row.properties["reason"] for row in finding.not_looked_at())
