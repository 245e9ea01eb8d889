import errno
import hashlib
import io
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from forgery import evidence_maps
from forgery.config import DataOptions
from forgery.dataset.ingest import ingest
from forgery.dataset.manifest import ClassLabel, Picture, read_info, read_pictures
from forgery.dataset.shards import read_encoded, read_members, read_with_masks
from forgery.errors import InvalidConfig, StorageError
from forgery.evidence import (
    MASK_UNKNOWN,
    build_evidence,
    decode_map,
    encode_map,
    mask_channel,
    read_evidence_info,
    read_index,
    stored_shape,
)
from forgery.evidence_maps import Work, missing_maps
from forgery.evidence_set import mask_cells
from forgery.histories import MATCHED, read_forged_saves, resaved
from forgery.last_saves import LastSave
from forgery.pasting import last_save, paste, steps_to_host
from forgery.picture import decode
from forgery.recipes import evidence
from forgery.recipes.blocks import BlocksRecipe
from forgery.recipes.ela import ElaRecipe
from forgery.training.dense import MADE
from forgery.training.map_split import open_split
from forgery.variants import PASTED, VARIED, Variant, parse_variants

RECIPE = ElaRecipe(size_px=16)
DEMO_PICTURES = 20


@pytest.fixture(scope="module")
def image_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-eight small pictures, half of each class."""
    source = tmp_path_factory.mktemp("source")
    random = np.random.default_rng(0)
    for label in ("authentic", "forged"):
        (source / label).mkdir()
        for number in range(24):
            pixels = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((64, 48)).save(source / label / f"{number}.jpg")
    out = tmp_path_factory.mktemp("set") / "out"
    ingest(str(source), out, DataOptions(), 0)
    return out


def manifest_row(label: ClassLabel, encoded: bytes) -> Picture:
    """Of a picture that is in no pack."""
    digest = hashlib.sha256(encoded).hexdigest()
    texts = dict.fromkeys(("group", "name", "shard", "pack", "member"), "")
    numbers = dict.fromkeys(("width", "height", "bytes", "offset", "length"), 0)
    return Picture(digest=digest, label=label, split="train", format="JPEG", mask_digest="0" * 64, **texts, **numbers)


def maps(folder: Path) -> dict[tuple[str, str], bytes]:
    """PNG of each map by digest and variant."""
    members = {name: data for shard in sorted((folder / "shards").iterdir()) for name, data in read_members(shard)}
    return {
        (row.digest, row.variant): members[row.member]
        for split in ("train", "validation")
        for row in read_index(folder, split)
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_map_is_that_of_the_pictures_bytes(image_set: Path, tmp_path: Path) -> None:
    build_evidence(image_set, tmp_path / "out", RECIPE)
    found = maps(tmp_path / "out")
    pictures = dict(read_encoded(image_set, ("train", "validation")))
    assert len(found) == len(pictures)
    for picture, encoded in pictures.items():
        png = found[picture.digest, "original"]
        assert np.array_equal(decode_map(png, RECIPE.shape), evidence(encoded, RECIPE))


@pytest.mark.parametrize("shape", [(16, 24, 1), (16, 24, 3), (16, 24, 2), (16, 24, 67)])
def test_maps_come_back_as_they_were(shape: tuple[int, int, int]) -> None:
    drawn = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert np.array_equal(decode_map(encode_map(drawn), shape), drawn)


@pytest.mark.parametrize("png", [b"", b"no PNG", *(encode_map(np.zeros((8, width, 3), np.uint8)) for width in (8, 32))])
def test_what_is_no_such_map_is_refused(png: bytes) -> None:
    with pytest.raises(StorageError, match="a map of the evidence is damaged"):
        decode_map(png, (16, 16, 3))


def test_the_test_split_is_left_to_evaluation(image_set: Path, tmp_path: Path) -> None:
    build_evidence(image_set, tmp_path / "out", RECIPE)
    held_back = {picture.digest for picture in read_pictures(image_set, ("test",))}
    assert held_back
    assert not held_back & {digest for digest, _ in maps(tmp_path / "out")}


def test_summary_and_index_agree_with_the_image_set(image_set: Path, tmp_path: Path) -> None:
    info = build_evidence(image_set, tmp_path / "out", RECIPE, ["q70"])
    rows = [row for split in ("train", "validation") for row in read_index(tmp_path / "out", split)]
    counted = Counter((row.split, row.label) for row in rows)
    expected = {picture.digest: picture for picture in read_pictures(image_set)}
    assert info == read_evidence_info(tmp_path / "out")
    assert (info.recipe, info.dataset_digest) == (RECIPE.name, read_info(image_set).digest)
    assert info.variants == ["original", "q70"]
    assert info.maps == len(rows)
    assert info.map_bytes == len(rows) * 16 * 16 * 3
    assert {(split, label): n for split, labels in info.counts.items() for label, n in labels.items()} == counted
    for row in rows:
        picture = expected[row.digest]
        assert (row.label, row.group, row.split) == (picture.label, picture.group, picture.split)
        assert row.shard.startswith(f"{row.split}-")


def test_variants_are_made_of_training_pictures_before_their_evidence(image_set: Path, tmp_path: Path) -> None:
    build_evidence(image_set, tmp_path / "out", RECIPE, ["q70", "x50", "x50q80"])
    found = maps(tmp_path / "out")
    for picture, encoded in read_encoded(image_set, ("train",)):
        for name in ("q70", "x50", "x50q80"):
            expected = evidence(Variant.parse(name).copy(encoded), RECIPE)
            assert np.array_equal(decode_map(found[picture.digest, name], RECIPE.shape), expected)
    variants = {row.variant for row in read_index(tmp_path / "out", "validation")}
    assert variants == {"original"}


def test_the_number_of_workers_changes_no_byte(image_set: Path, tmp_path: Path) -> None:
    for workers in (1, 2, 3):
        build_evidence(image_set, tmp_path / str(workers), RECIPE, ["q70"], workers=workers)
    assert contents(tmp_path / "1") == contents(tmp_path / "2") == contents(tmp_path / "3")


def test_small_shards_are_filled_in_the_order_of_the_index(image_set: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("forgery.dataset.shards.MEGABYTE", 1000)
    build_evidence(image_set, tmp_path / "out", RECIPE, shard_mb=4)
    shards = sorted((tmp_path / "out" / "shards").glob("train-*.tar"))
    members = [(shard.name, name) for shard in shards for name, _ in read_members(shard)]
    assert len(shards) > 2
    assert members == [(row.shard, row.member) for row in read_index(tmp_path / "out", "train")]


@pytest.mark.parametrize(
    ("recipe", "mode", "width"),
    [
        (ElaRecipe((90,), size_px=16, luma=True), "L", 16),
        (ElaRecipe((90,), size_px=16), "RGB", 16),
        (ElaRecipe((75, 95), size_px=16, luma=True), "L", 32),
        (ElaRecipe((75, 95), size_px=16), "L", 96),
    ],
)
def test_other_channels_than_one_or_three_lie_beside_each_other(recipe: ElaRecipe, mode: str, width: int) -> None:
    map_ = np.random.default_rng(0).integers(0, 256, recipe.shape, dtype=np.uint8)
    image = Image.open(io.BytesIO(encode_map(map_)))
    assert (image.mode, image.size) == (mode, (width, 16))
    if mode == "L":
        assert np.array_equal(np.asarray(image)[:, -16:], map_[:, :, -1])
    else:
        assert np.array_equal(np.asarray(image), map_)


def test_an_unknown_variant_is_refused_before_anything_is_written(image_set: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="variant 'blur' is none"):
        build_evidence(image_set, tmp_path / "out", RECIPE, ["blur"])
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_sentence_and_leaves_nothing(image_set: Path, tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(StorageError, match="no space left on"):
        build_evidence(image_set, tmp_path / "out", RECIPE, workers=2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("workers", [1, 2])
def test_a_picture_damaged_since_ingest_is_named(workers: int, image_set: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "set"
    shutil.copytree(image_set, damaged)
    first = next(read_pictures(damaged, ("train",)))
    pack, begin = damaged / "packs" / first.pack, first.offset + 512
    data = pack.read_bytes()
    pack.write_bytes(data[:begin] + b"nonsense" * (first.bytes // 8) + data[begin + first.bytes // 8 * 8 :])
    with pytest.raises(StorageError, match=f"{first.member} in pack {first.pack} is damaged"):
        build_evidence(damaged, tmp_path / "out", RECIPE, workers=workers)
    assert not (tmp_path / "out").exists()


def test_matched_pictures_all_have_the_last_save(image_set: Path, tmp_path: Path) -> None:
    build_evidence(image_set, tmp_path / "matched", RECIPE, [MATCHED, "q50"])
    info = read_evidence_info(tmp_path / "matched")
    assert info.variants == ["original", "q50", MATCHED]
    pictures = {row.digest: (row.label, encoded) for row, encoded in read_encoded(image_set, ("train", "validation"))}
    saves = read_forged_saves(image_set)
    rows = [row for split in ("train", "validation") for row in read_index(tmp_path / "matched", split)]
    assert Counter(row.variant for row in rows if row.split == "train")["q50"] > 0
    written = maps(tmp_path / "matched")
    for row in rows:
        if row.variant == "original":
            label, encoded = pictures[row.digest]
            expected = evidence(resaved(encoded, saves.drawn(row.digest, label)), RECIPE)
            assert np.array_equal(decode_map(written[row.digest, row.variant], RECIPE.shape), expected)


def test_varied_copies_have_the_drawn_save_instead_of_the_common_one(image_set: Path, tmp_path: Path) -> None:
    info = build_evidence(image_set, tmp_path / "varied", RECIPE, [MATCHED, VARIED])
    assert info.variants == ["original", VARIED, MATCHED]
    saves, written = read_forged_saves(image_set), maps(tmp_path / "varied")
    for row, encoded in read_encoded(image_set, ("train",)):
        picture, first = decode(encoded), saves.drawn(row.digest, row.label)
        file = LastSave.drawn(row.digest, picture.size).file(first.apply(picture) if first else picture)
        assert np.array_equal(decode_map(written[row.digest, VARIED], RECIPE.shape), evidence(file, RECIPE))


def test_what_was_forged_is_pasted_into_authentic_training_pictures_and_saved_as_they_are(tmp_path: Path) -> None:
    ingest(f"demo:{3 * DEMO_PICTURES}", tmp_path / "images", DataOptions(), 0)
    recipe = BlocksRecipe(cells=8, matches=False)
    info = build_evidence(tmp_path / "images", tmp_path / "out", recipe, [MATCHED, PASTED])
    assert info.variants == ["original", PASTED, MATCHED]
    saves, written = read_forged_saves(tmp_path / "images"), maps(tmp_path / "out")
    training = list(read_with_masks(tmp_path / "images", ("train",)))
    asked = [row.digest for row, _, mask in training if mask]
    assert sorted(asked) == sorted(digest for digest, variant in written if variant == PASTED)
    assert {row.label for row in read_index(tmp_path / "out", "train") if row.variant == PASTED} == {"forged"}
    labels = open_split(tmp_path / "out", "train").labels
    assert (labels == MADE).sum() == len(asked) > 0
    assert (labels == 1).sum() == sum(row.label == "forged" for row, *_ in training)
    for at, (row, encoded, mask) in enumerate(training):
        if mask is None:
            continue
        ring = [each for each in training[at:] + training if each[0].label == "authentic"]
        host, host_encoded, _ = ring[steps_to_host(row.digest) - 1]
        marked = Image.open(io.BytesIO(mask)).convert("L")
        made, where = paste(row.digest, decode(encoded), marked, decode(host_encoded))
        first, last = saves.drawn(host.digest, host.label), last_save(row.digest, made.size)
        assert first
        found = decode_map(written[row.digest, PASTED], stored_shape(recipe))
        assert np.array_equal(found[:, :, :-1], evidence(last.file(first.apply(made)), recipe))
        assert np.array_equal(found[:, :, -1:], mask_cells(where, recipe, last.cut_px))
        assert found[:, :, -1].any()


def test_a_damaged_host_is_named(tmp_path: Path) -> None:
    ingest(f"demo:{3 * DEMO_PICTURES}", tmp_path / "images", DataOptions(), 0)
    build_evidence(tmp_path / "images", tmp_path / "out", RECIPE, cache=f"file://{tmp_path}/cache")
    first = next(row for row in read_pictures(tmp_path / "images", ("train",)) if row.label == "authentic")
    pack = tmp_path / "images" / "packs" / first.pack
    content = bytearray(pack.read_bytes())
    content[first.offset + tarfile.BLOCKSIZE + first.bytes // 2] ^= 1
    pack.write_bytes(content)
    with pytest.raises(StorageError, match=f"{first.member} in pack {first.pack} is damaged"):
        build_evidence(tmp_path / "images", tmp_path / "again", RECIPE, [PASTED], cache=f"file://{tmp_path}/cache")


def test_masks_are_cut_like_their_pictures() -> None:
    mask = io.BytesIO()
    Image.fromarray(np.repeat(np.uint8([[0, 0, 255, 255]]), 4, axis=0)).resize((32, 32), 0).save(mask, "PNG")
    recipe = BlocksRecipe(cells=8, matches=False)
    whole = mask_channel("forged", b"", mask.getvalue(), recipe)
    cut = mask_channel("forged", b"", mask.getvalue(), recipe, (16, 0))
    assert whole[:, :4].max() == 0
    assert cut.min() == MASK_UNKNOWN - 1


def test_copies_that_nothing_was_cut_off_share_one_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, mask = (io.BytesIO() for _ in range(2))
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(picture, "JPEG")
    Image.fromarray(np.uint8(255) * (pixels[:, :, 0] > 128)).save(mask, "PNG")
    made = []

    def counted(label, encoded, mask, recipe, cut_px):
        made.append(cut_px)
        return mask_channel(label, encoded, mask, recipe, cut_px)

    monkeypatch.setattr(evidence_maps, "mask_channel", counted)
    row = manifest_row(label="forged", encoded=picture.getvalue())
    recipe = BlocksRecipe(cells=8)
    work = Work(row, parse_variants(["q70", "x50", VARIED]), encoded=picture.getvalue(), mask=mask.getvalue())
    ((_, found),) = missing_maps(iter([work]), recipe, workers=1)
    assert set(made) >= {(0, 0)}
    assert len(made) == len(set(made)) <= 2
    masks = [decode_map(found[name], stored_shape(recipe))[..., -1] for name in ("original", "q70", "x50")]
    wanted = mask_channel("forged", picture.getvalue(), mask.getvalue(), recipe)[..., 0]
    assert all((each == wanted).all() for each in masks)


def test_dense_recipes_keep_masks_beside_their_maps(tmp_path: Path) -> None:
    ingest(f"demo:{DEMO_PICTURES}", tmp_path / "images", DataOptions(), 0)
    recipe = BlocksRecipe(cells=8, matches=False)
    info = build_evidence(tmp_path / "images", tmp_path / "set", recipe)
    assert info.masks
    with_mask = {row.digest: row for row in read_pictures(tmp_path / "images") if row.mask_member}
    written = maps(tmp_path / "set")
    rows = [row for split in ("train", "validation") for row in read_index(tmp_path / "set", split)]
    for row in rows:
        channel = decode_map(written[row.digest, "original"], stored_shape(recipe))[:, :, -1]
        if row.label == "authentic":
            assert not channel.any()
        elif row.digest in with_mask:
            assert 0 < channel.max() < MASK_UNKNOWN
        else:
            assert (channel == MASK_UNKNOWN).all()
    assert any(row.digest in with_mask for row in rows)
