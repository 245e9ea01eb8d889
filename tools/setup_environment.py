"""Make `.venv` from the lock, once: a second call finds it current and ends.

Standard library only, since it runs before anything is installed; `tools/find_python.sh` chooses the Python.
A stamp, written last, says what the environment was made from. It is gone while a set-up runs, so that one that was
killed is done again from the start; a lock lets set-ups that run at once wait for each other.
"""

import fcntl
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.setup_conditions import SetUpFailed, check_disk, explain, uv_settings

INPUTS = ("requirements.txt", "requirements/uv.txt", "pyproject.toml")
# They would send the installation elsewhere than into `.venv`, or let other modules into it.
HARMFUL_VARIABLES = ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "VIRTUAL_ENV", "CONDA_PREFIX")


@dataclass(frozen=True)
class Environment:
    """Where the virtual environment of a checkout is, and what stands around it."""

    root: Path

    @property
    def folder(self) -> Path:
        """The virtual environment."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def stamp(self) -> Path:
        """Says what the environment was made from; absent while it is being made."""
        return self.folder / "forgery-setup.json"

    @property
    def log(self) -> Path:
        """All that pip and uv said."""
        return self.root / "build" / "setup.log"

    def wanted(self, python_version: str) -> dict[str, str]:
        """The stamp of an environment that is made from the files as they are now."""
        content = b"".join((self.root / name).read_bytes() for name in INPUTS)
        return {
            "inputs": hashlib.sha256(content).hexdigest(),
            "python": python_version,
            "place": str(self.root),  # scripts in bin/ name their interpreter by its full path
        }

    def is_current(self, python_version: str | None) -> bool:
        """Whether the environment is complete and up to date.

        Args:
            python_version: The version it must have, if the user named a Python; None accepts the one it has.
        """
        try:
            found = json.loads(self.stamp.read_text())
            return bool(os.access(self.python, os.X_OK) and found == self.wanted(python_version or found["python"]))
        except (OSError, ValueError, KeyError, TypeError):
            return False


@contextmanager
def exclusive(path: Path) -> Iterator[int]:
    """Hold a lock file; yields its descriptor.

    Child processes inherit it, so that the installer of a killed set-up keeps the next one waiting until it ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is running; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def say(message: str) -> None:
    """Tell the user one line."""
    print(f"setup: {message}", flush=True)


@dataclass(frozen=True)
class Installer:
    """Runs the commands of one set-up, one log for all."""

    environment: Environment
    lock: int

    def run(self, title: str, *command: str | Path, extra: Mapping[str, str] | None = None) -> None:
        """Run a command, telling on a terminal how long it has been running.

        Raises:
            SetUpFailed: The command failed; the message says what to do.
        """
        say(title)
        with self.environment.log.open("a+") as log:
            begin = log.tell()
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=self.environment.root,
                env={"UV_HTTP_TIMEOUT": "120", **_variables(), **(extra or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[self.lock],
            )
            status = _wait(process)
            log.seek(begin)
            if status != 0:
                raise SetUpFailed(explain(log.read(), self.environment.log))

    def pip_config(self) -> str:
        """What `pip config list` prints in the new environment."""
        command: Sequence[str] = [str(self.environment.python), "-m", "pip", "config", "list"]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=_variables()).stdout


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in HARMFUL_VARIABLES}


def _wait(process: subprocess.Popen[bytes]) -> int:
    begin = time.monotonic()
    shown = False
    try:
        while True:
            try:
                return process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                if sys.stdout.isatty():
                    shown = True
                    print(f"\r       {time.monotonic() - begin:.0f} s", end="", flush=True)
    finally:
        if shown:
            print("\r\033[K", end="", flush=True)
        if process.poll() is None:  # interrupted
            process.terminate()
            process.wait()


def build(environment: Environment, lock: int) -> None:
    """Make the environment; what a complete earlier one holds is kept where the Python is the same.

    Raises:
        SetUpFailed: With the line to show.
    """
    version = platform.python_version()
    reusable = _made_with(environment) == version
    environment.stamp.unlink(missing_ok=True)
    environment.log.write_text("")
    installer = Installer(environment, lock)
    if not reusable:
        check_disk(environment.root, os.environ)
        installer.run(f"virtual environment with Python {version}", sys.executable, "-m", "venv", "--clear", ".venv")
    python, uv = environment.python, environment.folder / "bin" / "uv"
    requirements = ("--require-hashes", "--no-deps", "-r", "requirements/uv.txt")
    installer.run("uv, which installs the rest", python, "-m", "pip", "install", "-q", "--retries", "2", *requirements)
    settings = uv_settings(installer.pip_config(), os.environ)
    # What is built from source is built with the setuptools of the lock, its hash checked as well.
    checked = ("--require-hashes", "--build-constraints", "requirements.txt", "--compile-bytecode")
    installer.run(
        "the locked dependencies" + ("" if reusable else " (1 GB to download the first time: minutes)"),
        *(uv, "pip", "sync", "--python", python, *checked, "requirements.txt"),
        extra=settings,
    )
    project = ("--no-deps", "--no-build-isolation", "--editable", ".")
    installer.run("forgery itself", uv, "pip", "install", "--python", python, *project, extra=settings)
    _write_stamp(environment, version)


def _made_with(environment: Environment) -> str | None:
    """The Python version of a complete environment of this place, up to date or not."""
    try:
        found = json.loads(environment.stamp.read_text())
        complete = found["place"] == str(environment.root) and os.access(environment.python, os.X_OK)
        return str(found["python"]) if complete else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_stamp(environment: Environment, version: str) -> None:
    with tempfile.NamedTemporaryFile("w", dir=environment.folder, delete=False) as file:
        json.dump(environment.wanted(version), file)
    os.replace(file.name, environment.stamp)


def set_up(environment: Environment, python_version: str | None) -> None:
    """Make the environment unless it is current.

    Args:
        environment: The checkout's.
        python_version: As in `Environment.is_current`.

    Raises:
        SetUpFailed: With the line to show.
    """
    if environment.is_current(python_version):
        return
    with exclusive(environment.root / "build" / "setup.lock") as lock:
        if environment.is_current(python_version):
            return
        begin = time.monotonic()
        build(environment, lock)
        say(f"ready in {time.monotonic() - begin:.0f} s")


def main() -> int:
    """Set up the checkout that this file is in; returns the exit code."""
    chosen = platform.python_version() if os.environ.get("PYTHON") else None
    try:
        set_up(Environment(Path(__file__).resolve().parent.parent), chosen)
    except SetUpFailed as failure:
        print(f"setup: {failure}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"setup: {error.strerror}: {error.filename}; the checkout must be writable", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: interrupted; the next call starts it again", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
