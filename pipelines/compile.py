"""From the pipelines' wiring to the YAML that is committed, uploaded and run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kfp import compiler

from components.envelope import TRAIN_IMAGE
from forgery.errors import InvalidConfig
from pipelines.batch import batch
from pipelines.monitoring import monitoring
from pipelines.rollback import rollback
from pipelines.training import training

COMPILED = Path(__file__).parent / "compiled"
PIPELINES: dict[str, Callable[..., Any]] = {
    "training": training,
    "rollback": rollback,
    "monitoring": monitoring,
    "batch": batch,
}


def compile_pipelines(folder: Path = COMPILED, image: str | None = None) -> list[Path]:
    """Write `<name>.yaml` for every pipeline into `folder`; the same wiring gives the same bytes.

    Args:
        folder: Made where it does not exist.
        image: Put in the place of the steps' default image.

    Raises:
        InvalidConfig: The image has no digest and no tag, or the tag `latest`, under which cached steps would go stale.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [_compile(name, folder / f"{name}.yaml", check_image(image or TRAIN_IMAGE)) for name in PIPELINES]


def check_image(image: str) -> str:
    """The image as it is, if it names one content for good."""
    tag = image.rpartition("/")[2].partition(":")[2]
    if "@sha256:" not in image and tag in ("", "latest"):
        raise InvalidConfig(
            f"image {image!r} may change under its name; give a digest (@sha256:...) or an immutable tag"
        )
    return image


def _compile(name: str, target: Path, image: str) -> Path:
    compiler.Compiler().compile(PIPELINES[name], str(target))
    # kfp heads the file with comments whose order changes from process to process.
    body = target.read_text().split("components:\n", 1)[1].replace(f"image: {TRAIN_IMAGE}", f"image: {image}")
    target.write_text(f"# Compiled from pipelines/{name}.py by `make compile`; never edited.\ncomponents:\n{body}")
    return target
