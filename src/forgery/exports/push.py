"""Send an exported folder to the Hugging Face Hub, with the user's own token and nobody else's."""

import sys
from pathlib import Path
from typing import Final

from forgery.errors import InvalidConfig, ServiceUnavailable, StorageError
from forgery.exports.extra import need

# By format: what the Hub calls such a repository.
REPOSITORIES: Final[dict[str, str]] = {"huggingface": "model", "space": "space"}


def own_token() -> str:
    """The token of HF_TOKEN, or of an earlier `hf auth login`; InvalidConfig where there is none."""
    need("the Hub", "huggingface_hub", "httpx2")
    from huggingface_hub import get_token

    token = get_token()
    if not token:
        raise InvalidConfig(
            "--push sends with your own token, and there is none: set HF_TOKEN to one with write access, "
            "or log in once with: hf auth login"
        )
    return token


def repository_kind(to: str) -> str:
    """What the Hub calls a repository of this format; InvalidConfig for one that it has no page for."""
    if to not in REPOSITORIES:
        raise InvalidConfig(f"--push goes with --to {' or --to '.join(REPOSITORIES)}, not with --to {to}")
    return REPOSITORIES[to]


def push(folder: Path, repository: str, kind: str, token: str, public: bool = False) -> str:
    """Make the repository what the folder is, in one commit; files of an earlier export go.

    Args:
        folder: Written by `export_bundle`.
        repository: `NAME` or `OWNER/NAME`; made if it is not there.
        kind: `model` or `space`.
        token: With write access.
        public: Whether a repository that is made now can be read by everybody; one that is there stays as it is.

    Returns:
        The address of the commit.

    Raises:
        InvalidConfig: No repository can have that name.
        StorageError: The Hub refused; nothing was committed.
        ServiceUnavailable: The Hub does not answer.
    """
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    api = HfApi(token=token)
    try:
        made = api.create_repo(
            repository,
            repo_type=kind,
            private=not public,
            exist_ok=True,
            space_sdk="docker" if kind == "space" else None,
        )
        commit = api.upload_folder(
            repo_id=made.repo_id,
            repo_type=kind,
            folder_path=folder,
            commit_message="Publish an exported model",
            delete_patterns="*",
            ignore_patterns=["**/__pycache__/**"],
        )
    except HFValidationError as error:
        raise InvalidConfig(f"--push {repository!r} is no name of a repository: write OWNER/NAME") from error
    except HfHubHTTPError as error:
        raise StorageError(
            _refusal(api.endpoint, repository, error.response.status_code, error.server_message)
        ) from error
    except httpx2.HTTPError as error:
        raise ServiceUnavailable(f"the Hub does not answer at {api.endpoint}; the export stays in {folder}") from error
    return str(commit.commit_url)


def _refusal(endpoint: str, repository: str, status: int, said: str | None) -> str:
    if status in (401, 403):
        return f"{endpoint} refuses the token for {repository}: it must be yours, valid, and with write access there"
    return f"{endpoint} refused {repository} (status {status}: {said or 'no reason given'})"
