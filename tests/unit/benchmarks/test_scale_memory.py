"""Peak memory of a step and its children."""

import subprocess
import sys

from benchmarks.scale.memory import Peak

SHARED_MB, OWN_MB = 60, 30
STEP = f"""
import os, time
held = bytearray(os.urandom({SHARED_MB} << 20))
own = bytearray(os.urandom({OWN_MB} << 20)) if os.fork() else None
time.sleep(1)
"""


def peak_mb(script: str) -> float:
    with subprocess.Popen([sys.executable, "-c", script]) as process:
        return Peak(process.pid).mb()


def test_a_peak_too_short_to_be_sampled_is_known_to_the_process_itself() -> None:
    script = f"""
from benchmarks.scale.memory import own_peak_bytes
before = own_peak_bytes()
bytearray({SHARED_MB} << 20)
print(own_peak_bytes() - before)
"""
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert int(told) > 0.9 * (SHARED_MB << 20)


def test_what_a_tree_of_processes_shares_counts_once() -> None:
    bare = peak_mb("import time; time.sleep(0.3)")
    megabyte = 1.048576
    assert (SHARED_MB + OWN_MB) * megabyte < peak_mb(STEP) < bare + (SHARED_MB + OWN_MB + 30) * megabyte


def test_what_others_map_too_is_not_shared_with_them() -> None:
    script = "import numpy, time; time.sleep(0.5)"
    alone = peak_mb(script)
    with subprocess.Popen([sys.executable, "-c", "import numpy, time; time.sleep(30)"]) as other:
        beside = peak_mb(script)
        other.kill()
    assert abs(beside - alone) < 0.05 * alone
