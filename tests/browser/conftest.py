"""The page as people meet it: `forgery ui` before `forgery serve`, opened in Chromium."""

import io
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from forgery.rollout.local import LocalService
from forgery.stores import publish
from serving.sockets import free_ports

# Of an endpoint with a trained model: then the screenshots of the documentation are made anew.
SCREENSHOTS_OF = os.environ.get("FORGERY_SCREENSHOTS_OF", "")
DOCS_IMAGES = Path(__file__).parents[2] / "docs" / "images"
TIMEOUT_S = 120
LARGEST_SCREENSHOT_BYTES = 300_000


@dataclass(frozen=True)
class Site:
    """Where the page is, what it offers, and where the servers behind it write."""

    url: str
    examples: Path
    server_logs: Path

    def served(self) -> str:
        """All that the servers have logged."""
        return "".join(log.read_text() for log in self.server_logs.glob("*.log"))


def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("Chromium is absent: apt-get install chromium")


# Ends with its module: while Playwright runs, its event loop does, and later tests could start none.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = chromium()
    with sync_playwright() as playwright:
        # In a container Chromium may not make its own sandbox; it opens nothing here but our page.
        running = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield running
        running.close()


def _wait_for(ready: Callable[[], bool], process: subprocess.Popen[Any], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        if ready():
            return
        time.sleep(0.2)
    raise RuntimeError(f"{what} did not start")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, make_bundle: Callable[..., Any]) -> Path:
    """FORGERY_HOME with a model in service."""
    folder = tmp_path_factory.mktemp("home")
    if not SCREENSHOTS_OF:
        uri = publish(make_bundle(bias=1.0), f"file://{folder / 'models'}")
        service = LocalService(folder / "service")
        service.swap(service.read(), uri)
    return folder


@pytest.fixture(scope="module")
def endpoint(home: Path) -> Iterator[str]:
    """The URL of `forgery serve`."""
    if SCREENSHOTS_OF:
        yield SCREENSHOTS_OF
        return
    command = [sys.executable, "-m", "cli", "serve", "--http-port", "0", "--grpc-port", "0"]
    environment = {**os.environ, "FORGERY_HOME": str(home)}
    with (
        (home / "serve.log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready:"), (home / "serve.log").read_text()[-2000:]
        yield line.split()[2]
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def site(home: Path, endpoint: str, browser: Browser) -> Iterator[Site]:
    """The page of `forgery ui`, its examples made."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "cli", "ui", "--url", endpoint, "--port", str(port)]
    environment = {**os.environ, "FORGERY_HOME": str(home)}
    url, examples = f"http://127.0.0.1:{port}", home / "examples"
    with (
        (home / "ui.log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=environment) as process,
    ):
        try:
            _wait_for(lambda: _answers(f"{url}/_stcore/health") and examples.exists(), process, "the page")
            yield Site(url, examples, home / "service" / "logs")
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture
def open_page(site: Site, browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open the page in a browser of its own; `width`, `height`, `scheme` as wanted."""
    contexts = []

    def opened(width: int = 1180, height: int = 860, scheme: Any = "light", touch: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=touch, accept_downloads=True
        )
        context.set_default_timeout(TIMEOUT_S * 1000)
        contexts.append(context)
        page = context.new_page()
        page.goto(site.url)
        page.wait_for_selector('[data-testid="stFileUploaderDropzone"]')
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def keep_screenshot(tmp_path: Path) -> Callable[[Page, str], None]:
    """Keep what is seen, as a small PNG; in the documentation where that is asked for."""

    def keep(page: Page, name: str) -> None:
        folder = DOCS_IMAGES if SCREENSHOTS_OF else tmp_path
        folder.mkdir(parents=True, exist_ok=True)
        content = page.screenshot(animations="disabled")
        if len(content) > LARGEST_SCREENSHOT_BYTES:
            with Image.open(io.BytesIO(content)) as seen:
                small = seen.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2)
            file = io.BytesIO()
            small.save(file, "PNG", optimize=True)
            content = file.getvalue()
        (folder / f"ui-{name}.png").write_bytes(content)

    return keep


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, fetched from npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is absent, which fetches axe-core")
    folder = tmp_path_factory.mktemp("axe")
    done = subprocess.run(
        [npm, "install", "--no-save", "--ignore-scripts", "--prefix", str(folder), "axe-core@4"],
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if done.returncode != 0 or not script.exists():
        pytest.skip("npm could not fetch axe-core")
    return script.read_text()
