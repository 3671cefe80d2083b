"""`geochat.Client` and the commands with `--server` give what the façade and the local commands give."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serve_wire import wait_until

from geochat import Client, GeoChat, errors
from geochat.cli import main, options

HEAVY = {"torch", "transformers", "gradio", "rasterio", "shapely", "numpy"}


@pytest.fixture(scope="module")
def client(server):
    with Client(server.url) as client:
        yield client


@pytest.fixture
def local(monkeypatch, engine):
    """The command line without a server has the server's engine."""
    monkeypatch.setattr(options, "load_model", lambda _args: GeoChat(engine))
    monkeypatch.setattr("geochat.cli.process.quiet_libraries", lambda debug: None)
    monkeypatch.delenv("GEOCHAT_SERVER", raising=False)
    monkeypatch.delenv("GEOCHAT_API_TOKEN", raising=False)


def test_an_answer_is_the_facade_s(client, engine, pictures, tmp_path):
    path = pictures / "place.tif"
    remote = client.ask(path, "where?", task="grounding", window=(10, 20, 300, 280), geojson=True)
    local = GeoChat(engine).ask(path, "where?", task="grounding", window=(10, 20, 300, 280))
    assert remote.to_dict() | {"seconds": 0} == json.loads(json.dumps(local.to_dict())) | {"seconds": 0}
    assert (remote.text, remote.plain_text, remote.task) == (local.text, local.plain_text, local.task)
    assert (remote.crs, remote.notices, remote.prompt) == (local.crs, local.notices, local.prompt)
    for ours, theirs in zip(remote.features, local.features, strict=True):
        for name in ("phrase", "pixels", "map", "outline", "score", "box", "role"):
            assert getattr(ours, name) == getattr(theirs, name), name
    assert remote.to_geojson() == json.loads(json.dumps(local.to_geojson()))
    assert np.array_equal(np.asarray(remote.draw()), np.asarray(local.draw()))
    assert remote.to_geopackage(tmp_path / "a.gpkg").stat().st_size
    assert remote.save_overlay(tmp_path / "a.png").stat().st_size
    assert remote.save_geojson(tmp_path / "a.geojson").stat().st_size


def test_images_in_memory_and_options(client, pictures):
    with Image.open(pictures / "wide.png") as picture:
        array = np.asarray(picture)
        content = io.BytesIO()
        picture.save(content, "PNG")
        answers = [client.ask(image, "short") for image in (picture, array, content.getvalue())]
    assert {answer.plain_text for answer in answers} == {"yes"}
    assert answers[0].to_dict()["image"]["path"] is None
    with pytest.raises(errors.ExportError, match="geojson=True"):
        answers[0].to_geojson()
    identified = client.ask(array, regions=[(10, 10, 90, 90, 30)], task="identify")
    assert identified.asked[0].phrase == identified.plain_text
    assert client.describe(array).task == "caption"
    assert client.classify(array, ["harbor", "airport"]).choice == "airport"


def test_a_stream_is_read_while_it_is_written_and_can_be_left(client, engine, server, pictures):
    stream = client.stream(pictures / "wide.png", "where?")
    pieces = list(stream)
    assert "[1]" in pieces
    assert "".join(pieces).split()[:2] == stream.answer.plain_text.split()[:2]
    cancelled = len(engine.cancelled)
    slow = client.stream(pictures / "wide.png", "slow")
    next(iter(slow))
    slow.close()
    wait_until(lambda: len(engine.cancelled) > cancelled)


def test_a_search_is_followed_and_saved(client, pictures, tmp_path):
    seen = []
    search = client.find(pictures / "place.tif", "it", window=200, on_progress=seen.append)
    assert search.wait().state == "done"
    assert seen[-1].done == seen[-1].total > 1
    assert len(search.objects()) == search.progress.found
    layer = json.loads(search.save(tmp_path / "found.geojson").read_text())
    assert len(layer["features"]) == search.progress.found
    assert search.save(tmp_path / "found.gpkg").is_file()
    assert client.search(search.id).state == "done"
    search.delete()
    with pytest.raises(errors.GeoChatError, match="no such search"):
        search.refresh()
    slow = client.find(pictures / "place.tif", ["slow"], window=200).cancel()
    with pytest.raises(errors.EngineError, match="cancelled"):
        slow.wait()
    slow.delete()


def test_errors_are_those_of_the_facade(client, pictures, guarded, tmp_path):
    wide = pictures / "wide.png"
    cases = [
        (lambda: client.ask("gone.tif", "?"), errors.ImageError, "gone.tif"),
        (lambda: client.ask(pictures / "broken.png", "?"), errors.ImageError, "broken.png"),
        (lambda: client.ask("https://example.org/a.tif", "?"), errors.ImageError, "opens none"),
        (lambda: client.ask(wide, "?", task="guess"), errors.PromptError, "guess"),
        (lambda: client.ask(wide, "?", regions=[(1, 2, 3)]), errors.RegionError, "four or five"),
        (lambda: client.ask(wide, "too long"), errors.GeoChatError, "too long for the model"),
        (lambda: client.ask(wide, "explode"), errors.EngineError, "failed on this request"),
        (lambda: client.ask(pictures / "huge.png", "?"), errors.EngineError, "exceeds 2 MB"),
        (lambda: client.search("../server"), errors.SettingsError, "no id"),
        (lambda: Client(guarded.url).server(), errors.SettingsError, "GEOCHAT_API_TOKEN"),
        (lambda: Client("http://127.0.0.1:9").ask(wide, "?"), errors.EngineError, "cannot be reached"),
        (lambda: Client("ftp://example.org"), errors.SettingsError, "no http address"),
        (lambda: Client(""), errors.SettingsError, "GEOCHAT_SERVER"),
        (lambda: Client(guarded.url, token="a\nb"), errors.SettingsError, "header"),
    ]
    for call, kind, words in cases:
        with pytest.raises(kind, match=words):
            call()
    login = guarded.url.replace("://", "://ada:secret@")
    with Client(login) as known:
        assert known.server()["model"] == "scripted"
        assert "secret" not in known._connection.where


COMMANDS = [
    ("ask {wide} where?", 0),
    ("ask {place} where? --task grounding", 0),
    ("ask {wide} airport,harbor --task scene", 0),
    ("ask {wide} --task identify --region 10,10,90,90,30", 0),
    ("ask {wide} short --window 0,0,100,100 --max-new-tokens 9 --stop x", 0),
    ("ask {wide} too-long --question too.long", 1),
    ("ask {broken} what?", 1),
    ("ask gone.tif what?", 1),
    ("ask {place} where? --geojson {out}.geojson --geopackage {out}.gpkg --overlay {out}.png --table {out}.csv", 0),
    ("ask {wide} {place} short", 0),
    ("ask {wide} {broken} short", 1),
    ("describe {wide} --ask short", 0),
    ("describe {wide} --json --classes airport,harbor", 0),
    ("find {place} it --window 200 --json", 0),
    ("find {place} it --window 200 -o {out}.geojson", 0),
]


@pytest.mark.parametrize(("line", "status"), COMMANDS)
@pytest.mark.usefixtures("local")
def test_a_command_prints_and_writes_the_same(server, pictures, tmp_path, capfd, line, status):
    results = []
    for place in ("remote", "local"):
        (tmp_path / place).mkdir()
        names = {Path(file).stem: pictures / file for file in ("wide.png", "broken.png", "place.tif")}
        words = line.format(**names, out=tmp_path / place / "out").split()
        assert main([*words, *(["--server", server.url] if place == "remote" else [])]) == status
        told = capfd.readouterr()
        notes = [each for each in told.err.splitlines() if "Windows:" not in each and "wrote" not in each]
        files = sorted((path.name, len(path.read_bytes()) > 0) for path in (tmp_path / place).glob("out*.*[!b]"))
        results.append((told.out, [note.replace(f"{pictures}/", "") for note in notes if "geochat" in note], files))
    assert results[0] == results[1]


@pytest.mark.usefixtures("local")
def test_json_is_the_same(server, pictures, capsys):
    line = ["ask", str(pictures / "place.tif"), "where?", "--json"]
    assert main([*line, "--server", server.url]) == 0
    remote = json.loads(capsys.readouterr().out)
    assert main(line) == 0
    assert remote | {"seconds": 0} == json.loads(capsys.readouterr().out) | {"seconds": 0}


OPTIONS = ["--model x", "--device cpu", "--engine vllm", "--dialect qwen2.5-vl", "--region-file a.gpkg", "--asset a"]


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.usefixtures("local")
def test_what_the_server_decides_is_refused(server, pictures, capsys, monkeypatch, option):
    monkeypatch.setenv("GEOCHAT_SERVER", server.url)
    assert main(["ask", str(pictures / "wide.png"), "what?", *option.split()]) == 1
    assert f"{option.split()[0]} is not an option" in capsys.readouterr().err
    assert main(["describe", str(pictures / "wide.png"), "--grid"]) == 1
    assert main(["find", str(pictures / "wide.png"), "it", "--iou", "0.5"]) == 1


def test_a_command_on_a_server_imports_nothing_heavy(server, pictures):
    """From the shell: neither torch nor what reads images is imported, so that the answer comes at once."""
    code = (
        "import sys; from geochat.cli import main; status = main();"
        f"print(status, sorted({HEAVY!r} & {{name.split('.')[0] for name in sys.modules}}))"
    )
    for image in ("wide.png", "place.tif"):
        done = subprocess.run(
            [sys.executable, "-c", code, "ask", str(pictures / image), "where?", "--server", server.url],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "HTTP_PROXY": "http://127.0.0.1:9"},
        )
        assert done.stdout.splitlines()[-1] == "0 []", done.stdout + done.stderr


def test_a_password_in_the_address_is_sent_and_never_told(guarded, caplog):
    with caplog.at_level("DEBUG"), Client(guarded.url.replace("://", "://ada:secret@")) as client:
        assert client.server()["model"] == "scripted"
    assert "ada" not in caplog.text
    for address in ("http://ada:secret@host:port", "http://ada:secret@[::1", "ada:secret@host", "ftp://ada:secret@a"):
        with pytest.raises(errors.SettingsError) as refused:
            Client(address)
        assert "secret" not in str(refused.value)
