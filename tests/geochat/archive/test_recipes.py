"""The recipes of docs/archive.md: shell and YAML are well formed, and their commands have options that exist."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from geochat.cli import build_parser
from geochat.cli.process import parse

PAGE = (Path(__file__).parents[3] / "docs" / "archive.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SCRIPTS = [text for language, text in BLOCKS if language == "bash"]
RESOURCES = [text for language, text in BLOCKS if language == "yaml"]


def require_options(command):
    """Require that a `geochat` command parses; shell variables stand for 1."""
    plain = re.sub(r"\$\(\(.*?\)\)|\$\w+", "1", command)
    args = parse(build_parser(), shlex.split(plain)[1:])
    assert args.job


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("script", SCRIPTS, ids=range(len(SCRIPTS)))
def test_scripts(script):
    checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    commands = re.findall(r"^(?:srun |sh -c ')?(geochat .*?)'?$", script, re.MULTILINE)
    assert len(commands) == 1
    require_options(commands[0])


@pytest.mark.parametrize("resource", RESOURCES, ids=range(len(RESOURCES)))
def test_resources(resource):
    job = yaml.safe_load(resource)
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    require_options(job["spec"]["entrypoint"])
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = group["template"]["spec"]
        mounted = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        assert all(each["image"] and each["resources"]["limits"] for each in pod["containers"])


def test_there_are_recipes():
    assert (len(SCRIPTS), len(RESOURCES)) == (3, 1)
