"""`forgery ui`: the page for people."""

import logging
import os
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

logger = logging.getLogger(__name__)


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("ui")(ui)


def ui(
    url: Annotated[str, typer.Option(help="The endpoint that is asked.")] = "http://127.0.0.1:8080",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the page is served.")] = 8501,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
) -> None:
    """Serve the page for people: drop pictures, see the verdict and why. Ctrl-C ends it.

    The page holds no model, it asks the endpoint. Example, in two terminals:

      forgery serve

      forgery ui
    """
    from cli.home import Home
    from forgery.errors import InvalidConfig

    if find_spec("streamlit") is None:
        raise InvalidConfig("the page needs Streamlit; pip install 'forgery[ui]' has it")
    if not url.startswith(("http://", "https://")):
        raise InvalidConfig(f"--url is http://HOST:PORT or https://HOST:PORT; got {url!r}")
    from streamlit.web.cli import main as streamlit

    import ui as package

    home = Home.from_environment()
    examples = home.path / "examples"
    os.environ |= {"FORGERY_URL": url, "FORGERY_EXAMPLES": str(examples)}
    os.environ.setdefault("FORGERY_FEEDBACK", str(home.feedback))
    os.environ.setdefault("FORGERY_MODEL_CARDS", str(home.path / "models"))
    threading.Thread(target=_make_examples, args=(examples,), daemon=True).start()
    typer.echo(f"the page: http://{host}:{port}  asks {url}")
    page = Path(package.__file__).with_name("page.py")
    options = ["--server.port", str(port), "--server.address", host]
    streamlit(["run", *options, str(page)], prog_name="forgery ui", standalone_mode=False)


def _make_examples(folder: Path) -> None:
    """Once, while people look at the page already."""
    from forgery.errors import ForgeryError
    from ui.examples import make_examples

    try:
        make_examples(folder)
    except ForgeryError as error:
        logger.warning("the page offers no examples: %s", error)
