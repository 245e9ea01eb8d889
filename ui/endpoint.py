"""The page's client of the endpoint: the v2 protocol over HTTP, whole files in, its refusals as sentences."""

import base64
import binascii
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import httpx

from forgery.errors import ForgeryError

logger = logging.getLogger(__name__)

VERDICT = ("label", "probability_forged", "threshold", "confidence", "model_version")
BAND = ("band_low", "band_high")
PICTURES = ("ela", "heatmap", "self_matches", "spectrum")
INFO = "image_info"
_INPUT = "image"
# Beyond the server's own limit of 30 s, so that its sentence arrives rather than ours.
_TIMEOUT = httpx.Timeout(40.0, connect=3.0)
_METADATA_TIMEOUT_S = 2.0


class EndpointError(ForgeryError):
    """The endpoint did not answer, or refused; the message is a sentence for whoever looks at the page."""

    exit_code = 5


@dataclass(frozen=True)
class Model:
    """What the endpoint says of its model.

    Attributes:
        name: Its name in the protocol.
        versions: Digests of the bundles that answer; empty while none does.
        outputs: Names that a request may ask for.
        properties: What it says of itself: figures, the model card's place.
    """

    name: str
    versions: tuple[str, ...]
    outputs: frozenset[str]
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """The endpoint's answer for one picture.

    Attributes:
        label: `authentic`, `forged` or `inconclusive`.
        probability_forged: Calibrated, in [0, 1].
        threshold: From here on the model says forged, unless the band says neither.
        confidence: Probability that the label is right, in [0, 1].
        band: Both ends of the inconclusive band; None where the endpoint does not tell.
        model_version: Digest of the bundle that answered.
        pictures: PNG files by output name: `ela`, `heatmap`, `self_matches`, `spectrum`, as far as they were asked for.
        info: Facts of the file, as far as they were asked for.
        seconds: From sending the request to the end of the answer.
    """

    label: str
    probability_forged: float
    threshold: float
    confidence: float
    band: tuple[float, float] | None
    model_version: str
    pictures: Mapping[str, bytes]
    info: Mapping[str, Any]
    seconds: float

    @classmethod
    def read(cls, body: Mapping[str, Any], seconds: float) -> Self:
        """From the JSON of a v2 response about one picture. Raises EndpointError."""
        try:
            row = {output["name"]: output["data"][0] for output in body["outputs"]}
            return cls(
                label=str(row["label"]),
                probability_forged=float(row["probability_forged"]),
                threshold=float(row["threshold"]),
                confidence=float(row["confidence"]),
                band=(float(row[BAND[0]]), float(row[BAND[1]])) if set(BAND) <= row.keys() else None,
                model_version=str(row["model_version"]),
                pictures={name: base64.b64decode(row[name], validate=True) for name in PICTURES if name in row},
                info=json.loads(row[INFO]) if INFO in row else {},
                seconds=seconds,
            )
        except (KeyError, IndexError, TypeError, ValueError, binascii.Error) as error:
            logger.error("the endpoint's answer cannot be read: %r", error)
            raise EndpointError("The endpoint answered something that is no verdict; is this its address?") from error


class Endpoint:
    """One model at one address. Safe to share between threads."""

    def __init__(self, url: str, model_name: str = "forgery", transport: httpx.BaseTransport | None = None) -> None:
        """Connect on first use.

        Args:
            url: E.g. `http://127.0.0.1:8080`.
            model_name: Its name in the protocol.
            transport: For tests; None: the network.
        """
        self.url = url.rstrip("/")
        self._path = f"/v2/models/{model_name}"
        self._client = httpx.Client(base_url=self.url, timeout=_TIMEOUT, transport=transport)

    def model(self) -> Model:
        """What the endpoint declares. Raises EndpointError."""
        body = self._send(self._client.build_request("GET", self._path, timeout=_METADATA_TIMEOUT_S))
        try:
            outputs = frozenset(str(output["name"]) for output in body["outputs"])
            properties = {str(name): str(value) for name, value in (body.get("properties") or {}).items()}
            return Model(str(body["name"]), tuple(map(str, body.get("versions") or ())), outputs, properties)
        except (KeyError, TypeError, AttributeError) as error:
            raise EndpointError("The address answers, but not as a model of the v2 protocol does.") from error

    def ask(self, encoded: bytes, outputs: Sequence[str]) -> Answer:
        """Have one picture judged; the file is sent as it is.

        Args:
            encoded: The file's bytes.
            outputs: Names that `Model.outputs` holds; those of `VERDICT` must be among them.

        Raises:
            EndpointError: The picture is not accepted, or nobody answers; the sentence says what and what to do.
        """
        started = time.perf_counter()
        tensor = {
            "name": _INPUT,
            "datatype": "BYTES",
            "shape": [1],
            "data": [base64.b64encode(encoded).decode("ascii")],
        }
        question = {"inputs": [tensor], "outputs": [{"name": name} for name in outputs]}
        body = self._send(self._client.build_request("POST", f"{self._path}/infer", json=question))
        return Answer.read(body, time.perf_counter() - started)

    def _send(self, request: httpx.Request) -> dict[str, Any]:
        try:
            response = self._client.send(request)
        except httpx.TimeoutException as error:
            raise EndpointError("The endpoint took too long to answer; try again in a moment.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            logger.warning("%s: %r", request.url, error)
            raise EndpointError("The endpoint does not answer. Start it with “forgery serve”, or try again.") from error
        try:
            body = response.json()
        except ValueError:
            body = None
        if response.is_success and isinstance(body, dict):
            return body
        raise EndpointError(refusal(response.status_code, body))


def refusal(status: int, body: object) -> str:
    """A refusal of the endpoint's contract as a sentence: `{"error": ..., "limit": ..., "index": ...}`."""
    message = body.get("error") if isinstance(body, dict) else None
    if not isinstance(message, str) or not message:
        return f"The endpoint answered with status {status} and no explanation; try again in a moment."
    index = body.get("index") if isinstance(body, dict) else None
    # One picture was sent: which one of the request it was says nothing here.
    sentence = message.removeprefix(f"image[{index}]: ").strip()
    closed = sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."
    return closed[0].upper() + closed[1:]


def wanted(model: Model, names: Sequence[str]) -> tuple[str, ...]:
    """Those of `names` that the model offers, so that endpoints with fewer outputs are served too."""
    return tuple(name for name in names if name in model.outputs)
