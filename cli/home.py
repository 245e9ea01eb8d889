"""Where a laptop keeps its state: `FORGERY_HOME`, by default `.forgery` in the working directory."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """The folder of one local platform; the stand-ins for bucket, cluster and database are places in it."""

    path: Path

    @classmethod
    def from_environment(cls) -> "Home":
        """The folder that FORGERY_HOME names, absolute."""
        return cls(Path(os.environ.get("FORGERY_HOME", ".forgery")).absolute())

    @property
    def service(self) -> Path:
        """State folder of the local InferenceService."""
        return self.path / "service"

    @property
    def runs(self) -> Path:
        """One folder a pipeline run: artifacts and log."""
        return self.path / "runs"

    @property
    def cache(self) -> Path:
        """Bundles fetched from elsewhere."""
        return self.path / "cache"

    @property
    def payloads(self) -> Path:
        """The payload log of the local service, where one is kept."""
        return self.path / "payloads"

    @property
    def feedback(self) -> Path:
        """Corrected verdicts."""
        return self.path / "feedback"

    def places(self) -> dict[str, str]:
        """The pipeline's place parameters for this folder."""
        return {
            "bundles": f"file://{self.path / 'models'}",
            "cache": f"file://{self.path}",
            "service": f"local:{self.service}",
            "tracking": f"sqlite:///{self.path / 'mlflow.db'}",
            "checkpoints": f"file://{self.path}",
        }
