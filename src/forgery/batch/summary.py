"""What a batch found, from its parts' counts."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from forgery.batch.parts import BINS, PartCounts
from forgery.reports import render


def merge(parts: Iterable[PartCounts]) -> PartCounts:
    """The sum of all parts, in any order."""
    labels, failures, scores = Counter[str](), Counter[str](), Counter[str]()
    pictures = reused = count = 0
    for part in parts:
        labels.update(part.labels)
        failures.update(part.failures)
        scores.update(part.scores)
        pictures, reused, count = pictures + part.pictures, reused + part.reused, count + part.parts
    return PartCounts(pictures, dict(labels), dict(failures), dict(scores), reused, count)


def read_counts(values: Mapping[str, Any]) -> PartCounts:
    """Counts as a pipeline passes them on: whole numbers arrive as floats there."""

    def whole(name: str) -> dict[str, int]:
        return {key: int(count) for key, count in values[name].items()}

    return PartCounts(
        int(values["pictures"]),
        whole("labels"),
        whole("failures"),
        whole("scores"),
        int(values["reused"]),
        int(values["parts"]),
    )


def markdown(total: PartCounts, out: str, model_version: str) -> str:
    """The counts as a page for the Kubeflow UI."""
    scores = [(index / BINS, total.scores.get(str(index), 0)) for index in range(BINS)]
    largest = max([count for _, count in scores] + [1])
    return render("batch.md.j2", total=total, out=out, model_version=model_version, scores=scores, largest=largest)
