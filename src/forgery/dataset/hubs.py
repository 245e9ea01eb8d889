"""Data sets by name from Kaggle and Hugging Face, through their own clients (the optional extra `hub`)."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Final

from forgery.errors import SourceError

_MODULES: Final = {"kaggle": "kagglehub", "hf": "huggingface_hub"}
_EXAMPLES: Final = {"kaggle": "kaggle:owner/dataset", "hf": "hf:owner/dataset"}


def download(hub: str, name: str) -> Path:
    """Download a data set into the hub client's own cache, or find it there.

    Args:
        hub: `kaggle` or `hf`.
        name: The data set's name on the hub, e.g. `owner/dataset`.

    Returns:
        The folder with its files.

    Raises:
        SourceError: The client is not installed, the hub cannot be reached, or it does not know the name.
    """
    if not name.strip("/"):
        raise SourceError(f"source {hub}: needs a name, e.g. {_EXAMPLES[hub]}")
    client = _client(hub)
    try:
        if hub == "kaggle":
            return Path(client.dataset_download(name))
        return Path(client.snapshot_download(repo_id=name, repo_type="dataset"))
    except Exception as error:  # the clients raise a wide family, from requests' errors to their own
        raise SourceError(
            f"source {hub}:{name} cannot be downloaded ({type(error).__name__}: {_first_line(error)}); check the name, "
            "the network and your token, or download it by hand and name the folder"
        ) from error


def _client(hub: str) -> ModuleType:
    try:
        return importlib.import_module(_MODULES[hub])
    except ImportError as error:
        raise SourceError(f"{hub}: sources need {_MODULES[hub]}; install it with pip install 'forgery[hub]'") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no message")
