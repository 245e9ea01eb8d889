"""The models that are compared, and what they answer: the same for each task that scores a part, and for evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from forgery.bundle import Bundle
from forgery.config import RunConfig
from forgery.engine import Engine
from forgery.evaluation.answers import Answers, ask
from forgery.evaluation.kept import KeptAnswers, model_name
from forgery.evaluation.parity import lite_engines
from forgery.evaluation.plan import Plan, make_plan
from forgery.evidence_set import WHOLE
from forgery.training.export import read_draft


@dataclass(frozen=True)
class Contest:
    """Draft and champion on one test split.

    Attributes:
        image_set: Whose test split it is.
        digests: Of its pictures, in order.
        plan: What is asked about them.
        models: The draft, then the champion if there is one.
        engines: The models, loaded, in the same order; then the draft on LiteRT where that can be had.
    """

    image_set: Path
    digests: Sequence[str]
    plan: Plan
    models: Sequence[Bundle]
    engines: Sequence[Engine]

    @classmethod
    def open(cls, image_set: Path, draft: Path, champion: Bundle | None, config: RunConfig) -> Self:
        """Plan by `config.rule`, and load the models.

        Raises:
            DataRejected: The test split lacks a class.
            BundleError: The draft is none, or a model cannot be loaded.
        """
        digests, plan = make_plan(image_set, config.rule)
        challenger = read_draft(draft)
        models = [challenger] if champion is None else [challenger, champion]
        engines = [*(Engine(model) for model in models), *lite_engines(challenger)]
        return cls(image_set, digests, plan, models, engines)

    def answers(
        self, cache: str, part: str = WHOLE, parts: Sequence[Path] = (), out: Path | None = None
    ) -> list[Answers]:
        """Of each engine, to the pictures of a part; those that no folder and no cache holds are asked for.

        Args:
            cache: Where answers are looked for and kept as they come; empty for none.
            part: By default all.
            parts: Folders that were the `out` of parts, any or none; answers of other models are passed over.
            out: A folder that becomes all answers of this part.
        """
        of = [*self.models, *self.models[: len(self.engines) - len(self.models)]]
        names = [model_name(model, engine.kind) for model, engine in zip(of, self.engines, strict=True)]
        kept = KeptAnswers(cache, names, parts, out)
        return ask(self.image_set, self.digests, self.plan, self.engines, kept, part)


def score_part(image_set: Path, draft: Path, champion: Bundle | None, out: Path, part: str, config: RunConfig) -> None:
    """Write the answers to a part of the test pictures to the folder `out`, for `evaluate` to take.

    Args:
        image_set: Its test split is scored.
        draft: What training wrote.
        champion: The model in service, or None.
        out: Is made.
        part: E.g. 00002-of-00017; all parts together are asked about every picture once.
        config: `rule` and `cache`, which must be those of the evaluation.

    Raises:
        DataRejected: The test split lacks a class, or a picture cannot be read any more.
        BundleError: The draft is none, or a model cannot be loaded.
    """
    out.mkdir(parents=True, exist_ok=True)
    Contest.open(image_set, draft, champion, config).answers(config.cache, part, out=out)
