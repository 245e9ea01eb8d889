"""kubectl, as every test of this folder calls it."""

import json
import subprocess
from typing import Any

import pytest


def kubectl(*arguments: str, data: str | None = None, check: bool = True) -> str:
    """Run kubectl; its output, or the test fails with what it said."""
    done = subprocess.run(["kubectl", *arguments], input=data, text=True, capture_output=True, check=False)
    if check and done.returncode:
        pytest.fail(f"kubectl {' '.join(arguments)}\n{done.stdout}{done.stderr}")
    return done.stdout + (done.stderr if not check else "")


def fetch_json(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kubectl("get", *arguments, "-o", "json"))
    return found
