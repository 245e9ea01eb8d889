"""Freed arrays are had again without the system's help."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import numpy as np
from serving.allocator import keep_freed_memory

if sys.argv[1] == "kept":
    assert keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        [np.ones(2**20, np.float64) for _ in range(6)]  # 48 MB together: 12,288 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


def faults(how: str) -> int:
    found = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True)
    return int(found.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="other C libraries are left as they are")
def test_large_arrays_cost_their_pages_once() -> None:
    assert faults("kept") < faults("not kept") / 10


TRIMMED = """
from pathlib import Path
import numpy as np
from serving.allocator import give_back_memory, keep_freed_memory

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

keep_freed_memory()
kept = [np.ones(2**19) for _ in range(24)]  # 4 MB each
last = np.ones(2**10)  # above them on the heap
before = resident_mb()
kept.clear()
give_back_memory()
print(before - resident_mb())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other C libraries are left as they are")
def test_after_a_large_picture_memory_goes_back_to_the_system() -> None:
    found = subprocess.run([sys.executable, "-c", TRIMMED], capture_output=True, text=True, check=True)
    assert float(found.stdout) > 80
