from collections.abc import Mapping

import pytest

from forgery.config import DataOptions
from forgery.dataset.layouts import Listing, read_layout
from forgery.dataset.sources import Entry
from forgery.errors import SourceError


class Files:
    """A source of named texts."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files

    def entries(self) -> list[Entry]:
        return [Entry(name, len(text)) for name, text in sorted(self._files.items())]

    def read(self, name: str) -> bytes:
        return self._files[name].encode()


def listed(files: Mapping[str, str] | list[str], **options: object) -> Listing:
    source = Files(files if isinstance(files, Mapping) else dict.fromkeys(files, ""))
    return read_layout(source, source.entries(), DataOptions.read(options))


CASIA_V1 = [
    "authentic/Au_ani_0001.jpg",
    "authentic/Au_ani_0002.jpg",
    "authentic/Au_pla_0009.jpg",
    "forged/Sp_D_CND_A_ani0001_pla0009_0281.jpg",
    "forged/Sp_S_NRN_R_ani0002_ani0002_0085.jpg",
    "forged/Sp_D_NNN_A_ani0002_ani0002.0288.jpg",
    "masks/Sp_D_CND_A_ani0001_pla0009_0281_gt.png",
]


def test_casia_names_tell_label_manipulation_and_mask() -> None:
    listing = listed(CASIA_V1)
    pictures = {picture.name: picture for picture in listing.pictures}
    splice = pictures["forged/Sp_D_CND_A_ani0001_pla0009_0281.jpg"]
    assert listing.layout == "casia"
    assert len(pictures) == 6
    assert not list(listing.rejects)
    assert (splice.label, splice.manipulation) == ("forged", "splice")
    assert splice.mask == "masks/Sp_D_CND_A_ani0001_pla0009_0281_gt.png"
    assert pictures["forged/Sp_S_NRN_R_ani0002_ani0002_0085.jpg"].manipulation == "copy-move"
    assert pictures["authentic/Au_ani_0001.jpg"].label == "authentic"


def test_casia_pictures_that_share_a_source_are_one_group() -> None:
    groups = {picture.name.rsplit("/", 1)[-1]: picture.group for picture in listed(CASIA_V1).pictures}
    assert groups["Au_ani_0001.jpg"] == groups["Au_pla_0009.jpg"] == groups["Sp_D_CND_A_ani0001_pla0009_0281.jpg"]
    assert groups["Au_ani_0002.jpg"] == groups["Sp_S_NRN_R_ani0002_ani0002_0085.jpg"]
    assert groups["Au_ani_0001.jpg"] != groups["Au_ani_0002.jpg"]


def test_casia_v2_names_are_read_too() -> None:
    listing = listed(["Au/Au_cha_00063.jpg", "Au/Au_art_00014.bmp", "Tp/Tp_D_CRN_S_N_cha00063_art00014_11818.tif"])
    assert [picture.label for picture in listing.pictures] == ["authentic", "authentic", "forged"]
    assert len({picture.group for picture in listing.pictures}) == 1


def test_mask_pairs_win_over_mask_names() -> None:
    files = dict.fromkeys(CASIA_V1, "") | {
        "masks/other_gt.png": "",
        "mask_pairs.tsv": "forged\tmask\nSp_S_NRN_R_ani0002_ani0002_0085.jpg\tother_gt.png\n",
    }
    masks = {picture.name: picture.mask for picture in listed(files).pictures}
    assert masks["forged/Sp_S_NRN_R_ani0002_ani0002_0085.jpg"] == "masks/other_gt.png"


@pytest.mark.parametrize(
    ("authentic", "forged"),
    [
        ("authentic", "forged"),
        ("Au", "Tp"),
        ("real", "fake"),
        ("0", "1"),
        ("original", "tampered"),
        ("Pristine", "MANIPULATED"),
        ("train/real", "train/fake"),
    ],
)
def test_class_folders_of_known_names_are_labelled(authentic: str, forged: str) -> None:
    listing = listed([f"set/{authentic}/a.jpg", f"set/{forged}/b.png"])
    assert listing.layout == "folders"
    assert {picture.name[-5:]: picture.label for picture in listing.pictures} == {
        "a.jpg": "authentic",
        "b.png": "forged",
    }
    assert all(picture.group is None for picture in listing.pictures)


def test_the_folder_nearest_to_the_file_decides() -> None:
    (picture,) = listed(["original/fake/a.jpg"]).pictures
    assert picture.label == "forged"


def test_stated_classes_win_over_known_words() -> None:
    listing = listed(["cats/a.jpg", "0/b.jpg"], classes={"cats": "forged", "0": "forged"})
    assert [picture.label for picture in listing.pictures] == ["forged", "forged"]


def test_masks_beside_class_folders_are_found_and_are_no_pictures() -> None:
    listing = listed(["real/a.jpg", "fake/b.jpg", "fake/c.jpg", "masks/b.png", "fake/c_mask.png"])
    masks = {picture.name: picture.mask for picture in listing.pictures}
    assert masks == {"real/a.jpg": None, "fake/b.jpg": "masks/b.png", "fake/c.jpg": "fake/c_mask.png"}


def test_files_that_no_rule_labels_are_listed() -> None:
    listing = listed(["real/a.jpg", "fake/b.jpg", "unknown/c.jpg", "README.txt"])
    assert [(reject.name, reject.reason) for reject in listing.rejects] == [
        ("README.txt", "unlabelled"),
        ("unknown/c.jpg", "unlabelled"),
    ]


MANIFEST = "file,label,group,mask,manipulation\na.jpg,real,g1,,\nb.jpg,fake,g1,m.png,removal\n"


def test_a_csv_manifest_gives_labels_groups_and_masks() -> None:
    listing = listed({"x/manifest.csv": MANIFEST, "x/a.jpg": "", "x/b.jpg": "", "x/m.png": "", "x/c.jpg": ""})
    authentic, forged = listing.pictures
    assert listing.layout == "manifest"
    assert (authentic.name, authentic.label, authentic.group, authentic.mask) == ("x/a.jpg", "authentic", "g1", None)
    assert (forged.mask, forged.manipulation) == ("x/m.png", "removal")
    assert [(reject.name, reject.reason) for reject in listing.rejects] == [("x/c.jpg", "unlabelled")]


def test_a_jsonl_manifest_reads_the_same() -> None:
    lines = '{"file_name": "a.jpg", "label": 0}\n\n{"file_name": "./sub/b.jpg", "label": 1, "source": 7}\n'
    listing = listed({"metadata.jsonl": lines, "a.jpg": "", "sub/b.jpg": ""})
    assert [(picture.name, picture.label, picture.group) for picture in listing.pictures] == [
        ("a.jpg", "authentic", None),
        ("sub/b.jpg", "forged", "7"),
    ]


def test_a_manifest_wins_over_class_folders() -> None:
    listing = listed({"manifest.csv": "file,label\nfake/a.jpg,real\n", "fake/a.jpg": ""})
    assert [picture.label for picture in listing.pictures] == ["authentic"]


def test_rows_without_their_file_are_listed() -> None:
    listing = listed({"manifest.csv": "file,label,mask\na.jpg,1,gone.png\nb.jpg,0,\n", "a.jpg": ""})
    assert [(reject.name, reject.reason) for reject in listing.rejects] == [("gone.png", "mask"), ("b.jpg", "missing")]


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("file,kind\na.jpg,1\n", "has the columns file, kind"),
        ("file,label\n", "has no rows"),
        ("file,label\na.jpg,maybe\n", "label 'maybe' is not known"),
        ("file,label\na.jpg,1\na.jpg,0\n", "listed twice"),
        ("file,label\nb.jpg,1\n", "names no file"),
    ],
)
def test_a_broken_manifest_is_refused_with_the_reason(manifest: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        listed({"manifest.csv": manifest, "a.jpg": ""})


def test_a_manifest_that_is_no_text_is_refused() -> None:
    with pytest.raises(SourceError, match=r"manifest\.jsonl cannot be read"):
        listed({"manifest.jsonl": "{not json", "a.jpg": ""})


def test_pictures_without_any_label_are_refused_with_what_is_accepted() -> None:
    with pytest.raises(SourceError, match=r"none of 2 files can be labelled.*data\.classes"):
        listed(["cats/a.jpg", "dogs/b.jpg"])


def test_a_layout_that_was_asked_for_and_does_not_fit_is_refused() -> None:
    with pytest.raises(SourceError, match="layout casia"):
        listed(["real/a.jpg", "fake/b.jpg"], layout="casia")
