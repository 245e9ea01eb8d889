"""The checks of `forgery doctor`."""

import importlib.metadata
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from cli.bundles import open_named
from cli.home import Home
from forgery.errors import ForgeryError
from forgery.rollout.service import open_service

# A run on 2,000 pictures keeps about 1 GB of shards, maps and models.
_FREE_GB = 2
# What a run and the servers import; a partial installation lacks some of them.
_PACKAGES = ("kfp", "kserve", "tensorflow", "mlflow", "minio", "pillow", "numpy", "scikit-learn")


@dataclass(frozen=True)
class Check:
    """One thing looked at: whether it is as it must be, what was found, and what to do if not."""

    name: str
    ok: bool
    found: str
    remedy: str = ""


def check_machine(home: Home) -> list[Check]:
    """All checks, in the order in which they would fail a first run."""
    return [_python(), *_packages(), _disk(home), _writable(home), _service(home), _champion(home)]


def _python() -> Check:
    ok = (3, 11) <= sys.version_info < (3, 13)
    return Check("Python", ok, platform.python_version(), "" if ok else "install Python 3.11 or 3.12, then make setup")


def _packages() -> list[Check]:
    missing = [name for name in _PACKAGES if not _installed(name)]
    found = "all there" if not missing else f"missing: {', '.join(missing)}"
    return [Check("packages", not missing, found, "make setup" if missing else "")]


def _installed(name: str) -> bool:
    # The CPU build of TensorFlow is another distribution with the same module.
    return any(_version(each) for each in {name, name.replace("tensorflow", "tensorflow-cpu")})


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _nearest(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


def _disk(home: Home) -> Check:
    free_gb = shutil.disk_usage(_nearest(home.path)).free / 1e9
    ok = free_gb >= _FREE_GB
    remedy = "" if ok else f"free {_FREE_GB} GB, or set FORGERY_HOME to another disk"
    return Check("disk", ok, f"{free_gb:.0f} GB free", remedy)


def _writable(home: Home) -> Check:
    ok = os.access(_nearest(home.path), os.W_OK)
    return Check("state folder", ok, str(home.path), "" if ok else "set FORGERY_HOME to a folder you may write")


def _service(home: Home) -> Check:
    try:
        service = open_service(f"local:{home.service}")
        return Check("local service", True, service.read().storage_uri or "no model yet: forgery run")
    except ForgeryError as error:
        return Check("local service", False, str(error), "forgery rollout undo, or remove the state folder")


def _champion(home: Home) -> Check:
    try:
        if open_service(f"local:{home.service}").read().storage_uri is None:
            return Check("model in service", True, "none yet")
        return Check("model in service", True, f"{open_named(None).digest}, files as sealed")
    except ForgeryError as error:
        return Check("model in service", False, str(error), "forgery rollout undo")
