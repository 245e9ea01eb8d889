"""Say which generated files no longer agree with the code they come from.

Only the generated files are compared, with what is generated now in a temporary folder: other uncommitted work in the
checkout neither fails the check nor is touched by it.
"""

import sys
import tempfile
from pathlib import Path

from tools import generate_reference

ROOT = Path(__file__).resolve().parent.parent


def generate() -> dict[Path, str]:
    """All generated files: path in the checkout, content as of now."""
    from pipelines.compile import COMPILED, compile_pipelines

    with tempfile.TemporaryDirectory() as folder:
        compiled = {
            COMPILED.relative_to(ROOT) / path.name: path.read_text() for path in compile_pipelines(Path(folder))
        }
    return compiled | generate_reference.render()


def stale(generated: dict[Path, str], root: Path) -> list[Path]:
    """The files under `root` that are missing or differ from what is generated."""
    return [
        path
        for path, content in generated.items()
        if not (root / path).is_file() or (root / path).read_text() != content
    ]


def main() -> int:
    """Print one line for each stale file; returns the exit code."""
    found = stale(generate(), ROOT)
    for path in found:
        print(f"{path} is stale: run `make compile` and commit it", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
