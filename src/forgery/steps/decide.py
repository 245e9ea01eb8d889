"""Judge a comparison by the rule, and write down why."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forgery.config import RunConfig
from forgery.evaluation.scores import Comparison
from forgery.promotion import judge

logger = logging.getLogger(__name__)


def decide(comparison: Path, rule: Mapping[str, Any], verdict: Path) -> bool:
    """Whether the challenger is to be deployed; the reason and every check go to `verdict` as Markdown.

    Raises:
        InvalidConfig: The rule has unknown keys or values out of range.
    """
    compared = Comparison.read(comparison)
    judged = judge(compared.challenger, compared.champion, RunConfig.read({"rule": dict(rule)}).rule)
    verdict.write_text(judged.markdown)
    logger.info("%s", judged.reason)
    return judged.promote
