"""How much memory a step took, whatever else the machine ran."""

import threading
import time
from pathlib import Path
from typing import Final

import psutil

_SAMPLE_S: Final = 0.1


class Peak:
    """Most memory of a process and its children at one time: what they share counts once.

    Pages of files, libraries for the most part, count whole, though other processes map them too: a proportional share
    (PSS) of TensorFlow's would be half as large while another step runs somewhere on the machine.
    """

    def __init__(self, pid: int) -> None:
        """Sample in a thread until the process ends."""
        self._most = 0
        self._process = psutil.Process(pid)
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()

    def _sample(self) -> None:
        while True:
            try:
                if self._process.status() == psutil.STATUS_ZOMBIE:
                    return
                tree = [self._process, *self._process.children(recursive=True)]
            except psutil.Error:
                return
            self._most = max(self._most, _held([each.pid for each in tree]))
            time.sleep(_SAMPLE_S)

    def mb(self) -> float:
        """Megabytes; waits for the end of the process."""
        self._thread.join()
        return self._most / 1e6


def own_peak_bytes() -> int:
    """Most memory of this process alone until now, files as above: for ends that fall between two samples."""
    return _fields(Path("/proc/self/status"))["VmHWM"]


def _held(tree: list[int]) -> int:
    """Memory that is of no file by each one's share of it, and the files of the one that maps most."""
    own, files = [], []
    for pid in tree:
        try:
            shares, resident = (_fields(Path(f"/proc/{pid}/{name}")) for name in ("smaps_rollup", "status"))
        except (OSError, ProcessLookupError):
            continue  # it has ended
        own.append(shares.get("Pss_Anon", 0) + shares.get("Pss_Shmem", 0))
        files.append(resident.get("RssFile", 0))
    return sum(own) + max(files, default=0)


def _fields(path: Path) -> dict[str, int]:
    """Those in kilobytes, as bytes."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[0].rstrip(":"): 1024 * int(words[1]) for words in lines if words[-1:] == ["kB"]}
