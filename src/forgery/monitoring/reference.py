"""What a model's validation pictures look like to it: the reference that drift is measured against, in its bundle."""

from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from forgery.bundle import Bundle
from forgery.monitoring.payloads import Scored

REFERENCE_FILE: Final = "reference.json"


class Reference(BaseModel):
    """Facts and scores of pictures that the model was not fitted to.

    Attributes:
        split: Which they are of.
        groups: Source groups among them: pictures of one group are no independent draws.
        pictures: In order of digest, which is no order of anything else.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int = 1
    split: str
    groups: int
    pictures: tuple[Scored, ...]


def write_reference(folder: Path, reference: Reference) -> None:
    """Put the reference into a bundle that is about to be sealed."""
    (folder / REFERENCE_FILE).write_text(reference.model_dump_json() + "\n")


def read_reference(bundle: Bundle) -> Reference | None:
    """The reference of a bundle; None for bundles that were sealed without."""
    path = bundle.path / REFERENCE_FILE
    return Reference.model_validate_json(path.read_bytes()) if path.is_file() else None
