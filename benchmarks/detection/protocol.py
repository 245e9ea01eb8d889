"""One fold of the protocol: fit each system, answer for the test pictures in every view, keep the answers."""

import io
import logging
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import roc_auc_score

from benchmarks.detection.evidence import Workplace, read_masks
from benchmarks.detection.learning import Detector, Examples, is_dense, joined, learn
from benchmarks.detection.measure import Verdicts, at_common_threshold, within_picture
from benchmarks.detection.pictures import FOLDS, Pictures, read
from benchmarks.detection.systems import System
from benchmarks.detection.views import VIEWS, Saves, read_saves
from forgery.training.dense import MADE

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Protocol:
    """A data set and a folder that keeps what was computed.

    Attributes:
        source: Pictures, as `forgery.dataset.ingest` takes them.
        out: The folder; a run that was stopped goes on from it.
        weights: Start weights of pretrained systems.
    """

    source: str
    out: Path
    weights: str = ""

    @cached_property
    def pictures(self) -> Pictures:
        """Ingested and parted into folds."""
        return read(self.source, self.out / "images")

    @cached_property
    def saves(self) -> Saves:
        """The last saves of forged pictures."""
        return read_saves(self.pictures)

    @cached_property
    def _masks(self) -> dict[int, NDArray[np.uint8]]:
        return {index: np.asarray(Image.open(io.BytesIO(png)).convert("L")) for index, png in self.pictures.masks()}

    @cached_property
    def workplace(self) -> Workplace:
        """Where evidence is computed and kept."""
        return Workplace(self.out / "evidence", self.pictures, self.saves)

    def detector(self, system: System, fold: int) -> Detector:
        """The system fitted for a fold."""
        training, validation = _parted(fold)
        kept = self.out / "models" / system.name / f"fold{fold}.weights.h5"
        examples = self._examples(system, training)
        if system.forgeries:
            examples = joined(examples, [self._forgeries(system, fold) for fold in training])
        if system.varied:
            examples = joined(examples, [self._varied(system, fold) for fold in training])
        if system.pasted:
            examples = joined(examples, [self._pasted(system, fold) for fold in training])
        return learn(system, examples, self._examples(system, [validation]), self.weights, kept)

    def validation_auc(self, system: System, fold: int) -> float:
        """ROC AUC on the validation fold of a fold, as the system was trained; its test fold is not read."""
        examples = self._examples(system, [_parted(fold)[1]])
        return float(roc_auc_score(examples.labels, self.detector(system, fold).answers(examples.maps)[0]))

    def verdicts(self, system: System, fold: int) -> dict[str, Verdicts]:
        """Answers for the fold's test pictures by view, computed or read back."""
        kept = {view: self.out / "verdicts" / system.name / f"fold{fold}-{view}.npz" for view in VIEWS}
        if not all(path.exists() for path in kept.values()):
            detector = self.detector(system, fold)
            for view, path in kept.items():
                _write(path, self._verdicts(system, detector, fold, view))
        return {view: _read(path) for view, path in kept.items()}

    def _examples(self, system: System, folds: list[int]) -> Examples:
        """The folds' pictures in all views the system is trained on."""
        every = [(view, fold) for view in system.trained_on for fold in folds]
        maps = [self.workplace.maps(system.parsed, view, fold) for view, fold in every]
        chosen = np.concatenate([self.pictures.of_fold(fold) for _, fold in every])
        labels = self.pictures.forged[chosen].astype(np.float32)
        masks = None
        if is_dense(system):
            masks = read_masks(self.out / "evidence", self.pictures, system.parsed.shape[0])[chosen]
        return Examples(np.concatenate(maps), labels, masks)

    def _forgeries(self, system: System, fold: int) -> Examples:
        found = [self.workplace.forgeries(system.parsed, view, fold) for view in system.trained_on]
        maps = np.concatenate([maps for maps, _ in found])
        masks = np.concatenate([masks for _, masks in found]) if is_dense(system) else None
        return Examples(maps, np.ones(len(maps), np.float32), masks)

    def _varied(self, system: System, fold: int) -> Examples:
        maps, masks = self.workplace.varied(system.parsed, fold)
        labels = self.pictures.forged[self.pictures.of_fold(fold)].astype(np.float32)
        return Examples(maps, labels, masks if is_dense(system) else None)

    def _pasted(self, system: System, fold: int) -> Examples:
        maps, masks = self.workplace.pasted(system.parsed, fold)
        return Examples(maps, np.full(len(maps), MADE, np.float32), masks if is_dense(system) else None)

    def _verdicts(self, system: System, detector: Detector, fold: int, view: str) -> Verdicts:
        pictures, test = self.pictures, self.pictures.of_fold(fold)
        logits, logit_maps = detector.answers(self.workplace.maps(system.parsed, view, fold))
        within = [
            within_picture(logit_map, self._masks[index]) if index in self._masks else np.nan
            for index, logit_map in zip(test, logit_maps, strict=True)
        ]
        crops, of = self.workplace.controls(system.parsed, view, fold)
        probabilities = 1 / (1 + np.exp(-np.clip(logits / detector.temperature, -50, 50)))
        return Verdicts(
            forged=pictures.forged[test],
            copy_moves=pictures.copy_moves[test],
            groups=pictures.groups[test],
            probabilities=at_common_threshold(probabilities, detector.threshold),
            within=np.array(within),
            control_forged=pictures.forged[of],
            control_groups=pictures.groups[of],
            control_probabilities=at_common_threshold(detector.probabilities(crops), detector.threshold),
        )


def _parted(fold: int) -> tuple[list[int], int]:
    """Training folds and the validation fold of a test fold."""
    validation = (fold + 1) % FOLDS
    return [each for each in range(FOLDS) if each not in (fold, validation)], validation


def pooled(folds: list[Verdicts]) -> Verdicts:
    """Answers of several folds as one."""
    return Verdicts(*(np.concatenate([getattr(each, name.name) for each in folds]) for name in fields(Verdicts)))


def _write(path: Path, verdicts: Verdicts) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    np.savez(partial, allow_pickle=False, **{name.name: getattr(verdicts, name.name) for name in fields(Verdicts)})
    partial.replace(path)


def _read(path: Path) -> Verdicts:
    with np.load(path) as file:
        return Verdicts(*(file[name.name] for name in fields(Verdicts)))
