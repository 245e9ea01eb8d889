"""The model is served exactly what it was trained on, whatever the recipe and the file."""

import base64
import io
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from forgery.bundle import Bundle, BundleInfo, Lineage
from forgery.config import DataOptions
from forgery.dataset.ingest import ingest
from forgery.dataset.shards import read_encoded
from forgery.decision import DecisionRule
from forgery.evidence import build_evidence, read_index
from forgery.recipes import kinds, parse_recipe
from serving.detect import detect_router
from serving.limits import ServingLimits
from serving.predictor import Predictor
from serving.server import Address, HardenedModelServer
from serving.sockets import LOOPBACK, free_ports
from serving.transformer import Transformer
from serving.upstream import Upstream

RECIPES = sorted({kind().name for kind in kinds().values()} | {"ela1_q70_q95_stretch_luma_48_box_upright"})
PICTURES = 8


class Recorder:
    """Keeps what the network would have been given."""

    def __init__(self) -> None:
        self.maps: list[NDArray[np.uint8]] = []

    def predict(self, maps: NDArray[np.uint8], outputs: Any) -> dict[str, NDArray[np.float32]]:
        self.maps.extend(maps)
        return {"probability_forged": np.zeros(len(maps), np.float32)}


def _encode(pixels: NDArray[np.uint8], index: int) -> tuple[str, bytes]:
    picture, encoded = Image.fromarray(pixels), io.BytesIO()
    rotated = Image.Exif()
    rotated[0x0112] = 6
    ways: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (picture, "JPEG", {"quality": 88}),
        (picture, "JPEG", {"quality": 71, "exif": rotated}),
        (picture.convert("CMYK"), "JPEG", {"quality": 90}),
        (picture.convert("L"), "PNG", {}),
        (picture.convert("P"), "PNG", {}),
        (picture.convert("RGBA"), "WEBP", {"quality": 80}),
        (picture, "TIFF", {"compression": "tiff_lzw"}),
        (picture, "BMP", {}),
    ]
    chosen, format_name, options = ways[index % len(ways)]
    chosen.save(encoded, format_name, **options)
    return format_name.lower(), encoded.getvalue()


@pytest.fixture(scope="module")
def image_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parity")
    random = np.random.default_rng(7)
    for label in ("authentic", "forged"):
        (folder / "source" / label).mkdir(parents=True)
        for index in range(PICTURES):
            pixels = np.kron(random.integers(0, 256, (12, 16, 3)), np.ones((8, 8, 1))) + random.normal(
                0, 9, (96, 128, 3)
            )
            suffix, encoded = _encode(np.clip(pixels, 0, 255).astype(np.uint8), index)
            (folder / "source" / label / f"{label}-{index}.{suffix}").write_bytes(encoded)
    options = DataOptions(min_class_pictures=2, validation_fraction=0.5)
    ingest(str(folder / "source"), folder / "images", options, seed=0)
    return folder / "images"


def _trained_on(image_set: Path, folder: Path, recipe: str) -> dict[str, NDArray[np.uint8]]:
    """Picture digest to map, as the training step's own reader gives it to the network."""
    from forgery.training.dataset import batches
    from forgery.training.map_split import open_split

    build_evidence(image_set, folder, parse_recipe(recipe), workers=1)
    maps = [each for batch, _ in batches(open_split(folder, "validation"), 4, cache=False) for each in batch.numpy()]
    return {row.digest: each for row, each in zip(read_index(folder, "validation"), maps, strict=True)}


async def _served(recipe: str, files: list[bytes]) -> list[NDArray[np.uint8]]:
    """The maps that reach the network when the files are sent over real sockets."""
    limits, recorder = ServingLimits(), Recorder()
    rule = DecisionRule(threshold=0.5, band_low=0.5, band_high=0.5)
    lineage = Lineage(dataset_digest="", run_id="", code_version="")
    info = BundleInfo(recipe=recipe, backbone="cnn", temperature=1, decision=rule, lineage=lineage)
    ports = free_ports(4)
    predictor = Predictor("forgery", Bundle(Path(), "0" * 32, info), recorder, limits)
    upstream = Upstream(f"{LOOPBACK}:{ports[1]}", "forgery")
    behind = HardenedModelServer(predictor, Address(LOOPBACK, *ports[:2]), limits)
    before = HardenedModelServer(
        Transformer("forgery", upstream, limits),
        Address(LOOPBACK, *ports[2:]),
        limits,
        routers=[partial(detect_router, limits=limits)],
        on_stop=upstream.close,
    )
    async with (
        behind.serving(),
        before.serving(),
        httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{ports[2]}") as client,
    ):
        for file in files:
            data = [base64.b64encode(file).decode()]
            tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": data}
            answer = await client.post("/v2/models/forgery/infer", json={"inputs": [tensor]}, timeout=60)
            answer.raise_for_status()
    return recorder.maps


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
async def test_the_model_is_served_exactly_what_it_was_trained_on(image_set: Path, tmp_path: Path, recipe: str) -> None:
    trained_on = _trained_on(image_set, tmp_path / "evidence", recipe)
    files = {picture.digest: encoded for picture, encoded in read_encoded(image_set, ["validation"])}
    assert len(files) >= PICTURES / 2
    served = await _served(recipe, [files[digest] for digest in trained_on])
    for digest, found in zip(trained_on, served, strict=True):
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, trained_on[digest])
