"""Packages of others extend GeoChat by entry points alone: one member of each extension point, from outside.

The package lies on the path as pip would install it: a module and its metadata. A process of its own finds it, because
a registry looks for packages once.
"""

import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/extending.md"
SOURCES = [ROOT, *(ROOT / name for name in ("data", "eval", "train", "serve"))]

MODULE = '''
from dataclasses import replace

from geochat.dialects import GEOCHAT
from geochat.engines import Chunk, Usage, complete, one_by_one
from geochat.models import ModelInfo, Settings
from geochat_data.readers import Label, labelled_image
from geochat_eval.benchmarks import Benchmark, Item
from geochat_eval.bootstrap import Shares
from geochat_eval.scorers import Scored

DIALECT = replace(GEOCHAT, name="theirs", empty="none of these")


def read(source):
    """Lines of: image, category, x1, y1, x2, y2."""
    for line in source.path.read_text().splitlines():
        name, category, *numbers = line.split(",")
        x1, y1, x2, y2 = map(float, numbers)
        label = Label(category, [(x1, y1), (x2, y1), (x2, y2), (x1, y2)], line)
        yield from labelled_image(source, source.path.parent / name, [label], categories=["ship"])


class Exporter:
    suffixes = (".theirs",)
    holds_second_table = False

    def write(self, path, layer, features, not_looked_at):
        path.write_text("".join(f"{feature.phrase}\\n" for feature in features))
        return path


class Engine:
    info = ModelInfo(Settings("theirs"), 504, 14)

    def stream(self, request):
        ship = "<p>ship</p> {<10><10><30><30>|<90>}"
        yield Chunk(ship if "ship" in request.messages[-1].text else "an airfield", "stop", Usage(1, 1))

    def generate(self, request):
        return complete(self.stream(request))

    def stream_batch(self, requests):
        return one_by_one(self, requests)

    def cancel(self, request_id):
        pass


EXPORTER = Exporter()


class Scorer:
    def __init__(self, settings):
        self.shares = Shares(("short",), replicates=settings.replicates, seed=settings.seed)

    def add(self, answer):
        self.shares.add([(len(answer.text) < 20, 1)], (), answer.unit_name)
        return 1.0

    def result(self):
        return Scored(self.shares.figures())


def questions(sources, report):
    for number in range(2):
        report.used += 1
        yield Item(number, "a.png", "What?", "an airfield")


BENCHMARK = Benchmark("theirs", "two questions", "--images DIR", questions, "theirs", headline=("short",))


def reward(attempt):
    return 1.0


def open_engine(options):
    return Engine()
'''
ENTRY_POINTS = """
[geochat.readers]
theirs = theirs:read
[geochat.dialects]
theirs = theirs:DIALECT
[geochat.exporters]
theirs = theirs:EXPORTER
[geochat.benchmarks]
theirs = theirs:BENCHMARK
gone = theirs:GONE
[geochat.scorers]
theirs = theirs:Scorer
[geochat.rewards]
theirs = theirs:reward
[geochat.engines]
theirs = theirs:open_engine
broken = theirs:gone
"""
SCRIPT = '''
import contextlib, io, json, sys
from pathlib import Path

results = {}


def shell(line):
    """Run a command line; returns its exit status, output and errors."""
    from geochat.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(line.split())
        except SystemExit as end:
            status = end.code
    return status, out.getvalue(), err.getvalue()


def read(file):
    return Path(file).read_text() if Path(file).exists() else None


def reader():
    return shell("data build theirs labels.csv --out built.jsonl"), read("built.jsonl")


def reader_help():
    return shell("data build --help"), shell("data build nobodys labels.csv --out built.jsonl")


def dialect():
    built = shell("data build theirs labels.csv --out theirs.jsonl --for checkpoint")
    return built, shell("data stats theirs.jsonl --dialect theirs"), shell("data stats theirs.jsonl --dialect nobodys")


def engine():
    return shell("ask a.png What? --engine theirs")


def exporter():
    found = shell("find a.png ship --engine theirs -o found.theirs")
    return found, read("found.theirs")


def benchmark():
    asked = shell("eval run theirs --images . --engine theirs --out run --no-report")
    return asked, read("run/answers.jsonl"), shell("eval list")


def scorer():
    scored = shell("eval score run/answers.jsonl --as theirs --bootstrap 0 --json")
    return scored, shell("eval score run/answers.jsonl --as nobodys")


def reward():
    known = "train grpo --model checkpoint --data nowhere.jsonl --out trained --rewards"
    return shell(f"{known} theirs"), shell(f"{known} nobodys")


def broken():
    from geochat.cli import doctor

    for slow in ("captions", "model"):
        del doctor.CHECKS[slow]
    return shell("ask a.png What? --engine broken"), shell("doctor")


for use in (reader, reader_help, dialect, engine, exporter, benchmark, scorer, reward, broken):
    results[use.__name__] = use()
print(json.dumps(results))
'''


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The result of each function of `SCRIPT`, run where the package `theirs` is installed."""
    installed, here = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("here")
    (installed / "theirs.py").write_text(MODULE)
    (installed / "theirs-1.0.dist-info").mkdir()
    (installed / "theirs-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (installed / "theirs-1.0.dist-info" / "entry_points.txt").write_text(ENTRY_POINTS)
    Image.fromarray(np.full((60, 80, 3), 90, np.uint8)).save(here / "a.png")
    (here / "labels.csv").write_text("a.png,ship,10,10,40,30\n")
    (here / "checkpoint").mkdir()
    (here / "checkpoint" / "geochat.json").write_text(json.dumps({"name": "tiny", "dialect": "theirs"}))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [installed, *SOURCES])), "COLUMNS": "200"},
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_documented_registries_have_the_documented_groups():
    rows = re.findall(r"^\| (\w+) \| `([\w.]+)` \| `([\w.]+)`", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == 7
    for kind, group, name in rows:
        module, _, attribute = name.rpartition(".")
        registry = getattr(import_module(module), attribute)
        assert (registry.kind, registry.group) == (kind, group)
        assert f"[{group}]\ntheirs = " in ENTRY_POINTS


def test_a_reader(results):
    (status, _, err), built = results["reader"]
    assert status == 0, err
    assert "a.png" in built
    (status, listed, _), (wrong, _, message) = results["reader_help"]
    assert (status, wrong) == (0, 2)
    assert "theirs, ucm" in listed
    assert "invalid choice: 'nobodys'" in message
    assert "theirs" in message


def test_a_dialect(results):
    built, read, unknown = results["dialect"]
    assert (built[0], read[0]) == (0, 0), (built, read)
    assert unknown[0] == 1
    assert "no dialect is called 'nobodys'; choose one of" in unknown[2]


def test_an_engine(results):
    assert results["engine"][:2] == [0, "an airfield\n"]


def test_an_exporter(results):
    (status, _, err), written = results["exporter"]
    assert (status, written) == (0, "ship\n"), err


def test_a_benchmark(results):
    (status, _, err), answers, listed = results["benchmark"]
    assert status == 0, err
    assert [json.loads(line)["answer"] for line in answers.splitlines()] == ["an airfield"] * 2
    assert listed[0] == 0
    assert "two questions; scored as theirs" in listed[1]
    assert "the benchmark 'gone' cannot be loaded from theirs:GONE" in listed[2]


def test_a_scorer(results):
    (status, scored, err), unknown = results["scorer"]
    assert status == 0, err
    assert json.loads(scored)["short"] == 100
    assert unknown[0] == 2
    assert "invalid choice: 'nobodys'" in unknown[2]
    assert "theirs" in unknown[2]


def test_a_reward(results):
    (_, _, taken), (status, _, unknown) = results["reward"]
    assert "reward" not in taken  # but that there is no such checkpoint or data
    assert status == 1
    assert "rewards='nobodys' is no reward; use some of boxes, caption, exact, format, theirs" in unknown


def test_a_package_that_cannot_be_loaded_is_named(results):
    (status, out, err), (sick, checks, _) = results["broken"]
    assert (status, out, sick) == (1, "", 1)
    assert err.startswith("geochat: error: the engine 'broken' cannot be loaded from theirs:gone")
    assert "FAIL extensions    geochat.engines broken (theirs:gone): " in checks
