"""What can go wrong in set-up, in one line each, and what it takes over from pip's configuration."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

# Measured on Linux x86-64: 2.9 GB of files, and room for the archives while they are unpacked.
NEEDED_BYTES = 4_000_000_000
# Settings of pip that uv has too, under another name.
PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
}
FAILURES = {
    r"No space left on device|os error 28": "the disk is full; free about 4 GB and run the command again",
    r"(?i)hash mismatch|do not match the hashes|no matching hash": (
        "a downloaded file does not have the hash that requirements.txt names; nothing was installed from it. "
        "If you use a package mirror, check it; else run the command again"
    ),
    r"(?i)dns error|name resolution|resolve host|connection refused|network is unreachable|error sending request"
    r"|timed out|NewConnectionError|ProxyError|connect(ion)? error|failed to fetch|No matching distribution": (
        "the package index cannot be reached; connect to the internet, or set a mirror or proxy "
        "(PIP_INDEX_URL, HTTPS_PROXY), and run the command again"
    ),
}


class SetUpFailed(Exception):
    """Set-up cannot go on; the message is the one line that its user reads."""


def check_disk(root: Path, environment: Mapping[str, str]) -> None:
    """Refuse to start where the environment cannot fit.

    Raises:
        SetUpFailed: Less than `NEEDED_BYTES` is free beside the checkout or at uv's cache.
    """
    cache = Path(environment.get("UV_CACHE_DIR") or Path.home() / ".cache")
    for place in (root, cache):
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
        if free < NEEDED_BYTES:
            raise SetUpFailed(
                f"{NEEDED_BYTES / 1e9:.0f} GB of disk are needed at {place}, {free / 1e9:.1f} GB are free; "
                "free some, or move the checkout (uv's cache: UV_CACHE_DIR)"
            )


def explain(output: str, log: Path) -> str:
    """One line for a failed installation: what to do where the cause is known, else where to read on."""
    for pattern, advice in FAILURES.items():
        if re.search(pattern, output):
            return f"{advice} ({log})"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return f"{lines[-1] if lines else 'an installer failed without a word'} (all of it: {log})"


def uv_settings(pip_config: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Give uv the index, mirror and certificates that pip is configured with; it does not read pip's settings.

    Args:
        pip_config: What `pip config list` prints, later lines being stronger.
        environment: Variables that are set; those of uv itself are left as they are.
    """
    settings: dict[str, str] = {}
    for key, value in re.findall(r"^[^=]*\.([a-z-]+)='(.*)'$", pip_config, re.MULTILINE):
        name = PIP_TO_UV.get(key)
        if name and name not in environment:
            settings[name] = value
    return settings
