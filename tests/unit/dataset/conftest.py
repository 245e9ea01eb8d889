"""Small pictures made on the spot, and folders of them."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Picture = Callable[..., bytes]
Folder = Callable[[Mapping[str, bytes]], Path]


def make_picture(seed: int, size: tuple[int, int] = (48, 32), format: str = "JPEG", **options: object) -> bytes:
    """A smooth random picture: another seed gives another one, also to a difference hash."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    encoded = io.BytesIO()
    image.save(encoded, format, **options)
    return encoded.getvalue()


@pytest.fixture(name="picture", scope="session")
def _picture() -> Picture:
    return make_picture


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Folder:
    """Writes files below a new folder and returns it."""

    def write(files: Mapping[str, bytes]) -> Path:
        root = tmp_path / "source"
        for name, data in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
        return root

    return write


@pytest.fixture
def two_classes() -> dict[str, bytes]:
    """Twenty pictures of each class in folders, each its own group."""
    return {
        f"{label}/{number:02d}.jpg": make_picture(number + 100 * forged)
        for forged, label in enumerate(("authentic", "forged"))
        for number in range(20)
    }
