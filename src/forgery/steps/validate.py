"""Validate the image set: the report is written whatever it says, then errors end the run."""

import logging
from pathlib import Path

from forgery.config import DataOptions
from forgery.dataset.validate import validate as find_problems
from forgery.errors import DataRejected

logger = logging.getLogger(__name__)


def validate(image_set: Path, options: DataOptions, report: Path) -> None:
    """Write the findings to `report` as HTML.

    Raises:
        DataRejected: At least one finding is an error; the message has all of them.
    """
    found = find_problems(image_set, options)
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(found.html())
    for finding in found.findings:
        logger.log(logging.ERROR if finding.severity == "error" else logging.WARNING, "%s", finding.message)
    if found.errors:
        raise DataRejected("; ".join(finding.message for finding in found.errors))
