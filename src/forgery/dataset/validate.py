"""Validation: whether a detector can be trained and judged on an image set, and what would fool it."""

import contextlib
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Final, Literal

from forgery.config import DataOptions
from forgery.cores import available_cores
from forgery.dataset.association import Association, HeaderBaseline, associate, header_baseline
from forgery.dataset.duplicates import NEAR_BITS, difference_hash
from forgery.dataset.looked import Looked, Pairs, Seen
from forgery.dataset.manifest import SPLITS, ClassLabel, DatasetInfo, Picture, Reject, Split, read_info, read_rejects
from forgery.dataset.shards import read_encoded, require_intact
from forgery.dataset.traits import TITLES, read_traits
from forgery.parallel import in_order
from forgery.picture import UNLIMITED, decode
from forgery.progress import track

_LABELS: Final[tuple[ClassLabel, ...]] = ("authentic", "forged")
# More lost files than this part are worth a look before anybody trusts the rest.
_MANY_REJECTS: Final = 0.05
# Of the tree on headers: its AUC is then known to half a percent, and more would only take memory.
_BASELINE_PICTURES: Final = 20_000
_SHOWN_PAIRS: Final = 50
_SHOWN_REJECTS: Final = 100


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (`error`: the run must not go on) or suspicious (`warning`)."""

    severity: Literal["error", "warning"]
    code: str
    message: str


@dataclass(frozen=True)
class ValidationReport:
    """All findings and the figures behind them."""

    info: DatasetInfo
    findings: tuple[Finding, ...]
    groups: dict[Split, int]
    largest_group: tuple[str, int]
    associations: tuple[Association, ...] = ()
    baseline: HeaderBaseline | None = None
    pairs: Pairs = field(default_factory=lambda: Pairs(0, 0, ()))
    rejects: tuple[Reject, ...] = field(default=(), repr=False)
    reasons: Counter[str] = field(default_factory=Counter)

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

        return render(
            "validation.html.j2", report=self, splits=SPLITS, labels=_LABELS, reasons=self.reasons.most_common()
        )


def validate(image_set: Path, options: DataOptions) -> ValidationReport:
    """Check an image set.

    Args:
        image_set: What ingest wrote.
        options: `min_class_pictures` is the least of each class.

    Raises:
        StorageError: The image set is damaged.
    """
    info = read_info(image_set)
    rejected = _read_rejects(image_set)
    with contextlib.closing(_look(image_set, info)) as pictures, Looked(pictures) as looked:
        both = all(looked.classes())
        found = [associate(title, looked.trait(name)) for name, title in TITLES.items()] if both else []
        strongest = tuple(sorted((each for each in found if each is not None), key=lambda each: -each.v))
        baseline = header_baseline(*looked.sample(_BASELINE_PICTURES)) if both else None
        pairs = looked.near_pairs(_SHOWN_PAIRS)
        findings = (
            *_class_sizes(info, options.min_class_pictures),
            *_group_leaks(looked),
            *_conflicts(looked, rejected),
            *_header_leaks(strongest, baseline),
            *_duplicate_warnings(pairs, rejected.reasons),
            *_many_rejects(info, rejected.reasons),
        )
        return ValidationReport(
            info,
            findings,
            looked.groups(),
            looked.largest_group(),
            strongest,
            baseline,
            pairs,
            tuple(rejected.first),
            rejected.reasons,
        )


@dataclass
class _Rejects:
    """The first rejects, how many there are of each reason, and names of files that conflict."""

    first: list[Reject] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    conflicts: list[str] = field(default_factory=list)


def _read_rejects(image_set: Path) -> _Rejects:
    found = _Rejects()
    for reject in read_rejects(image_set):
        found.reasons[reject.reason] += 1
        if len(found.first) < _SHOWN_REJECTS:
            found.first.append(reject)
        if reject.reason == "conflict" and len(found.conflicts) < 2:
            found.conflicts.append(reject.name)
    return found


def _look(image_set: Path, info: DatasetInfo) -> Generator[Seen]:
    workers = available_cores()
    with ThreadPoolExecutor(workers) as pool:
        looked = in_order(pool, _see, read_encoded(image_set), 2 * workers)
        for _, seen in track(looked, info.pictures, "validating pictures"):
            yield seen


def _see(read: tuple[Picture, bytes]) -> Seen:
    picture, encoded = read
    require_intact(picture, encoded)
    pixels = decode(encoded, UNLIMITED)
    content = blake2b(pixels.tobytes(), digest_size=16, key=repr(pixels.size).encode())
    return Seen(
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


def _group_leaks(looked: Looked) -> Iterator[Finding]:
    count, first = looked.parted_groups()
    if count:
        message = f"{count} source groups lie in more than one split, e.g. {first}; run ingest again"
        yield Finding("error", "group-leak", message)


def _conflicts(looked: Looked, rejected: _Rejects) -> Iterator[Finding]:
    """The same bytes under both labels are rejects already; the same pixels in other files are found here."""
    count, first = looked.conflicts()
    count += rejected.reasons["conflict"]
    if count:
        names = [*rejected.conflicts, *first]
        yield Finding(
            "error",
            "label-conflict",
            f"{count} files show a picture that stands under both labels, e.g. {' and '.join(names[:2])}; "
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


def _duplicate_warnings(pairs: Pairs, reasons: Counter[str]) -> Iterator[Finding]:
    if copies := reasons["duplicate"]:
        yield Finding("warning", "duplicate", f"{copies} files have the same bytes as another and were left out")
    if pairs.count:
        yield Finding(
            "warning",
            "near-duplicate",
            f"{pairs.count} pair{'s' * (pairs.count > 1)} of pictures in different groups look the same, "
            f"{pairs.parted} across splits (at most {NEAR_BITS} of 64 hash bits differ); state their group in a "
            "manifest",
        )


def _many_rejects(info: DatasetInfo, reasons: Counter[str]) -> Iterator[Finding]:
    rejects = reasons.total()
    if rejects > _MANY_REJECTS * (info.pictures + rejects):
        counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common(4))
        yield Finding("warning", "rejects", f"{rejects} files were not accepted: {counts}")
