"""The demo, act by act."""

import shutil
import time
from pathlib import Path

from rich.console import Console
from rich.rule import Rule

from cli.home import Home
from cli.revisions import chosen_service, print_history, promote_by_hand, roll_back
from cli.served import Endpoint, served
from cli.settings import read_config
from cli.training import Outcome, train_here
from cli.verdicts import ask_endpoint, print_table
from forgery.dataset.demo import make_demo
from forgery.dataset.manifest import read_pictures
from forgery.errors import ForgeryError
from forgery.rollout.port import InferenceServices

# Enough pictures for a gate to tell models apart, few enough for two trainings in the demo's time.
PICTURES = 320
# What the demo changes of the defaults to fit its time: fewer cells and epochs, no search for self-matches, which takes
# two thirds of the recipe's time on small pictures, no copies with another last save, and fewer pictures for what the
# gate's verdict does not rest on.
_BRIEF = ["variants=[matched]", "rule.sample_pictures=24", "rule.robustness_pictures=8"]
QUICK = ["recipe=blocks2_32_nomatch", "training.epochs=12", *_BRIEF]
WEAKER = ["recipe=blocks2_8_nomatch", "training.epochs=1", *_BRIEF]
_SHOWN_PICTURES = 6


def take_tour(home: Home) -> None:
    """Run all acts in a fresh `home` and say where everything is.

    Raises:
        ForgeryError: An act did not end as it must; the message says which.
    """
    console, started = Console(), time.monotonic()
    shutil.rmtree(home.path, ignore_errors=True)
    home.path.mkdir(parents=True)
    service = chosen_service(home.places()["service"])

    console.print(Rule("1  Pictures"))
    pictures = make_demo(home.path / "pictures", PICTURES, seed=0)
    console.print(f"{PICTURES} pictures in {pictures}: forged ones with masks, authentic ones saved the same way")

    console.print(Rule("2  Train, prove, deploy"))
    first = _train(home, pictures, QUICK, console)
    _require(first.promoted, "the first model was not promoted")

    console.print(Rule("3  Serve: REST and gRPC"))
    with served(home, console) as endpoint:
        _ask(endpoint, _unseen(first, pictures), console)

        console.print(Rule("4  A weaker model is held back"))
        second = _train(home, pictures, WEAKER, console)
        _require(not second.promoted, "the weaker model was promoted")

        console.print(Rule("5  Roll forward by hand, and back"))
        _forward_and_back(home, service, second, endpoint, console)
    _farewell(home, console, time.monotonic() - started)


def _train(home: Home, pictures: Path, assignments: list[str], console: Console) -> Outcome:
    config = read_config(None, [f"source={pictures}", *assignments], home.places())
    console.print(f"forgery run --source {pictures} {' '.join(f'--set {each}' for each in assignments)}", style="dim")
    return train_here(home, config, console=console)


def _unseen(outcome: Outcome, pictures: Path) -> list[Path]:
    rows = list(read_pictures(outcome.run.artifact("ingest", "image_set"), ("test",)))
    forged = [row for row in rows if row.label == "forged"][: _SHOWN_PICTURES // 2]
    authentic = [row for row in rows if row.label == "authentic"][: _SHOWN_PICTURES // 2]
    return [_short(pictures / row.name) for row in forged + authentic]


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _ask(endpoint: Endpoint, paths: list[Path], console: Console) -> None:
    for url in (endpoint.http_url, endpoint.grpc_url):
        console.print(f"forgery predict ... --url {url}", style="dim", highlight=False)
        _require(print_table(ask_endpoint(url, paths)) == 0, f"{url} did not answer every picture")


def _forward_and_back(
    home: Home, service: InferenceServices, weaker: Outcome, endpoint: Endpoint, console: Console
) -> None:
    bundle = weaker.run.artifact("evaluate", "bundle")
    console.print(f"forgery rollout deploy {bundle}", style="dim", highlight=False, soft_wrap=True)
    forward = promote_by_hand(service, bundle, home.places())
    _require(
        endpoint.model_version() == forward.model_version, "the endpoint does not answer with the model rolled out"
    )
    console.print("forgery rollout undo", style="dim")
    back = roll_back(service, home, None)
    _require(endpoint.model_version() == back.model_version, "the endpoint does not answer with the model rolled back")
    print_history(service, as_json=False)


def _require(held: bool, failure: str) -> None:
    if not held:
        raise ForgeryError(f"demo: {failure}")


def _farewell(home: Home, console: Console, seconds: float) -> None:
    console.print(Rule(f"done in {seconds:.0f} s"))
    for line in (
        "Everything is in " + str(home.path) + "; to go on with it:",
        f"  export FORGERY_HOME={home.path}",
        "  forgery serve                         the endpoint",
        "  forgery predict PICTURE...            a verdict",
        "  forgery model show                    the model card: numbers with intervals, limits",
        "  forgery rollout history               what was in service when, and why",
        "  forgery run --source YOUR_PICTURES    your own data",
        f"  mlflow ui --backend-store-uri {home.places()['tracking']}",
    ):
        console.print(line, highlight=False, soft_wrap=True)
