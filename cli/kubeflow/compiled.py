"""A compiled pipeline as a value: its YAML, what that says of name, images, parameters and steps, and its version."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from forgery import __version__
from forgery.errors import InvalidConfig

# Registry or repository path, then a tag, a digest or both (distribution/reference, "name[:tag][@digest]").
_REFERENCE = re.compile(
    r"(?P<name>[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?::[0-9]+)?(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)

# libyaml's is ten times as fast; wheels have it, builds from source may not.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Step:
    """A task that runs in a pod: its key in the graph, and the name people see."""

    key: str
    title: str


@dataclass(frozen=True)
class CompiledPipeline:
    """The YAML that `forgery compile` writes; the same text is the same version, whoever uploads it."""

    text: str

    @classmethod
    def read(cls, file: Path) -> "CompiledPipeline":
        """Read a compiled pipeline.

        Raises:
            InvalidConfig: The file cannot be read or is no compiled pipeline.
        """
        try:
            pipeline = cls(file.read_text())
            pipeline.name  # noqa: B018 - parsed here, so that a wrong file is refused where it is named
        except OSError as error:
            raise InvalidConfig(f"{file}: {error.strerror or error}; `forgery compile` writes it") from error
        except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError, StopIteration) as error:
            raise InvalidConfig(f"{file} is no compiled pipeline; `forgery compile` writes one") from error
        return pipeline

    @property
    def name(self) -> str:
        """The pipeline's name, e.g. forgery-training."""
        return str(self._spec["pipelineInfo"]["name"])

    @property
    def description(self) -> str:
        """One sentence for the list of pipelines."""
        return str(self._spec["pipelineInfo"].get("description", ""))

    @property
    def version(self) -> str:
        """`<library version>-<first 12 digits of the SHA-256 of the YAML>`."""
        return f"{__version__}-{hashlib.sha256(self.text.encode()).hexdigest()[:12]}"

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """Name to definition (`parameterType`, `defaultValue`, ...) of what a run may set."""
        inputs = self._spec["root"].get("inputDefinitions", {})
        return dict(inputs.get("parameters", {}))

    @property
    def images(self) -> list[str]:
        """The images its steps run on, each once, sorted."""
        executors = self._spec["deploymentSpec"]["executors"].values()
        return sorted({executor["container"]["image"] for executor in executors if "container" in executor})

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The tasks that run in pods, in an order in which they can run; those of conditions and loops as well."""
        return tuple(self._steps(self._spec["root"]["dag"]["tasks"]))

    def with_image(self, image: str) -> "CompiledPipeline":
        """The same pipeline on another image.

        Raises:
            InvalidConfig: `image` is no reference that always means the same bytes, or the steps run on several images.
        """
        check_image(image)
        if len(self.images) != 1:
            raise InvalidConfig(
                f"the steps run on {len(self.images)} images, --image sets one: {', '.join(self.images)}"
            )
        old = re.escape(self.images[0])
        pipeline = CompiledPipeline(re.sub(rf"(?m)^(\s*image: )['\"]?{old}['\"]?$", rf"\g<1>{image}", self.text))
        if pipeline.images != [image]:
            raise InvalidConfig(f"the image of {self.name} could not be replaced; compile it again with the new one")
        return pipeline

    @cached_property
    def _spec(self) -> dict[str, Any]:
        documents = (document for document in yaml.load_all(self.text, _LOADER) if document)
        return dict(next(document for document in documents if "pipelineInfo" in document))

    def _steps(self, tasks: Mapping[str, Any]) -> Iterator[Step]:
        for key in _ordered(tasks):
            task = tasks[key]
            component = self._spec["components"][task["componentRef"]["name"]]
            if "dag" in component:
                yield from self._steps(component["dag"]["tasks"])
            else:
                yield Step(key, str(task.get("taskInfo", {}).get("name", key)))


def check_image(image: str) -> None:
    """Refuse what may mean other bytes tomorrow: a cached step or a retry would then mix two versions of the code.

    Raises:
        InvalidConfig: `image` is malformed, has neither tag nor digest, or the tag `latest`.
    """
    match = _REFERENCE.fullmatch(image)
    accepted = "e.g. registry.example/forgery/train-python:0.1.0 or ...@sha256:<64 hex digits>"
    if not match:
        raise InvalidConfig(f"--image {image!r} is no image reference; accepted: {accepted}")
    if not match["digest"] and match["tag"] in (None, "latest"):
        raise InvalidConfig(
            f"--image {image!r} can change under a run; give a tag that is never moved, or a digest, {accepted}"
        )


def _ordered(tasks: Mapping[str, Any]) -> list[str]:
    """Keys such that every task follows those it depends on; alphabetical where that leaves a choice."""
    ordered: list[str] = []
    while waiting := sorted(key for key in tasks if key not in ordered):
        ready = [key for key in waiting if set(tasks[key].get("dependentTasks", ())) <= set(ordered)]
        ordered.extend(ready or waiting)
    return ordered
