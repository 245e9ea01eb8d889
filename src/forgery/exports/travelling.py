"""The code that a published model cannot do without: what turns a file's bytes into evidence, and runs the network."""

import shutil
from importlib.metadata import requires, version
from pathlib import Path

import forgery
from forgery.bundle import Bundle
from forgery.engine import choose_kind

# What `published/score.py` imports, directly or through others; writing an export runs it with these alone.
MODULES = (
    "__init__",
    "bundle",
    "cores",
    "decision",
    "engine",
    "errors",
    "jpeg",
    "lite",
    "muted",
    "picture",
    "scoring",
)
PACKAGES = ("recipes",)
# Distributions that those import.
REQUIREMENTS = ("numpy", "opencv-python-headless", "pillow", "pydantic")


def copy_library(folder: Path, modules: tuple[str, ...] = MODULES, packages: tuple[str, ...] = PACKAGES) -> None:
    """Write part of this library into `folder`/forgery."""
    source = Path(forgery.__file__).parent
    target = folder / "forgery"
    target.mkdir()
    for name in (*(f"{module}.py" for module in modules), "py.typed"):
        shutil.copyfile(source / name, target / name)
    for package in packages:
        copy_package(source / package, target / package)


def copy_package(source: Path, target: Path) -> None:
    """Copy a package's files, but nothing that running it left behind."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))


def pinned(*distributions: str) -> str:
    """Lines of a requirements.txt: the versions that are installed here, with which the export is proven."""
    return "".join(f"{name}=={version(name)}\n" for name in distributions)


def pinned_deeply(*distributions: str) -> str:
    """The same for all that they need in turn, so that what is installed elsewhere is what was proven here."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: set[str] = set()
    waiting = [Requirement(name) for name in distributions]
    while waiting:
        wanted = waiting.pop()
        for extra in ("", *wanted.extras):
            key = f"{canonicalize_name(wanted.name)}[{extra}]"
            if key not in found:
                found.add(key)
                needs = map(Requirement, requires(wanted.name) or ())
                waiting += [each for each in needs if not each.marker or each.marker.evaluate({"extra": extra})]
    return pinned(*sorted({key.partition("[")[0] for key in found}))


def engine_of(bundle: Bundle) -> tuple[str, str]:
    """What runs the bundle here, as a title and as a requirement: LiteRT where it has a model for it."""
    if choose_kind(bundle, "auto") == "litert":
        return "LiteRT", pinned("ai-edge-litert")
    import tensorflow as tf

    # Of its builds under other names this is the one that every platform has.
    return "TensorFlow", f"tensorflow=={tf.__version__}\n"
