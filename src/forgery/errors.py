"""Errors that a person or a client causes and can mend: one sentence each, with the way out in it."""


class ForgeryError(Exception):
    """Base of every error whose message is written for the person who caused it.

    The command line prints the message alone, without a traceback, and exits with `exit_code`;
    a pipeline step prints it as its last line.
    """

    exit_code = 1


class InvalidConfig(ForgeryError):
    """A parameter is unknown or out of range; the message says what is accepted."""

    exit_code = 2


class SourceError(ForgeryError):
    """The pictures cannot be read, or are not a data set a detector can be trained on."""


class DataRejected(ForgeryError):
    """The data set was read but failed validation; the report names every cause."""


class PictureRejected(ForgeryError):
    """One picture is not accepted.

    Attributes:
        reason: One of `empty`, `unreadable`, `truncated`, `format`, `animated`, `pixels`, `bytes`, `duplicate`.
        limit: The limit that was broken as text, or what is accepted; None where there is none.
    """

    def __init__(self, reason: str, message: str, limit: str | None = None) -> None:
        """Keep the machine-readable reason and limit beside the sentence."""
        super().__init__(message)
        self.reason = reason
        self.limit = limit


class TrainingFailed(ForgeryError):
    """The network cannot be fitted: the loss is no longer a number; the message says what to change."""


class BundleError(ForgeryError):
    """A model bundle is incomplete, altered, or gives other answers than it was sealed with."""


class ExportFailed(ForgeryError):
    """A bundle cannot be written in another format, or would answer otherwise there; nothing was written."""


class StorageError(ForgeryError):
    """A bucket or folder refused: wrong key, secret, bucket, address, or no space left."""


class DeployConflict(ForgeryError):
    """Somebody else changed the InferenceService since the champion was read; nothing was changed."""

    exit_code = 3


class DeployFailed(ForgeryError):
    """The new model did not come into service; the old one was put back."""

    exit_code = 4


class ServiceUnavailable(ForgeryError):
    """The InferenceService or the Kubernetes API does not answer."""

    exit_code = 5
