import json
import platform
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tools import setup_conditions
from tools.setup_conditions import SetUpFailed, check_disk, explain, uv_settings
from tools.setup_environment import INPUTS, Environment, set_up

ROOT = Path(__file__).resolve().parents[3]
PYTHON = sys.executable

# Stands in for Python, pip and uv: `-m venv` makes a folder with itself in it; every call is written down, and
# can be made to fail or to last.
FAKE = """#!/bin/sh
echo "$0 $*" >> "{calls}"
case "$*" in
    *"config list"*) exit 0 ;;
    *"-m venv"*) rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python; cp "$0" .venv/bin/uv ;;
    *" sync "*)
        while [ -e "{held}" ]; do sleep 0.05; done
        sleep "$(cat "{slow}")"; touch .venv/synced; cat "{failure}"; [ ! -s "{failure}" ] ;;
esac
"""


class Checkout:
    """A folder with the inputs of set-up and a false Python."""

    def __init__(self, root: Path, outside: Path) -> None:
        self.environment = Environment(root)
        self.calls_file, self.slow, self.failure = outside / "calls", outside / "slow", outside / "failure"
        self.held = outside / "held"
        self.python = outside / "python"
        for name in INPUTS:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(f"# {name}\n")
        self.slow.write_text("0")
        self.failure.write_text("")
        self.python.write_text(FAKE.format(calls=self.calls_file, slow=self.slow, failure=self.failure, held=self.held))
        self.python.chmod(0o755)

    def calls(self, word: str) -> int:
        text = self.calls_file.read_text() if self.calls_file.exists() else ""
        return sum(word in line for line in text.splitlines())

    def start(self) -> subprocess.Popen[str]:
        code = (
            "import sys; from pathlib import Path; from tools.setup_environment import *\n"
            f"sys.executable = {str(self.python)!r}; set_up(Environment(Path({str(self.environment.root)!r})), None)"
        )
        return subprocess.Popen([PYTHON, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    root, outside = tmp_path / "checkout", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    made = Checkout(root, outside)
    monkeypatch.setattr(sys, "executable", str(made.python))
    return made


def test_second_call_does_nothing(checkout: Checkout) -> None:
    set_up(checkout.environment, None)
    before = checkout.calls_file.read_text()
    set_up(checkout.environment, None)
    assert checkout.calls_file.read_text() == before
    assert " sync " in before
    assert "--require-hashes" in before
    assert "--compile-bytecode" in before


def test_changed_lock_is_installed_into_the_same_environment(checkout: Checkout) -> None:
    set_up(checkout.environment, None)
    (checkout.environment.root / "requirements.txt").write_text("other\n")
    set_up(checkout.environment, None)
    assert checkout.calls("-m venv") == 1
    assert checkout.calls(" sync ") == 2


def test_other_python_named_by_the_user_makes_a_new_environment(checkout: Checkout) -> None:
    set_up(checkout.environment, None)
    stamp = json.loads(checkout.environment.stamp.read_text())
    checkout.environment.stamp.write_text(json.dumps({**stamp, "python": "3.11.0"}))
    set_up(checkout.environment, None)
    assert checkout.calls("-m venv") == 1
    set_up(checkout.environment, platform.python_version())
    assert checkout.calls("-m venv") == 2


def test_moved_checkout_is_set_up_again(checkout: Checkout) -> None:
    set_up(checkout.environment, None)
    moved = checkout.environment.root.rename(checkout.environment.root.with_name("moved"))
    set_up(Environment(moved), None)
    assert checkout.calls("-m venv") == 2


def test_failed_set_up_says_what_to_do_and_is_done_again(checkout: Checkout) -> None:
    checkout.failure.write_text("error: Failed to fetch: dns error\n")
    with pytest.raises(SetUpFailed, match="connect to the internet"):
        set_up(checkout.environment, None)
    assert not checkout.environment.is_current(None)
    checkout.failure.write_text("")
    set_up(checkout.environment, None)
    assert checkout.calls("-m venv") == 2
    assert checkout.environment.is_current(None)


def test_killed_set_up_is_done_again_once_its_installer_has_ended(checkout: Checkout) -> None:
    checkout.held.touch()
    process = checkout.start()
    try:
        deadline = time.monotonic() + 20
        while not checkout.calls(" sync ") and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not checkout.environment.is_current(None)
        again = threading.Thread(target=set_up, args=(checkout.environment, None))
        again.start()
        again.join(0.5)
        assert again.is_alive()
        assert checkout.calls("-m venv") == 1
        assert not (checkout.environment.folder / "synced").exists()
    finally:
        checkout.held.unlink()
    again.join(20)
    process.communicate()
    assert checkout.calls("-m venv") == 2
    assert checkout.environment.is_current(None)


def test_two_at_once_install_once(checkout: Checkout) -> None:
    checkout.slow.write_text("1")
    processes = [checkout.start(), checkout.start()]
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert checkout.calls(" sync ") == 1
    assert sum("another set-up is running" in text for text in said) == 1


def test_too_little_disk_is_told_before_anything_is_made(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_conditions, "NEEDED_BYTES", 10**18)
    with pytest.raises(SetUpFailed, match=r"GB of disk are needed at .*are free"):
        set_up(checkout.environment, None)
    assert not checkout.environment.folder.exists()


def test_disk_is_checked_where_the_cache_will_be_too(tmp_path: Path) -> None:
    check_disk(tmp_path, {"UV_CACHE_DIR": str(tmp_path / "not" / "yet" / "there")})


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("error: Failed to fetch: `x`\n  cause: dns error: failed to lookup address", "connect to the internet"),
        ("ERROR: Could not find a version\nERROR: No matching distribution found for uv==1", "connect to the internet"),
        ("error: failed to write: No space left on device (os error 28)", "free about 4 GB"),
        ("error: Hash mismatch for `x==1`", "does not have the hash"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "does not have the hash"),
        ("first\nsomething new went wrong\n\n", "something new went wrong"),
        ("", "without a word"),
    ],
)
def test_every_failure_is_one_line_that_names_the_log(output: str, said: str) -> None:
    line = explain(output, Path("build/setup.log"))
    assert said in line
    assert "build/setup.log" in line
    assert "\n" not in line


def test_uv_gets_the_mirror_that_pip_has_but_its_own_settings_stand() -> None:
    config = (
        "global.index-url='https://first.example'\n:env:.index-url='https://second.example'\n:env:.cert='/ca.pem'\n"
    )
    assert uv_settings(config, {"SSL_CERT_FILE": "/mine.pem"}) == {"UV_DEFAULT_INDEX": "https://second.example"}
    assert uv_settings(config, {})["SSL_CERT_FILE"] == "/ca.pem"


def test_modules_from_elsewhere_are_kept_out(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    text = checkout.python.read_text().replace('echo "$0 $*"', 'echo "$0 $* [$PYTHONPATH$PIP_TARGET]"')
    checkout.python.write_text(text)
    set_up(checkout.environment, None)
    assert "[]" in checkout.calls_file.read_text()
    assert "[/" not in checkout.calls_file.read_text()
