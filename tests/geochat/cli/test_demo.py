import json

from geochat.cli import main


def manifest(folder, geotiff):
    (folder / "samples").mkdir()
    geotiff.rename(folder / "samples" / "scene.tif")
    questions = [
        {"question": "Describe the image.", "task": "caption"},
        {"question": "plane", "task": "refer"},
        {"question": "What is this?", "task": "identify", "region": [30, 0, 50, 40]},
    ]
    sample = {"file": "scene.tif", "title": "An airfield", "questions": questions}
    (folder / "samples" / "samples.json").write_text(json.dumps(sample))


def test_the_demo_prints_answers_and_writes_what_it_names(answering, geotiff, tmp_path, capsys, monkeypatch):
    manifest(tmp_path, geotiff)
    monkeypatch.setattr("geochat.cli.demo.files", lambda _package: tmp_path)
    engine = answering("An airfield.", "{<10><30><30><40>|<90>}", "a plane")
    assert main(["demo", "--out", str(tmp_path / "new" / "out")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("An airfield (")
    assert "An airfield.\n" in out
    written = [line.removeprefix("wrote ") for line in out.splitlines() if line.startswith("wrote ")]
    assert sorted(written) == sorted(str(path) for path in (tmp_path / "new" / "out").iterdir())
    assert {path.rpartition(".")[2] for path in written} == {"png", "geojson"}
    assert engine.prompts[2] == "[identify] What is this? {<10><30><30><40>|<90>}"


def test_every_shipped_question_can_be_asked(answering, tmp_path, capsys):
    engine = answering(*["two {<10><30><30><40>|<90>}"] * 50)
    assert main(["demo", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert all("> " + prompt.replace("\n", "\n> ") + "\n" in out for prompt in engine.prompts)
    assert len(engine.prompts) > 3


def test_a_folder_that_cannot_be_made(answering, geotiff, tmp_path, capsys, monkeypatch):
    manifest(tmp_path, geotiff)
    monkeypatch.setattr("geochat.cli.demo.files", lambda _package: tmp_path)
    answering()
    (tmp_path / "file").touch()
    assert main(["demo", "--out", str(tmp_path / "file" / "out")]) == 1
    assert "cannot be created" in capsys.readouterr().err


def test_without_samples_it_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("geochat.cli.demo.files", lambda _package: tmp_path)
    assert main(["demo"]) == 1
    assert "samples.json" in capsys.readouterr().err
