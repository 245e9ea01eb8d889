"""Verdicts that people corrected, kept so that the next model can learn from them.

<place>/                       a folder, or the objects below s3://bucket/prefix
  corrections/<digest>-<time>-<random>.json    one Correction each, never changed
  pictures/<digest>.<suffix>                   only where the person agreed
"""

import contextlib
import hashlib
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field

from forgery.errors import StorageError
from forgery.picture import DEFAULT_LIMITS, read_header

CORRECTIONS: Final = "corrections"
PICTURES: Final = "pictures"
_SUFFIXES: Final = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif", "BMP": "bmp"}


class Given(BaseModel):
    """The verdict that was corrected, as far as it is known."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    label: str
    probability_forged: float
    model_version: str


class Correction(BaseModel):
    """What somebody knows of a picture.

    Attributes:
        digest: SHA-256 of the file's bytes.
        label: What the picture is.
        by: Who says so.
        because: How they know.
        at: UTC, ISO 8601.
        given: The verdict that was corrected.
        picture: Name below `pictures/`; None where the person keeps the picture to themselves.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    label: Literal["authentic", "forged"]
    by: str = Field(min_length=1, max_length=200)
    because: str = Field(min_length=1, max_length=2000)
    at: str
    given: Given | None = None
    picture: str | None = None

    @classmethod
    def of(cls, encoded: bytes, label: str, by: str, because: str, given: Given | None, keep_picture: bool) -> Self:
        """Describe a correction of the verdict on the file `encoded`.

        Raises:
            PictureRejected: The bytes are no accepted picture.
            ValueError: `by` or `because` says nothing, or `label` is no class.
        """
        digest, header = hashlib.sha256(encoded).hexdigest(), read_header(encoded, DEFAULT_LIMITS)
        return cls.model_validate(
            {
                "digest": digest,
                "label": label,
                "by": by.strip(),
                "because": because.strip(),
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "given": given,
                "picture": f"{digest}.{_SUFFIXES[header.format]}" if keep_picture else None,
            }
        )

    @property
    def name(self) -> str:
        """A file name that no other correction has."""
        return f"{self.digest}-{self.at[:19].replace(':', '')}-{secrets.token_hex(4)}.json"


class _Place(Protocol):
    def put(self, name: str, content: bytes) -> None: ...


def keep(place: str, correction: Correction, encoded: bytes) -> None:
    """Store a correction, and the picture itself where the correction names one.

    The picture comes first, so that a correction never names what is not there.

    Args:
        place: A folder, or s3://bucket/prefix.
        correction: Of the file `encoded`.
        encoded: Stored as it is.

    Raises:
        StorageError: It cannot be written.
    """
    target: _Place = _Bucket(place) if place.startswith("s3://") else _Folder(Path(place))
    if correction.picture is not None:
        target.put(f"{PICTURES}/{correction.picture}", encoded)
    target.put(f"{CORRECTIONS}/{correction.name}", correction.model_dump_json(indent=2).encode() + b"\n")


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, name: str, content: bytes) -> None:
        path = self._root / name
        beside = path.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(content)
            beside.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise StorageError(f"{path} cannot be written: {error.strerror}; name another folder") from error


class _Bucket:
    def __init__(self, uri: str) -> None:
        from forgery.s3 import split_uri

        self._uri = uri
        self._bucket, self._prefix = split_uri(uri)

    def put(self, name: str, content: bytes) -> None:
        import io

        from forgery.s3 import s3_client, s3_errors

        key = "/".join(part for part in (self._prefix.strip("/"), name) if part)
        with s3_errors(f"writing to {self._uri}"):
            s3_client().put_object(self._bucket, key, io.BytesIO(content), len(content))
