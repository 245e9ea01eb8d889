"""What a training came to, as values and as a page of curves."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from forgery.decision import DecisionRule


@dataclass(frozen=True)
class TrainingResult:
    """Curves and figures of one training; everything is of the train and validation splits, never of the test split.

    Attributes:
        history: Curves by name (`loss`, `accuracy`, `auc`, each with `val_` too, and `learning_rate`), one value an
            epoch. Training figures are taken with augmentation and dropout, validation figures without.
        phases: Name of the phase of each epoch: `whole`, `head` or `fine-tuning`.
        best_epoch: Whose weights were kept, from 1: lowest validation loss.
        seconds: Of fitting.
        parameters: Weights of the network, frozen ones included.
        temperature: Logits are divided by it.
        decision: Threshold and band.
        validation: Figures of `forgery.metrics` at that threshold; optimistic, since it was chosen there.
        tracking_run_id: The MLflow run; empty without tracking.
    """

    history: dict[str, list[float]]
    phases: list[str]
    best_epoch: int
    seconds: float
    parameters: int
    temperature: float
    decision: DecisionRule
    validation: dict[str, float]
    tracking_run_id: str = ""

    @property
    def epochs(self) -> int:
        """Epochs that were run, of all phases."""
        return len(self.phases)

    def summary(self) -> str:
        """One line for the log."""
        return (
            f"{self.epochs} epochs in {self.seconds:.0f} s, best {self.best_epoch}; validation: "
            f"ROC AUC {self.validation['roc_auc']:.3f}, F1 {self.validation['f1']:.3f}, "
            f"balanced accuracy {self.validation['balanced_accuracy']:.3f} at threshold {self.decision.threshold:.2f}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self) | {"decision": self.decision.model_dump(), "epochs": self.epochs}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainingResult":
        """What `to_dict` gave."""
        own = {name: value for name, value in values.items() if name != "epochs"}
        return cls(**own | {"decision": DecisionRule.model_validate(values["decision"])})

    def curves_html(self) -> str:
        """Loss, accuracy, ROC AUC and learning rate by epoch as one self-contained page."""
        from forgery.reports import render

        return render("training.html.j2", result=self, charts=self._charts())

    def _charts(self) -> Sequence[str]:
        from forgery.reports.charts import line_chart

        return [
            line_chart(self._curves(name), title, "epoch", label, y_range=span)
            for name, title, label, span in (
                ("loss", "Loss", "loss", None),
                ("auc", "ROC AUC", "ROC AUC", (0.4, 1.0)),
                ("accuracy", "Accuracy at probability .5", "accuracy", (0.4, 1.0)),
            )
        ]

    def _curves(self, name: str) -> list[Any]:
        from forgery.reports.charts import Series

        epochs = list(range(1, self.epochs + 1))
        training, validation = self.history[name], self.history[f"val_{name}"]
        low, high = min(training + validation), max(training + validation)
        best = Series(f"best epoch ({self.best_epoch})", [self.best_epoch] * 2, [low, high], quiet=True)
        return [Series("training", epochs, training), Series("validation", epochs, validation), best]
