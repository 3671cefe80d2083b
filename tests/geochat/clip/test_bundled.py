"""The dual encoder in the package."""

from geochat.clip import Classifier, DualEncoder
from geochat.clip.loading import bundled_path
from geochat_data.readers import UCM_SCENES
from geochat_data.splits import UNSEEN_SCENES, read_list


def test_it_loads_with_nothing_said_and_names_classes_it_saw(shared):
    """Nine times what a guess among 15 would get; the figure itself is in docs/clip.md."""
    encoder = DualEncoder.from_pretrained(device="cpu")
    assert encoder.name == "geochat-mini"
    seen = [name for name in UCM_SCENES if name not in UNSEEN_SCENES]
    folders = {name: name.replace(" ", "") for name in seen}
    files = {
        shared / "imagery" / "ucm" / "train" / folders[name] / file: name
        for name in seen
        for file in sorted(read_list("ucm_val"))
        if file.startswith(folders[name]) and file.removeprefix(folders[name])[:-4].isdigit()
    }
    assert len(files) == 8 * len(seen)
    found = Classifier.zero_shot(encoder, seen).classify_many(files)
    right = sum(each.label == name for each, name in zip(found, files.values(), strict=True))
    assert right / len(files) > 0.6


def test_it_is_whole():
    assert {file.name for file in bundled_path().iterdir()} >= {
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "tokenizer.json",
    }
