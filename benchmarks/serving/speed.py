"""The speed of one kind of model, served and bare, as ratios within one run."""

import io
import logging
import statistics
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.rows import Row
from benchmarks.serving import clients, servers
from benchmarks.serving.load import Call, at_rate, in_turn, per_second
from benchmarks.serving.profile import Profile, profile
from benchmarks.serving.servers import Server
from forgery.bundle import Bundle
from forgery.engine import PROBABILITY, Engine
from forgery.recipes import evidence

logger = logging.getLogger(__name__)

_BATCH = 8
_CLIENTS = 8
_LOAD = 0.7


@dataclass(frozen=True)
class Scale:
    """How long to measure: calls of each kind in turn (fewer where they take long), seconds of each load."""

    rounds: int = 60
    seconds: float = 10.0


@dataclass(frozen=True)
class Speed:
    """What was found of one kind."""

    rows: list[Row]
    profile: Profile
    figures: dict[str, float]


@dataclass(frozen=True)
class _Stand:
    """All that is compared, running."""

    bare: Call
    lite: Server
    full: Server
    before_lite: Server
    before_full: Server
    common: Server


def measure(kind: str, bundle: Bundle, picture: bytes, log: Path, scale: Scale) -> Speed:
    """Measure one kind.

    Args:
        kind: Its name in the rows.
        bundle: With a LiteRT model.
        picture: A JPEG.
        log: What the servers say.
        scale: How long.
    """
    engine = Engine(bundle)

    def bare() -> object:
        return engine.predict(evidence(picture, bundle.recipe)[None], (PROBABILITY,))

    with ExitStack() as stack:
        lite = stack.enter_context(servers.predictor(bundle, "litert", log))
        full = stack.enter_context(servers.predictor(bundle, "tensorflow", log))
        stand = _Stand(
            bare,
            lite,
            full,
            stack.enter_context(servers.transformer(lite, log)),
            stack.enter_context(servers.transformer(full, log)),
            stack.enter_context(servers.common(bundle, log)),
        )
        idle = _idle(stand, bundle, picture, scale)
        rates = _rates(stand, picture, scale)
        waits = at_rate(
            _caller(clients.over_grpc(stand.before_lite.grpc), picture), _LOAD * rates["grpc"], scale.seconds
        )
        found = profile(
            stand.before_lite, stand.lite, clients.over_grpc(stand.before_lite.grpc)(), picture, scale.rounds
        )
        figures = _figures(idle, rates, stand) | {
            "p50_at_load_ms": statistics.median(waits) * 1000,
            "p99_at_load_ms": float(np.quantile(waits, 0.99)) * 1000,
        }
    logger.info("%s: %s", kind, {name: round(value, 1) for name, value in figures.items()})
    return Speed(_rows(kind, idle, rates, waits) + _engine_rows(kind, idle, lite, full, figures), found, figures)


def _caller(connect: clients.Connect, *files: bytes) -> Callable[[], Call]:
    def make() -> Call:
        call = connect()
        return lambda: call(files)

    return make


def _idle(stand: _Stand, bundle: Bundle, picture: bytes, scale: Scale) -> dict[str, float]:
    maps = evidence(picture, bundle.recipe)[None]
    grpc = clients.over_grpc(stand.before_lite.grpc)
    one, many = _caller(grpc, picture)(), _caller(grpc, *[picture] * _BATCH)()
    calls: Mapping[str, Call] = {
        "codec": lambda: _codec(picture),
        "bare": stand.bare,
        "grpc": one,
        "grpc on TensorFlow": _caller(clients.over_grpc(stand.before_full.grpc), picture)(),
        "rest": _caller(clients.over_rest(stand.before_lite.url), picture)(),
        "common": _caller(clients.over_form(stand.common.url), picture)(),
        "litert": clients.evidence_over_grpc(stand.lite.grpc, bundle.info.recipe, maps),
        "tensorflow": clients.evidence_over_grpc(stand.full.grpc, bundle.info.recipe, maps),
    }
    batches: Mapping[str, Call] = {"batch": many, "singles": lambda: [one() for _ in range(_BATCH)]}
    return in_turn(calls, scale.rounds) | in_turn(batches, max(5, scale.rounds // _BATCH))


def _codec(picture: bytes) -> None:
    """Decode, encode, decode: what the simplest evidence cannot do without."""
    image = Image.open(io.BytesIO(picture))
    image.load()
    copy = io.BytesIO()
    image.save(copy, "JPEG", quality=90, subsampling="4:2:0")
    Image.open(copy).load()


def _rates(stand: _Stand, picture: bytes, scale: Scale) -> dict[str, float]:
    grpc = _caller(clients.over_grpc(stand.before_lite.grpc), picture)
    on_full = _caller(clients.over_grpc(stand.before_full.grpc), picture)
    return {
        "bare": per_second(lambda: stand.bare, 2, scale.seconds),
        "grpc": per_second(grpc, _CLIENTS, scale.seconds),
        "grpc on TensorFlow": per_second(on_full, _CLIENTS, scale.seconds),
        "rest": per_second(_caller(clients.over_rest(stand.before_lite.url), picture), _CLIENTS, scale.seconds),
        "common": per_second(_caller(clients.over_form(stand.common.url), picture), _CLIENTS, scale.seconds),
    }


def _figures(idle: Mapping[str, float], rates: Mapping[str, float], stand: _Stand) -> dict[str, float]:
    return {
        **{f"{name}_ms": seconds * 1000 for name, seconds in idle.items()},
        **{f"{name}_per_s": rate for name, rate in rates.items()},
        "litert_start_s": stand.lite.start_s,
        "tensorflow_start_s": stand.full.start_s,
        "litert_mb": stand.lite.memory_mb(),
        "tensorflow_mb": stand.full.memory_mb(),
        "transformer_mb": stand.before_lite.memory_mb(),
    }


def _rows(kind: str, idle: Mapping[str, float], rates: Mapping[str, float], waits: list[float]) -> list[Row]:
    ratios = [
        ("p50 of one request, gRPC through both servers / bare loop", idle["grpc"] / idle["bare"], "<= 1.25"),
        ("the same with the predictor on TensorFlow", idle["grpc on TensorFlow"] / idle["bare"], "<= 1.25"),
        ("requests a second, 8 gRPC clients / bare loop on two threads", rates["grpc"] / rates["bare"], ">= 0.85"),
        ("the same on TensorFlow", rates["grpc on TensorFlow"] / rates["bare"], ">= 0.85"),
        ("requests a second, 8 clients / the common server's", rates["rest"] / rates["common"], ">= 2.5"),
        ("p50 of one request / the common server's", idle["rest"] / idle["common"], "<= 0.5"),
        ("p50, REST with base64 / gRPC", idle["rest"] / idle["grpc"], "<= 1.15"),
        ("8 pictures in one request / 8 requests of one", idle["batch"] / idle["singles"], "<= 0.8"),
        ("p99 at 70 % of capacity / p50 of one request", float(np.quantile(waits, 0.99)) / idle["grpc"], "<= 3"),
    ]
    return [Row(name=f"{kind}: {name}", ratio=ratio, goal=goal) for name, ratio, goal in ratios]


def _engine_rows(
    kind: str, idle: Mapping[str, float], lite: Server, full: Server, figures: Mapping[str, float]
) -> list[Row]:
    ratios = [
        ("latency of a predictor", idle["litert"] / idle["tensorflow"], "<= 0.5"),
        ("memory of a predictor", figures["litert_mb"] / figures["tensorflow_mb"], "<= 0.4"),
        ("start of a predictor until it answers", lite.start_s / full.start_s, "<= 0.3"),
    ]
    return [Row(name=f"{kind}: {name}, LiteRT / TensorFlow", ratio=ratio, goal=goal) for name, ratio, goal in ratios]
