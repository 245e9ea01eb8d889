"""Validation: whether a detector can be trained and judged on an image set, and what would fool it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Final, Literal

import numpy as np

from forgery.config import DataOptions
from forgery.cores import available_cores
from forgery.dataset.association import Association, HeaderBaseline, associations, header_baseline
from forgery.dataset.duplicates import NEAR_BITS, difference_hash, near_pairs
from forgery.dataset.manifest import SPLITS, ClassLabel, DatasetInfo, Picture, Reject, Split, read_info, read_rejects
from forgery.dataset.shards import read_encoded, require_intact
from forgery.dataset.traits import Traits, read_traits
from forgery.parallel import in_order
from forgery.picture import UNLIMITED, decode
from forgery.progress import track

_LABELS: Final[tuple[ClassLabel, ...]] = ("authentic", "forged")
# More lost files than this part are worth a look before anybody trusts the rest.
_MANY_REJECTS: Final = 0.05


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (`error`: the run must not go on) or suspicious (`warning`)."""

    severity: Literal["error", "warning"]
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What validation keeps of a picture."""

    digest: str
    label: ClassLabel
    group: str
    split: Split
    name: str
    traits: Traits
    hash: int
    pixels: bytes


@dataclass(frozen=True)
class Pair:
    """Two pictures of different groups that look the same; `identical` ones have equal pixels."""

    first: Seen
    second: Seen
    identical: bool


@dataclass(frozen=True)
class ValidationReport:
    """All findings and the figures behind them."""

    info: DatasetInfo
    findings: tuple[Finding, ...]
    groups: dict[Split, int]
    largest_group: tuple[str, int]
    associations: tuple[Association, ...] = ()
    baseline: HeaderBaseline | None = None
    pairs: tuple[Pair, ...] = ()
    rejects: tuple[Reject, ...] = field(default=(), repr=False)

    @property
    def errors(self) -> list[Finding]:
        """Findings the run must not go on with."""
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def warnings(self) -> list[Finding]:
        """Findings to think about before believing a score."""
        return [finding for finding in self.findings if finding.severity == "warning"]

    def html(self) -> str:
        """A self-contained page for people."""
        from forgery.reports import render

        reasons = Counter(reject.reason for reject in self.rejects)
        return render("validation.html.j2", report=self, splits=SPLITS, labels=_LABELS, reasons=reasons.most_common())


def validate(image_set: Path, options: DataOptions) -> ValidationReport:
    """Check an image set.

    Args:
        image_set: What ingest wrote.
        options: `min_class_pictures` is the least of each class.

    Raises:
        StorageError: The image set is damaged.
    """
    info = read_info(image_set)
    seen = _look(image_set, info)
    rejects = tuple(read_rejects(image_set))
    forged = np.array([each.label == "forged" for each in seen], dtype=bool)
    traits = [each.traits for each in seen]
    both = bool(forged.any() and not forged.all())
    found = tuple(associations(traits, forged)) if both else ()
    baseline = header_baseline(traits, forged, [each.group for each in seen]) if both else None
    pairs = _pairs(seen)
    findings = (
        *_class_sizes(info, options.min_class_pictures),
        *_group_leaks(seen),
        *_conflicts(seen, rejects),
        *_header_leaks(found, baseline),
        *_duplicate_warnings(pairs, rejects),
        *_many_rejects(info, rejects),
    )
    sizes = Counter(each.group for each in seen)
    groups = {split: len({each.group for each in seen if each.split == split}) for split in SPLITS}
    largest = max(sizes.items(), key=lambda each: (each[1], each[0]), default=("none", 0))
    return ValidationReport(info, findings, groups, largest, found, baseline, tuple(pairs), rejects)


def _look(image_set: Path, info: DatasetInfo) -> list[Seen]:
    workers = available_cores()
    with ThreadPoolExecutor(workers) as pool:
        looked = in_order(pool, _see, read_encoded(image_set), 2 * workers)
        return [seen for _, seen in track(looked, info.pictures, "validating pictures")]


def _see(read: tuple[Picture, bytes]) -> Seen:
    picture, encoded = read
    require_intact(picture, encoded)
    pixels = decode(encoded, UNLIMITED)
    content = blake2b(pixels.tobytes(), digest_size=16, key=repr(pixels.size).encode())
    return Seen(
        digest=picture.digest,
        label=picture.label,
        group=picture.group,
        split=picture.split,
        name=picture.name,
        traits=read_traits(encoded),
        hash=difference_hash(pixels),
        pixels=content.digest(),
    )


def _class_sizes(info: DatasetInfo, least: int) -> Iterator[Finding]:
    for label in _LABELS:
        counts = {split: info.counts[split][label] for split in SPLITS}
        total = sum(counts.values())
        if total < least:
            yield Finding(
                "error",
                "class-size",
                f"{total or 'no'} {label} pictures, at least {least} of each class are needed "
                "(data.min_class_pictures); add pictures or check how labels are told (data.layout, data.classes)",
            )
            continue
        for split, count in counts.items():
            if not count:
                yield Finding(
                    "error",
                    "split-class",
                    f"no {label} picture in the {split} split; add source groups, "
                    "since pictures of one group cannot part",
                )
            elif count < least:
                message = f"only {count} {label} pictures in the {split} split; its figures will be coarse"
                yield Finding("warning", "split-size", message)


def _group_leaks(seen: Sequence[Seen]) -> Iterator[Finding]:
    splits: dict[str, set[Split]] = defaultdict(set)
    for each in seen:
        splits[each.group].add(each.split)
    if leaks := sorted(group for group, found in splits.items() if len(found) > 1):
        message = f"{len(leaks)} source groups lie in more than one split, e.g. {leaks[0]}; run ingest again"
        yield Finding("error", "group-leak", message)


def _conflicts(seen: Sequence[Seen], rejects: Sequence[Reject]) -> Iterator[Finding]:
    """The same bytes under both labels are rejects already; the same pixels in other files are found here."""
    names = [reject.name for reject in rejects if reject.reason == "conflict"]
    labels: dict[bytes, dict[ClassLabel, str]] = defaultdict(dict)
    for each in seen:
        labels[each.pixels].setdefault(each.label, each.name)
    names += [name for found in labels.values() if len(found) > 1 for name in found.values()]
    if names:
        yield Finding(
            "error",
            "label-conflict",
            f"{len(names)} files show a picture that stands under both labels, e.g. {' and '.join(names[:2])}; "
            "remove it from one of them",
        )


def _header_leaks(found: Sequence[Association], baseline: HeaderBaseline | None) -> Iterator[Finding]:
    for association in found:
        if association.strong:
            title = association.title[0].lower() + association.title[1:]
            message = f"{title} goes with the label (Cramér's V {association.v:.2f}); a model may learn it instead"
            yield Finding("warning", "association", message)
    if baseline is not None and baseline.telling:
        auc = baseline.roc_auc
        yield Finding(
            "warning",
            "header-baseline",
            f"file headers alone tell forged from authentic with ROC AUC {auc.value:.3f} "
            f"[{auc.low:.3f}, {auc.high:.3f}]; a detector must do better than that, or on files saved alike",
        )


def _pairs(seen: Sequence[Seen]) -> list[Pair]:
    """Across groups only: within one, likeness is what the group is for."""
    found = near_pairs([each.hash for each in seen])
    pairs = (Pair(seen[a], seen[b], seen[a].pixels == seen[b].pixels) for a, b in found)
    return [pair for pair in pairs if pair.first.group != pair.second.group]


def _duplicate_warnings(pairs: Sequence[Pair], rejects: Sequence[Reject]) -> Iterator[Finding]:
    if copies := sum(reject.reason == "duplicate" for reject in rejects):
        yield Finding("warning", "duplicate", f"{copies} files have the same bytes as another and were left out")
    if pairs:
        parted = sum(pair.first.split != pair.second.split for pair in pairs)
        yield Finding(
            "warning",
            "near-duplicate",
            f"{len(pairs)} pair{'s' * (len(pairs) > 1)} of pictures in different groups look the same, {parted} across "
            f"splits (at most {NEAR_BITS} of 64 hash bits differ); state their group in a manifest",
        )


def _many_rejects(info: DatasetInfo, rejects: Sequence[Reject]) -> Iterator[Finding]:
    if len(rejects) > _MANY_REJECTS * (info.pictures + len(rejects)):
        reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(r.reason for r in rejects).most_common(4))
        yield Finding("warning", "rejects", f"{len(rejects)} files were not accepted: {reasons}")
