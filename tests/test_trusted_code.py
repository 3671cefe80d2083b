"""No source file loads code from a checkpoint or a pickle: each loading call says so."""

import ast
import inspect
from pathlib import Path

import pytest

from geochat import GeoChat
from geochat.clip import DualEncoder

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    file
    for folder in ("geochat", "serve", "train", "eval", "data", "scripts")
    for file in (ROOT / folder).rglob("*.py")
)
LOADING = ("from_pretrained", "from_config")
OURS = {  # classes of this project, whose from_pretrained has no such argument and passes False on
    "GeoChat": GeoChat,
    "DualEncoder": DualEncoder,
}


def called(node):
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", None)


def is_false(call, name):
    return any(word.arg == name and getattr(word.value, "value", None) is False for word in call.keywords)


@pytest.fixture(scope="module")
def sources():
    """The syntax tree of each source file."""
    return {file.relative_to(ROOT): ast.parse(file.read_text(encoding="utf-8")) for file in SOURCES}


def calls_of(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def trusting(tree):
    """Line and fault of whatever loads without saying that code is not trusted."""
    calls = calls_of(tree)
    functions = {id(call.func) for call in calls}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in LOADING and id(node) not in functions:
            yield node.lineno, f"{node.attr} is handed on, so nobody sees how it is called"
    for call in calls:
        ours = getattr(getattr(call.func, "value", None), "id", None) in OURS
        if called(call) in LOADING and not ours and not is_false(call, "trust_remote_code"):
            yield call.lineno, "say trust_remote_code=False"
        if called(call) == "getattr" and {getattr(argument, "value", None) for argument in call.args} & set(LOADING):
            yield call.lineno, "a loading method is looked up by name"
        for word in call.keywords:
            if word.arg == "trust_remote_code" and getattr(word.value, "value", None) is not False:
                yield call.lineno, "trusts code"


def unpickling(tree):
    """Line and fault of whatever reads a pickle with code."""
    for call in calls_of(tree):
        owner = getattr(getattr(call.func, "value", None), "id", None)
        if (owner, called(call)) == ("torch", "load"):
            safe = [word for word in call.keywords if word.arg == "weights_only"]
            if [getattr(word.value, "value", None) for word in safe] != [True]:
                yield call.lineno, "say weights_only=True"
        if (owner, called(call)) in {("pickle", "load"), ("pickle", "loads"), ("joblib", "load")}:
            yield call.lineno, "runs what the pickle says"
        pickles = any(word.arg == "allow_pickle" and getattr(word.value, "value", True) for word in call.keywords)
        if (owner, called(call)) == ("np", "load") and pickles:
            yield call.lineno, "allows pickles"


@pytest.mark.parametrize("fault", [trusting, unpickling])
def test_no_source_file_trusts_code(fault, sources):
    assert len(sources) > 100
    assert [f"{file}:{line}: {words}" for file, tree in sources.items() for line, words in fault(tree)] == []


FAULTS = {
    trusting: [
        "AutoModel.from_pretrained(x)",
        "AutoModel.from_config(x, trust_remote_code=True)",
        "load = AutoModel.from_pretrained",
        "getattr(AutoModel, 'from_pretrained')(x)",
        "pipeline(x, trust_remote_code=trusted)",
    ],
    unpickling: [
        "torch.load(x)",
        "torch.load(x, weights_only=False)",
        "pickle.load(x)",
        "joblib.load(x)",
        "np.load(x, allow_pickle=True)",
    ],
}


@pytest.mark.parametrize(("fault", "line"), [(fault, line) for fault, lines in FAULTS.items() for line in lines])
def test_the_faults_are_seen(fault, line):
    assert list(fault(ast.parse(line)))


@pytest.mark.parametrize("name", OURS)
def test_our_own_classes_cannot_be_told_to_trust(name):
    assert "trust_remote_code" not in inspect.signature(OURS[name].from_pretrained).parameters
