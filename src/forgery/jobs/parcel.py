"""What travels between the training step and its workers, in the place of checkpoints.

<place>/jobs/<name>/
  settings.json        configuration and run id
  evidence/            the evidence set
  champion/            the champion's bundle, where training goes on from it
  draft/, logs/        what the chief brings back
  result.json          the chief's figures, written last
  failure.txt          what a worker says that no restart would mend

Every file is written whole. A folder's list, `<folder>.json`, is written after its files.
"""

import json
from collections.abc import Callable
from pathlib import Path

from forgery.errors import StorageError
from forgery.places import open_place


class Parcel:
    """The files of one job; every method raises StorageError where the place refuses."""

    def __init__(self, where: str, name: str) -> None:
        """Nothing is sent yet; InvalidConfig where `where` is no place."""
        self._place = open_place(where)
        self._folder = f"jobs/{name}"

    def read(self, name: str) -> bytes | None:
        """A file, or None where it is absent."""
        return self._place.read(f"{self._folder}/{name}")

    def write(self, name: str, content: bytes) -> None:
        """A file, whole."""
        self._place.write(f"{self._folder}/{name}", content)

    def send(self, folder: Path, name: str) -> None:
        """The files below `folder`; nothing where an earlier try has sent them."""
        if self.read(f"{name}.json") is not None:
            return
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        for path in files:
            self.write(f"{name}/{path.relative_to(folder)}", path.read_bytes())
        self.write(f"{name}.json", json.dumps([str(path.relative_to(folder)) for path in files]).encode())

    def fetch(self, name: str, folder: Path, wanted: Callable[[str], bool] = lambda _: True) -> None:
        """The files that were sent, those that are `wanted` by their path in `folder`."""
        for path in json.loads(self._must(f"{name}.json")):
            if wanted(path):
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(self._must(f"{name}/{path}"))

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        self._place.remove(f"{self._folder}/{name}")

    def clear(self) -> None:
        """Remove all of it."""
        self._place.remove(self._folder)

    def _must(self, name: str) -> bytes:
        content = self.read(name)
        if content is None:
            raise StorageError(f"{self._folder}/{name} is missing: run the training step again")
        return content
