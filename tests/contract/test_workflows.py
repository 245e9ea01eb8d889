"""What GitHub runs: workflows that are valid, safe and made of Makefile targets."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="actionlint is absent")
def test_actionlint_is_content() -> None:
    done = run("actionlint", *map(str, WORKFLOWS))
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("zizmor") is None, reason="zizmor is absent; it is on PyPI")
def test_zizmor_is_content() -> None:
    done = run("zizmor", "--offline", ".github")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_and_steps_are_targets(path: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for job in yaml.safe_load(path.read_text())["jobs"].values():
        for step in job["steps"]:
            if "uses" in step and not step["uses"].startswith("./"):
                assert re.search(r"@[0-9a-f]{40}$", step["uses"]), step["uses"]
            for target in re.findall(r"\bmake ([a-z-]+)", step.get("run", "")):
                assert target in targets
