"""Packs: tar files that hold pictures, each with its mask, in the order they were read; a picture is read by its range.

A pack is called by its content, so equal packs are one file, whichever run wrote them. Beside an image set's manifest
they lie in the folder `packs`, in a cache below `pictures`.
"""

import hashlib
import io
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from forgery.dataset.manifest import Picture, read_info
from forgery.errors import ForgeryError, StorageError
from forgery.places import FolderPlace, Place, open_place

PACK_FOLDER: Final = "packs"
STORED: Final = "pictures"
_NAME_DIGITS: Final = 32


class PackWriter:
    """One pack; members carry no time, owner or mode of this machine, so equal content gives equal files."""

    def __init__(self, folder: Path) -> None:
        """Write to a temporary file in `folder`, which exists."""
        self._folder = folder
        self._file = tempfile.NamedTemporaryFile(dir=folder, prefix=".pack-", delete=False)  # noqa: SIM115  - finish
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115

    def add(self, members: Sequence[tuple[str, bytes]]) -> tuple[int, int]:
        """Append members that belong together.

        Returns:
            Offset and length of their range, in bytes, headers included.
        """
        begin = self._tar.offset
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            self._tar.addfile(info, io.BytesIO(data))
        # tarfile keeps a record of each member it wrote, which nobody asks for here.
        self._tar.members.clear()  # type: ignore[attr-defined]
        return begin, self._tar.offset - begin

    def finish(self) -> str:
        """Give the file its name in the folder, and return it."""
        self._tar.close()
        self._file.seek(0)
        name = f"{hashlib.file_digest(self._file, 'sha256').hexdigest()[:_NAME_DIGITS]}.tar"
        self._file.close()
        written = Path(self._file.name)
        written.chmod(0o644)  # a later step may run as another user
        written.replace(self._folder / name)
        return name


class Packs:
    """The packs of an image set, beside its manifest or in its place; reading is safe from several threads."""

    def __init__(self, image_set: Path) -> None:
        """Nothing is read yet."""
        self._image_set = image_set
        self._where = read_info(image_set).place
        self._prefix = STORED if self._where else PACK_FOLDER
        self._place: Place = open_place(self._where) if self._where else FolderPlace(image_set)

    @property
    def far(self) -> bool:
        """Whether each reading waits for a server."""
        return not isinstance(self._place, FolderPlace)

    def read(self, picture: Picture) -> tuple[bytes, bytes | None]:
        """A picture's file and its mask, None where there is none.

        Raises:
            StorageError: The pack is missing, damaged or does not hold what the manifest says.
        """
        name = f"{self._prefix}/{picture.pack}"
        try:
            content = self._place.read_range(name, picture.offset, picture.length)
            encoded, rest = _member(content, picture.member, self._image_set)
            mask = _member(rest, picture.mask_member, self._image_set)[0] if picture.mask_member else None
        except (ForgeryError, tarfile.TarError) as error:
            where = self._where or self._image_set
            raise StorageError(
                f"{picture.member} in {name} of {where} is missing or damaged ({error}); remove what is left of that "
                "pack and run ingest again"
            ) from error
        return encoded, mask


def _member(content: bytes, name: str, image_set: Path) -> tuple[bytes, bytes]:
    """The first member's data, and what comes after it."""
    info = tarfile.TarInfo.frombuf(content[: tarfile.BLOCKSIZE], tarfile.ENCODING, "strict")
    blocks = 1 + -(-info.size // tarfile.BLOCKSIZE)
    data = content[tarfile.BLOCKSIZE :][: info.size]
    if info.name != name or len(data) != info.size:
        raise StorageError(f"image set {image_set} is damaged: {info.name} stands where {name} should")
    return data, content[blocks * tarfile.BLOCKSIZE :]
