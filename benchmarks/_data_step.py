"""One step on its own in a fresh, small process: prints its peak memory in MB."""

import resource
import sys
from pathlib import Path

from forgery.config import DataOptions
from forgery.dataset.ingest import ingest
from forgery.evidence import build_evidence
from forgery.recipes.ela import ElaRecipe


def main() -> None:
    """Run the step named first in the folder named second."""
    step, folder = sys.argv[1], Path(sys.argv[2])
    if step == "ingest":
        ingest(str(folder / "source"), folder / "set", DataOptions(), 0)
    else:
        build_evidence(folder / "set", folder / "maps", ElaRecipe(), workers=2)
    sys.stdout.write(f"{_peak_mb():.2f}\n")


def _peak_mb() -> float:
    """This process and the largest of its workers.

    Not `ru_maxrss` of this one: that starts at the size of whatever process started it.
    """
    status = Path("/proc/self/status").read_text()
    own_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return (own_kb + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


if __name__ == "__main__":
    main()
