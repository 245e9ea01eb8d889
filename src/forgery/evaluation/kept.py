"""Answers that a killed evaluation had come to, kept block by block, so that the next one goes on from there.

A block is kept under a digest of all that its answers depend on: the models, their engines, the pictures, what was
asked, and the code. Its questions go to the models in batches of its own, so that answers are the same to the last bit
whether they were kept or are new.
"""

import hashlib
import importlib.metadata
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from forgery.bundle import Bundle
from forgery.evidence_cache import code_digest
from forgery.places import FolderPlace, OptionalPlace

_CODE: Final = ("answers.py", "controls.py", "maps.py", "robustness.py", "../engine.py", "../lite.py", "../views.py")
_FOLDER: Final = "answers"
_LIBRARIES: Final = ("tensorflow-cpu", "tensorflow", "ai-edge-litert")


class KeptAnswers:
    """Blocks of answers in a folder or a bucket; one that cannot be had costs a warning and the time to ask again."""

    def __init__(self, where: str, models: Sequence[str], parts: Sequence[Path] = (), out: Path | None = None) -> None:
        """Keep the answers of these models below `where`, s3://bucket/prefix or file://PATH or empty for nowhere.

        They are looked for in the folders of `parts` first, and all that pass by here are also written to `out`.
        """
        self._models = list(models)
        self._place = OptionalPlace(where, "answers are")
        self._given = {path.name: path for part in parts for path in (part / _FOLDER).glob("*.json")}
        self._out = FolderPlace(out) if out else None

    def name(self, asked: Any) -> str:  # noqa: ANN401 - whatever `repr` tells apart
        """Where the answers to these questions lie."""
        return f"{_FOLDER}/{_digest([self._models, code_digest(), _code_digest(), asked])}.json"

    def read(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """What `write` wrote, or None."""
        given = self._given.get(name.rpartition("/")[2])
        content = given.read_bytes() if given else self._place.read(name)
        try:
            answers = None if content is None else json.loads(content)
        except ValueError as error:
            self._place.give_up(error)
            return None
        if self._out and content is not None:
            self._out.write(name, content)
        return answers

    def write(self, name: str, answers: Any) -> None:  # noqa: ANN401 - JSON
        """Keep; numbers come back to the last bit."""
        content = json.dumps(answers).encode()
        self._place.write(name, content)
        if self._out:
            self._out.write(name, content)


def model_name(bundle: Bundle, kind: str) -> str:
    """The model by its content, and the engine that runs it; a draft has no digest of its own yet."""
    content = hashlib.sha256(f"{kind} {bundle.info.recipe}".encode())
    for path in sorted(path for path in bundle.path.rglob("*") if path.is_file()):
        content.update(f"{path.relative_to(bundle.path)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return content.hexdigest()


@cache
def _code_digest() -> str:
    here = Path(__file__).parent
    return _digest([[(here / name).read_text() for name in _CODE], _versions()])


def _versions() -> list[str]:
    installed = {each.name for each in importlib.metadata.distributions()}
    return [f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES if name in installed]


def _digest(value: Any) -> str:  # noqa: ANN401 - whatever `repr` tells apart
    return hashlib.sha256(repr(value).encode()).hexdigest()
