import errno
import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from forgery.config import DataOptions
from forgery.dataset.ingest import ingest
from forgery.dataset.manifest import DatasetInfo, read_info, read_pictures, read_rejects
from forgery.dataset.shards import read_encoded, read_masks
from forgery.errors import SourceError, StorageError


def ingested(source: Path, out: Path, seed: int = 0, **options: object) -> DatasetInfo:
    return ingest(str(source), out, DataOptions.read(options), seed)


def rejects(out: Path) -> dict[str, str]:
    return {reject.name: reject.reason for reject in read_rejects(out)}


def mask(size: tuple[int, int] = (48, 32), level: int = 255) -> bytes:
    pixels = np.zeros(size[::-1], np.uint8)
    pixels[8:16, 8:24] = level
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG")
    return encoded.getvalue()


def test_every_picture_comes_back_with_the_bytes_it_had(folder, two_classes, tmp_path: Path) -> None:
    out = tmp_path / "out"
    info = ingested(folder(two_classes), out)
    read = {picture.name: encoded for picture, encoded in read_encoded(out)}
    assert read == two_classes
    assert info == read_info(out)
    assert (info.pictures, info.rejects, info.layout) == (40, 0, "folders")
    assert info.counts == {
        "train": {"authentic": 12, "forged": 12},
        "validation": {"authentic": 4, "forged": 4},
        "test": {"authentic": 4, "forged": 4},
    }


def test_manifest_is_in_order_of_digest_and_agrees_with_the_shards(folder, two_classes, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ingested(folder(two_classes), out)
    pictures = list(read_pictures(out))
    assert [picture.digest for picture in pictures] == sorted(picture.digest for picture in pictures)
    for picture, encoded in read_encoded(out, ("test",)):
        assert picture.split == "test"
        assert picture.shard.startswith("test-")
        assert (picture.width, picture.height, picture.bytes, picture.format) == (48, 32, len(encoded), "JPEG")
        assert picture.member == f"{picture.digest}.jpg"


def test_small_packs_are_many_and_read_the_same(folder, picture, tmp_path: Path) -> None:
    files = {
        f"{label}/{number}.bmp": picture(number + 50 * forged, size=(500, 400), format="BMP")
        for forged, label in enumerate(("real", "fake"))
        for number in range(5)
    }
    out = tmp_path / "out"
    ingested(folder(files), out, shard_mb=1)
    assert len(list((out / "packs").glob("*.tar"))) > 1
    assert {row.name: encoded for row, encoded in read_encoded(out)} == files


def test_content_alone_makes_digest_split_and_shards(folder, two_classes, tmp_path: Path) -> None:
    source = folder(two_classes)
    archive = tmp_path / "same.zip"
    with zipfile.ZipFile(archive, "w") as written:
        for name, data in reversed(two_classes.items()):
            label, file = name.split("/")
            written.writestr(f"deep/{ {'authentic': 'real', 'forged': 'fake'}[label] }/renamed-{file}.png", data)
    first, second = tmp_path / "first", tmp_path / "second"
    assert ingested(source, first) == ingested(archive, second)
    assert [(row.digest, row.split, row.shard, encoded) for row, encoded in read_encoded(first)] == [
        (row.digest, row.split, row.shard, encoded) for row, encoded in read_encoded(second)
    ]


@pytest.mark.parametrize("change", ["label", "picture", "group", "mask"])
def test_whatever_a_model_could_learn_from_changes_the_digest(change, folder, picture, tmp_path: Path) -> None:
    files = {"a.jpg": picture(1), "b.jpg": picture(2), "c.jpg": picture(3), "m.png": mask()}
    rows = {"a.jpg": ["0", "g1", ""], "b.jpg": ["1", "g2", "m.png"], "c.jpg": ["0", "g3", ""]}

    def digest(name: str) -> str:
        table = "file,label,group,mask\n" + "".join(f"{file},{','.join(row)}\n" for file, row in rows.items())
        root = folder(files | {"manifest.csv": table.encode()})
        return ingested(root, tmp_path / name).digest

    before = digest("before")
    match change:
        case "label":
            rows["c.jpg"][0] = "1"
        case "picture":
            files["c.jpg"] = picture(4)
        case "group":
            rows["c.jpg"][1] = "g1"
        case "mask":
            rows["b.jpg"][2] = ""
    assert digest("after") != before


def test_names_of_groups_do_not_change_the_digest(folder, picture, tmp_path: Path) -> None:
    files = {f"{i}.jpg": picture(i) for i in range(4)}
    digests = []
    for groups in ("aabb", "yyxx"):
        table = "file,label,group\n" + "".join(f"{i}.jpg,{i % 2},{group}\n" for i, group in enumerate(groups))
        root = folder(files | {"manifest.csv": table.encode()})
        digests.append(ingested(root, tmp_path / groups).digest)
    assert digests[0] == digests[1]


def test_each_kind_of_bad_file_is_listed_with_its_reason(folder, picture, two_classes, tmp_path: Path) -> None:
    animated = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(animated, "WEBP", save_all=True, append_images=frames[1:])
    gif = io.BytesIO()
    frames[0].save(gif, "GIF")
    bad = {
        "forged/animated.webp": (animated.getvalue(), "animated"),
        "forged/copy.jpg": (two_classes["forged/00.jpg"], "duplicate"),
        "forged/cut.jpg": (picture(7)[:-100], "truncated"),
        "forged/empty.jpg": (b"", "empty"),
        "forged/gif.jpg": (gif.getvalue(), "format"),
        "forged/heavy.bmp": (picture(8, size=(120, 120), format="BMP"), "bytes"),
        "forged/large.png": (picture(9, size=(110, 100), format="PNG"), "pixels"),
        "forged/text.jpg": (b"no picture at all", "unreadable"),
        "notes.txt": (b"hello", "unlabelled"),
    }
    out = tmp_path / "out"
    root = folder(two_classes | {name: data for name, (data, _) in bad.items()})
    info = ingested(root, out, max_pixels=10_000, max_bytes=40_000)
    assert rejects(out) == {name: reason for name, (_, reason) in bad.items()}
    assert (info.pictures, info.rejects) == (40, len(bad))


def test_content_decides_not_the_extension(folder, picture, two_classes, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ingested(folder(two_classes | {"forged/really_png.jpg": picture(5, format="PNG")}), out)
    (row,) = [row for row in read_pictures(out) if row.name == "forged/really_png.jpg"]
    assert (row.format, row.member) == ("PNG", f"{row.digest}.png")


@pytest.mark.parametrize("format", ["TIFF", "BMP", "WEBP", "PNG"])
def test_other_formats_are_taken_as_they_are(format, folder, picture, tmp_path: Path) -> None:
    files = {f"{label}/a": picture(i, format=format) for i, label in enumerate(("real", "fake"))}
    out = tmp_path / "out"
    ingested(folder(files), out)
    assert {row.name: encoded for row, encoded in read_encoded(out)} == files


def test_a_picture_under_both_labels_is_in_neither_class(folder, two_classes, tmp_path: Path) -> None:
    out = tmp_path / "out"
    info = ingested(folder(two_classes | {"forged/same.jpg": two_classes["authentic/03.jpg"]}), out)
    assert rejects(out) == {"authentic/03.jpg": "conflict", "forged/same.jpg": "conflict"}
    assert info.pictures == 39


def test_copies_tie_their_groups_together(folder, picture, tmp_path: Path) -> None:
    files = {"a.jpg": picture(1), "b.jpg": picture(2), "c.jpg": picture(1), "d.jpg": picture(3)}
    table = "file,label,group\na.jpg,0,g1\nb.jpg,1,g1\nc.jpg,0,g2\nd.jpg,1,g2\n"
    out = tmp_path / "out"
    ingested(folder(files | {"manifest.csv": table.encode()}), out)
    assert len({row.group for row in read_pictures(out)}) == 1
    assert rejects(out) == {"c.jpg": "duplicate"}


def test_masks_are_kept_as_black_and_white(folder, picture, tmp_path: Path) -> None:
    files = {"real/a.jpg": picture(1), "fake/b.jpg": picture(2), "masks/b.png": mask(level=1)}
    out = tmp_path / "out"
    ingested(folder(files), out)
    masks = {row.name: encoded for row, encoded in read_masks(out)}
    assert masks["real/a.jpg"] is None
    pixels = np.asarray(Image.open(io.BytesIO(masks["fake/b.jpg"])))
    assert pixels.shape == (32, 48)
    assert set(np.unique(pixels)) == {0, 255}
    assert (pixels == 255).sum() == 8 * 16


@pytest.mark.parametrize(
    ("bad", "message"),
    [(mask((40, 32)), "40x32 pixels"), (mask(level=0), "marks no pixel"), (b"nothing", "no picture")],
)
def test_a_bad_mask_is_listed_and_its_picture_stays(bad: bytes, message: str, folder, picture, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ingested(folder({"real/a.jpg": picture(1), "fake/b.jpg": picture(2), "masks/b.png": bad}), out)
    (reject,) = read_rejects(out)
    assert (reject.name, reject.reason) == ("masks/b.png", "mask")
    assert message in reject.message
    assert all(row.mask_member is None for row in read_pictures(out))


def test_a_sample_is_smaller_and_balanced(folder, two_classes, tmp_path: Path) -> None:
    info = ingested(folder(two_classes), tmp_path / "out", sample_limit=20)
    assert info.pictures == 20
    assert sum(counts["forged"] for counts in info.counts.values()) == 10


def test_three_pictures_are_ingested_for_validation_to_judge(folder, picture, tmp_path: Path) -> None:
    files = {"real/a.jpg": picture(1), "real/b.jpg": picture(2), "fake/c.jpg": picture(3)}
    assert ingested(folder(files), tmp_path / "out").pictures == 3


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no files"),
        ({"readme.txt": b"hello"}, "none of 1 files can be labelled"),
        (
            {"real/a.jpg": b"x", "fake/b.jpg": b"y"},
            r"none of 2 files is accepted as a picture; the first: fake/b\.jpg: this is no",
        ),
    ],
)
def test_a_source_without_pictures_is_refused_and_leaves_nothing(files, message, folder, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    folder(files)
    with pytest.raises(SourceError, match=message):
        ingested(tmp_path / "source", tmp_path / "results" / "out")
    assert not list((tmp_path / "results").iterdir() if (tmp_path / "results").exists() else [])


def test_too_many_files_are_refused(folder, two_classes, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="more than max_pictures=39"):
        ingested(folder(two_classes), tmp_path / "out", max_pictures=39)


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    folder, two_classes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    results = tmp_path / "results"
    with pytest.raises(StorageError, match=f"no space left on {results}, needs about 1 MB; free some"):
        ingested(folder(two_classes), results / "out")
    assert not list(results.iterdir())


def test_ctrl_c_leaves_nothing_half_written(folder, two_classes, tmp_path: Path, monkeypatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tarfile.TarFile, "addfile", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ingested(folder(two_classes), tmp_path / "results" / "out")
    assert not list((tmp_path / "results").iterdir())


def test_ingest_again_replaces_an_image_set_but_nothing_else(folder, two_classes, tmp_path: Path) -> None:
    source, out = folder(two_classes), tmp_path / "out"
    first = ingested(source, out, seed=1)
    assert ingested(source, out, seed=2).seed == 2
    assert first.digest == read_info(out).digest
    with pytest.raises(StorageError, match=r"holds no dataset\.json"):
        ingested(source, source)
    assert len(list(source.rglob("*.jpg"))) == 40


def test_a_damaged_image_set_is_told(folder, two_classes, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ingested(folder(two_classes), out)
    rows = (out / "manifest.jsonl").read_text().splitlines()
    changed = [json.dumps(json.loads(rows[0]) | {"member": "other.jpg"}), *rows[1:]]
    (out / "manifest.jsonl").write_text("\n".join(changed) + "\n")
    with pytest.raises(StorageError, match=r"other\.jpg should.*run ingest again"):
        list(read_encoded(out))
    shutil.rmtree(out / "packs")
    with pytest.raises(StorageError, match="missing or damaged"):
        list(read_encoded(out))


def test_pictures_added_later_move_none_when_split_by_digest(folder, picture, tmp_path: Path) -> None:
    files = {f"{label}/{seed:03d}.jpg": picture(seed) for seed in range(60) for label in (("real", "fake")[seed % 2],)}
    options = DataOptions(split_by="digest")
    few = dict(list(files.items())[:50])
    ingest(str(folder(few)), tmp_path / "few", options, 0)
    ingest(str(folder(files)), tmp_path / "all", options, 0)
    before = {row.digest: row.split for row in read_pictures(tmp_path / "few")}
    after = {row.digest: row.split for row in read_pictures(tmp_path / "all")}
    assert before.items() <= after.items()
    assert len(after) > len(before)


def test_shards_are_full_after_so_many_pictures_and_listed(folder, two_classes, tmp_path: Path) -> None:
    info = ingest(str(folder(two_classes)), tmp_path / "out", DataOptions(shard_pictures=7), 0)
    rows = list(read_pictures(tmp_path / "out"))
    held = {shard.name: [row for row in rows if row.shard == shard.name] for shard in info.shards}
    assert max(map(len, held.values())) == 7
    assert sum(shard.pictures for shard in info.shards) == len(rows)
    for shard in info.shards:
        assert (shard.pictures, shard.bytes) == (len(held[shard.name]), sum(row.bytes for row in held[shard.name]))
        assert {row.split for row in held[shard.name]} == {shard.split}
