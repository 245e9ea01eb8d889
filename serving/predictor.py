"""The predictor: evidence in, verdict out. It accepts the one recipe its model was trained on, by the input's name."""

import argparse
import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forgery.bundle import DIGEST_LENGTH, Bundle, open_bundle
from forgery.cores import available_cores
from forgery.decision import Label
from forgery.engine import KINDS, Engine, EngineKind
from forgery.errors import BundleError, ForgeryError, InvalidConfig
from forgery.golden import check_golden
from serving import journal, metrics, tracing
from serving.arguments import begin, leave, read_address
from serving.limits import ServingLimits
from serving.outputs import ACTIVATION_MAP, PREDICTOR_OUTPUTS, Output, choose
from serving.ports import Scorer
from serving.properties import of_bundle
from serving.reference import serve_reference
from serving.refusal import Reason, Refusal
from serving.respond import count_verdicts, respond
from serving.sdk import InferRequest, InferResponse
from serving.server import Description, HardenedModelServer, VersionedModel
from serving.threads import Threads
from serving.v2 import read_uint8

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Question:
    """A valid request: evidence uint8 [n, H, W, C] and the outputs wanted."""

    request: InferRequest
    evidence: NDArray[np.uint8]
    outputs: tuple[Output, ...]


@dataclass(frozen=True)
class Answer:
    """The model's numbers for one question."""

    question: Question
    numbers: Mapping[str, NDArray[np.float32]]


class Predictor(VersionedModel):
    """One bundle behind the v2 protocol."""

    def __init__(self, name: str, bundle: Bundle, engine: Scorer, limits: ServingLimits) -> None:
        """Serve `bundle`, whose loaded form is `engine`."""
        super().__init__(name)
        self._bundle = bundle
        self._engine = engine
        self._limits = limits
        # More calls at once than CPUs only add waiting and memory, on either engine.
        self._threads = Threads(available_cores(), "inference")
        self.ready = True

    async def describe(self) -> Description:
        """The bundle's digest, and what it says of itself."""
        return Description((self._bundle.digest,), of_bundle(self._bundle, getattr(self._engine, "kind", "")))

    def get_input_types(self) -> list[dict[str, Any]]:
        """One input, named by the recipe."""
        recipe = self._bundle.recipe
        return [{"name": recipe.name, "datatype": "UINT8", "shape": [-1, *recipe.shape]}]

    def get_output_types(self) -> list[dict[str, Any]]:
        """The verdict, and the activation map on request."""
        return [output.metadata for output in PREDICTOR_OUTPUTS]

    async def preprocess(self, payload: InferRequest, headers: Mapping[str, str] | None = None) -> Question:
        """Check name, datatype, shape and size. Raises Refusal."""
        tensor = self._only_input(payload)
        if tensor.datatype != "UINT8":
            raise Refusal(Reason.INVALID, f"input {tensor.name!r} must be UINT8, not {tensor.datatype[:20]}")
        if len(tensor.shape) > 0 and tensor.shape[0] > self._limits.max_pictures:
            limit = f"max_pictures={self._limits.max_pictures}"
            raise Refusal(Reason.TOO_LARGE, f"{tensor.shape[0]} pictures are too many for one request", limit=limit)
        outputs = choose([each.name for each in payload.request_outputs or ()], PREDICTOR_OUTPUTS)
        return Question(payload, read_uint8(tensor, self._bundle.recipe.shape), outputs)

    def _only_input(self, payload: InferRequest) -> Any:
        wanted = self._bundle.recipe.name
        found = [tensor.name for tensor in payload.inputs]
        if found != [wanted]:
            given = ", ".join(repr(name[:80]) for name in found[:4]) or "none"
            raise Refusal(Reason.INVALID, f"send exactly one input named {wanted!r}; got {given}", limit=wanted)
        return payload.inputs[0]

    async def predict(self, payload: Question, headers: Mapping[str, str] | None = None) -> Answer:
        """Run the network, away from the event loop so that probes are answered meanwhile."""
        wanted = ("probability_forged", *(["activation_map"] if ACTIVATION_MAP in payload.outputs else []))
        return Answer(payload, await self._threads.run(self._run, payload.evidence, wanted))

    def _run(self, evidence: NDArray[np.uint8], wanted: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
        with metrics.stage("inference"):
            return self._engine.predict(evidence, wanted)

    async def postprocess(self, result: Answer, headers: Mapping[str, str] | None = None) -> InferResponse:
        """Apply the bundle's decision rule and answer in the order asked for."""
        probabilities = result.numbers["probability_forged"]
        rule = self._bundle.info.decision
        labels = [rule.label(float(probability)) for probability in probabilities]
        columns: dict[str, Any] = {
            "probability_forged": probabilities.astype(np.float32),
            "label": labels,
            "threshold": np.full(len(labels), rule.threshold, np.float32),
            "band_low": np.full(len(labels), rule.band_low, np.float32),
            "band_high": np.full(len(labels), rule.band_high, np.float32),
            "confidence": confidence(probabilities, labels),
            "model_version": [self._bundle.digest] * len(labels),
            "activation_map": result.numbers.get("activation_map"),
        }
        count_verdicts(columns)
        journal.note(model_version=self._bundle.digest, labels=labels)
        return respond(self.name, result.question.request, self._bundle.digest, result.question.outputs, columns)


def confidence(probabilities: NDArray[np.float32], labels: Sequence[Label]) -> NDArray[np.float32]:
    """Probability that the label given is right, float32 [n].

    That of forged for `forged`, that of authentic for `authentic`. `inconclusive` claims neither: the larger of both,
    which was not enough.
    """
    chosen = [
        {"forged": p, "authentic": 1 - p, "inconclusive": max(p, 1 - p)}[label]
        for p, label in zip(map(float, probabilities), labels, strict=True)
    ]
    return np.asarray(chosen, np.float32)


def load(model_dir: str, name: str, limits: ServingLimits, kind: EngineKind = "auto") -> Predictor:
    """Open, verify and load a bundle, and have it answer its own golden request.

    Raises:
        ForgeryError: It is no bundle, was altered, does not answer as it was sealed, or `kind` cannot run it.
    """
    bundle = open_bundle(model_dir)
    cores = available_cores()
    engine = Engine(bundle, intra_op_threads=cores, inter_op_threads=cores, kind=kind)
    check_golden(bundle, engine)
    logger.info("bundle %s runs on %s", bundle.digest, engine.kind)
    metrics.serve_model(bundle.digest, bundle.info.recipe)
    serve_reference(bundle)
    return Predictor(name, bundle, engine, limits)


def known_engine(kind: str) -> EngineKind:
    """The engine of that name; InvalidConfig lists those there are. argparse does not look at a default."""
    if kind not in KINDS:
        raise InvalidConfig(f"--engine: {kind!r} is not known; known are {', '.join(KINDS)}")
    return kind


def check_origin(model_dir: str, storage_uri: str) -> None:
    """Refuse a bundle that lay under another one's digest.

    Raises:
        BundleError: The last part of `storage_uri` is a digest, but not that of the bundle in `model_dir`.
    """
    name = storage_uri.rstrip("/").rpartition("/")[2]
    if not re.fullmatch(rf"[0-9a-f]{{{DIGEST_LENGTH}}}", name):
        return
    digest = open_bundle(model_dir, verify=False).digest
    if name != digest:
        raise BundleError(f"{storage_uri} holds the bundle {digest}: it is not the one published there")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the predictor process; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m serving.predictor", description=__doc__, allow_abbrev=False)
    parser.add_argument("--model_dir", default="/mnt/models", help="The bundle's folder. Default: /mnt/models.")
    parser.add_argument(
        "--storage_uri",
        default=os.environ.get("FORGERY_STORAGE_URI", ""),
        help="Where the bundle was fetched from: a digest at its end must be the bundle's. Default: none.",
    )
    parser.add_argument(
        "--engine",
        choices=KINDS,
        default=os.environ.get("FORGERY_ENGINE", "auto"),
        help="What runs the model; auto: LiteRT where the bundle has a model for it, else TensorFlow. Default: auto.",
    )
    flags = begin(parser, arguments)
    try:
        tracing.configure("forgery-predictor")
        limits = ServingLimits.read(flags)
        check_origin(flags.model_dir, flags.storage_uri)
        model = load(flags.model_dir, flags.model_name, limits, known_engine(flags.engine))
        largest = limits.max_pictures * int(np.prod(model.get_input_types()[0]["shape"][1:]))
        HardenedModelServer(model, read_address(flags), limits, grpc_max_bytes=largest, docs=flags.docs).start()
    except ForgeryError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    leave(main())
