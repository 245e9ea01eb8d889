"""Server processes that a supervisor starts, watches and ends, and that end with it whatever it dies of."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from serving.sockets import LOOPBACK, answers

# The servers' own grace period for requests inside is 30 s.
DRAIN_TIMEOUT_S = 35.0
_KEPT_LOGS = 10


class Process:
    """One running server."""

    def __init__(self, module: str, arguments: Sequence[str], log: Path, http_port: int, ready_path: str) -> None:
        """Start `python -m module`, with its output in `log`.

        Args:
            module: The server.
            arguments: Its flags.
            log: Replaced.
            http_port: Where it answers on the loopback address.
            ready_path: Answered with 200 when it is ready.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log
        self._http_port = http_port
        self._ready_path = ready_path
        self._started_at = time.monotonic()
        self._drain_by: float | None = None
        # -P: a folder named `serving` where the user happens to stand is not ours. Standard input is the life line.
        command = [sys.executable, "-P", "-m", module, *arguments, "--end_with_parent"]
        environment = {"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ}
        with log.open("wb") as output:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the supervisor, which ends them in order
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    @property
    def age_s(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._started_at

    @property
    def ended(self) -> bool:
        """Whether it is gone; one that takes too long to drain is killed here."""
        if self._drain_by is not None and time.monotonic() > self._drain_by:
            self._popen.kill()
        return self._popen.poll() is not None

    def ready(self) -> bool:
        """Whether it would answer a request now."""
        return not self.ended and answers(LOOPBACK, self._http_port, self._ready_path)

    def drain(self) -> None:
        """Ask it to finish what is inside and end; returns at once."""
        if self._drain_by is None and not self.ended:
            self._drain_by = time.monotonic() + DRAIN_TIMEOUT_S
            self._popen.send_signal(signal.SIGTERM)

    def finish(self) -> None:
        """Drain it and wait until it is gone."""
        self.drain()
        while not self.ended:
            time.sleep(0.02)
        if self._popen.stdin is not None:
            self._popen.stdin.close()

    def last_words(self) -> str:
        """Why it ended: the error it printed last, or its exit code, last line and where to read more."""
        lines = self._log.read_text(errors="replace").strip().splitlines() if self._log.exists() else []
        last = lines[-1] if lines and not lines[-1].startswith("{") else ""
        if last.startswith("error: "):
            return last.removeprefix("error: ")
        return f"the server ended with code {self._popen.poll()}{last and ': '}{last}; its log is {self._log}"


def forget_old_logs(folder: Path, prefix: str) -> None:
    """Keep the newest logs only."""
    logs = sorted(folder.glob(f"{prefix}*.log"), key=lambda log: log.stat().st_mtime)
    for log in logs[:-_KEPT_LOGS]:
        log.unlink(missing_ok=True)
