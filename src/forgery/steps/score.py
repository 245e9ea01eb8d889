"""Score one part of the test pictures with challenger and champion."""

import json
import logging
from pathlib import Path

from forgery.config import RunConfig
from forgery.evidence_set import WHOLE
from forgery.steps.champion import read_champion

logger = logging.getLogger(__name__)


def score(image_set: Path, draft: Path, champion: Path, answers: Path, *, part: str, config: RunConfig) -> None:
    """Write the part's answers; the only part is left to the evaluation, which has to load the models anyway."""
    answers.mkdir(parents=True, exist_ok=True)
    # Of a folder without a file nothing would be left in a bucket.
    (answers / "part.json").write_text(json.dumps({"part": part}) + "\n")
    if part == WHOLE:
        logger.info("the test pictures are one part, which is scored with the evaluation")
        return
    from forgery.evaluation.contest import score_part

    _, current = read_champion(champion)
    score_part(image_set, draft, current, answers, part, config)
