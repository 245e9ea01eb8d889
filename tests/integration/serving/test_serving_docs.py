"""Every example of docs/api.md runs and answers what it shows."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from serving_harness import Pair

from serving.limits import ServingLimits
from serving.outputs import TRANSFORMER_OUTPUTS
from serving.refusal import Reason

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
EXAMPLES = [
    (language, code, following[1] if following[0] == "json" else None)
    for (language, code), following in zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True)
    if language != "json"
]


def shape(value: Any) -> Any:
    """Names and types of a JSON value, numbers and text without their content."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return [shape(inner) for inner in value] if isinstance(value, list) else type(value)


@pytest.fixture
def folder(tmp_path: Path, jpeg: bytes) -> Path:
    (tmp_path / "photo.jpg").write_bytes(jpeg)
    return tmp_path


@pytest.mark.parametrize(
    ("language", "code", "shown"), EXAMPLES, ids=[code.split("\n")[0][:50] for _, code, _ in EXAMPLES]
)
def test_an_example_runs_and_answers_what_it_shows(
    pair: Pair, folder: Path, language: str, code: str, shown: str | None
) -> None:
    code = code.replace("http://127.0.0.1:8080", pair.transformer.url).replace("127.0.0.1:8081", pair.transformer.grpc)
    command = {"bash": ["bash", "-euo", "pipefail", "-c", code], "python": [sys.executable, "-c", code]}[language]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if shown is not None:
        assert shape(json.loads(done.stdout)) == shape(json.loads(shown))
    else:
        assert "authentic" in done.stdout


def rows(heading: str) -> list[list[str]]:
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_tables_are_those_of_the_code() -> None:
    listed = [name for row in rows("Outputs") for name in re.findall(r"`(\w+)`", row[0])]
    assert listed == [output.name for output in TRANSFORMER_OUTPUTS]
    limits = {row[0].strip("`-"): row[1] for row in rows("Limits")}
    assert list(limits) == list(ServingLimits.model_fields)
    for name, shown in limits.items():
        default = ServingLimits.model_fields[name].default
        assert shown == (f"{default:g}" if isinstance(default, float) else str(default)) or name == "concurrent_decodes"
    codes = {int(row[0]): row[1] for row in rows("Errors")}
    for reason in Reason:
        if reason.http_status in codes:
            assert reason.grpc_code.name in codes[reason.http_status]
