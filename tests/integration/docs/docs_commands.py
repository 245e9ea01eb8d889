"""The commands of a page: blocks marked `sh`, but those under a comment that says why they are not run."""

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"
_BLOCK = re.compile(r"(?P<why><!-- not run[^>]*-->\n)?^```sh\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r'^```yaml title="(?P<name>[^"]+)"\n(?P<text>.*?)^```', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """Commands that belong together."""

    code: str
    run: bool


def blocks(page: str) -> list[Block]:
    """Every block of commands of a page, e.g. `how-to/gpu.md`."""
    found = _BLOCK.finditer((DOCS / page).read_text())
    return [Block(match["code"], match["why"] is None) for match in found]


def script(page: str) -> str:
    """What is run of a page, as one script."""
    return "".join(block.code for block in blocks(page) if block.run)


def files(page: str) -> dict[str, str]:
    """The files that a page shows, by name."""
    return {match["name"]: match["text"] for match in _FILE.finditer((DOCS / page).read_text())}
