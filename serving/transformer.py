"""The transformer: pictures in, verdicts and explanations out; the predictor names the recipe."""

import argparse
import asyncio
import base64
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forgery.errors import ForgeryError, PictureRejected
from forgery.recipes import Evidence, Recipe, evidence
from serving import journal, metrics, tracing
from serving.allocator import keep_freed_memory
from serving.arguments import begin, leave, read_address
from serving.decoding import BYTES_PER_PIXEL, Decoders
from serving.detect import detect_router
from serving.explain import MAKERS, Subject
from serving.limits import ServingLimits
from serving.outputs import (
    ACTIVATION_MAP,
    EXPLANATIONS,
    PREDICTOR_OUTPUTS,
    TRANSFORMER_OUTPUTS,
    VERDICT,
    Output,
    choose,
    names,
)
from serving.payload_log import Answered, PayloadLog, open_log
from serving.payload_log import add_flags as add_payload_flags
from serving.pictures import INPUT, read_pictures
from serving.refusal import Refusal, of_picture
from serving.respond import count_verdicts, respond
from serving.sdk import InferRequest, InferResponse
from serving.server import Description, HardenedModelServer, VersionedModel
from serving.upstream import Scores, Upstream, WrongRecipe, unusable
from serving.v1 import predict_router

# A rollout changes the recipe once; a second change within one request is a rollback that raced it.
_RECIPE_CHANGES = 3


@dataclass(frozen=True)
class Question:
    """A valid request: files within the limits, and the outputs wanted."""

    request: InferRequest
    pictures: tuple[bytes, ...]
    pixels: tuple[int, ...]
    outputs: tuple[Output, ...]
    deadline: float

    @property
    def seconds_left(self) -> float:
        """Until the request's time is up."""
        return self.deadline - time.monotonic()


@dataclass(frozen=True)
class Prepared:
    """A question with its evidence, uint8 [n, H, W, C]."""

    question: Question
    recipe: Recipe
    evidence: NDArray[np.uint8]


@dataclass(frozen=True)
class Scored:
    """The predictor's answer to what was prepared, recipe and model of the same bundle."""

    prepared: Prepared
    scores: Scores


class Transformer(VersionedModel):
    """Evidence for the predictor, explanations for people."""

    def __init__(
        self, name: str, upstream: Upstream, limits: ServingLimits, payloads: PayloadLog | None = None
    ) -> None:
        """Answer under `name`, with the model behind `upstream`; tell `payloads`, if any, of every answer."""
        super().__init__(name)
        self._upstream = upstream
        self._limits = limits
        self._payloads = payloads
        self._decoders = Decoders(limits)
        self.ready = True

    async def healthy(self) -> bool:
        """Whether a picture would be answered now."""
        return await self._upstream.ready()

    async def describe(self) -> Description:
        """What the predictor says of itself now; empty while none answers."""
        try:
            return await self._upstream.describe(timeout_s=1)
        except Refusal:
            return Description()

    def get_input_types(self) -> list[dict[str, Any]]:
        """One input: whole files."""
        return [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}]

    def get_output_types(self) -> list[dict[str, Any]]:
        """Everything `outputs` may name."""
        return [output.metadata for output in TRANSFORMER_OUTPUTS]

    async def preprocess(self, payload: InferRequest, headers: Mapping[str, str] | None = None) -> Prepared:
        """Check every picture, then compute the evidence that the predictor asks for. Raises Refusal."""
        question = await self._read(payload)
        recipe = await self._upstream.recipe(question.seconds_left)
        return await self._prepare(question, recipe)

    async def predict(self, payload: Prepared, headers: Mapping[str, str] | None = None) -> Scored:
        """Have it scored; if another model came meanwhile, prepare what that one wants. Raises Refusal."""
        question, prepared = payload.question, payload
        wanted = names(_scored(question))
        for _ in range(_RECIPE_CHANGES):
            try:
                with metrics.stage("hop"):
                    left = question.seconds_left
                    scores = await self._upstream.score(prepared.recipe, prepared.evidence, wanted, left)
                journal.note(model_version=scores.model_version, labels=scores.columns["label"])
                metrics.serve_model(scores.model_version, prepared.recipe.name)
                return Scored(prepared, scores)
            except WrongRecipe:
                recipe = await self._upstream.recipe(question.seconds_left, refresh=True)
                if recipe == prepared.recipe:
                    break
                prepared = await self._prepare(question, recipe)
        raise unusable()

    async def postprocess(self, result: Scored, headers: Mapping[str, str] | None = None) -> InferResponse:
        """Add the explanations asked for and answer in the order asked for."""
        question = result.prepared.question
        columns = dict(result.scores.columns)
        for output in question.outputs:
            if output in EXPLANATIONS:
                columns[output.name] = await self._explain(result, output)
        count_verdicts(columns)
        if self._payloads is not None:
            prepared = result.prepared
            self._payloads.offer(Answered(question.pictures, prepared.evidence, prepared.recipe.name, columns))
        return respond(self.name, question.request, result.scores.model_version, question.outputs, columns)

    async def _read(self, payload: InferRequest) -> Question:
        deadline = time.monotonic() + self._limits.request_timeout_s
        outputs = choose([each.name for each in payload.request_outputs or ()], TRANSFORMER_OUTPUTS)
        pictures = await self._decoders.run(read_pictures, payload, self._limits)
        files, pixels = tuple(each.encoded for each in pictures), tuple(each.pixels for each in pictures)
        return Question(payload, files, pixels, outputs, deadline)

    async def _prepare(self, question: Question, recipe: Recipe) -> Prepared:
        needs = self._decoders.needs(recipe, question.pixels)
        maps = await self._decoders.for_each(partial(self._evidence, recipe), enumerate(question.pictures), needs)
        return Prepared(question, recipe, np.stack(maps))

    def _evidence(self, recipe: Recipe, numbered: tuple[int, bytes]) -> Evidence:
        index, picture = numbered
        try:
            return evidence(picture, recipe, self._limits.picture, watch=metrics.stage)
        except PictureRejected as error:
            raise of_picture(error, index) from error

    async def _explain(self, result: Scored, output: Output) -> list[str] | list[bytes]:
        prepared, activations = result.prepared, result.scores.columns.get(ACTIVATION_MAP.name)
        subjects = [
            Subject(
                picture,
                prepared.recipe,
                prepared.evidence[index],
                None if activations is None else activations[index],
                self._limits.picture,
            )
            for index, picture in enumerate(prepared.question.pictures)
        ]
        with metrics.stage("explain"):
            needs = [pixels * BYTES_PER_PIXEL for pixels in prepared.question.pixels]
            made = await self._decoders.for_each(MAKERS[output.name], subjects, needs)
        request = prepared.question.request
        if output.name == "image_info":
            return [each.decode() for each in made]
        if request.from_grpc or request.use_binary_outputs:
            return made
        return [base64.b64encode(each).decode("ascii") for each in made]


def _scored(question: Question) -> list[Output]:
    """What the predictor is asked for: the verdict, and of the rest what was wished for or is drawn from."""
    drawn_from = {ACTIVATION_MAP} if any(output.name == "heatmap" for output in question.outputs) else set()
    wanted = {*VERDICT, *question.outputs, *drawn_from}
    return [output for output in PREDICTOR_OUTPUTS if output in wanted]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the transformer process; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m serving.transformer", description=__doc__, allow_abbrev=False)
    parser.add_argument("--predictor_host", required=True, help="HOST[:PORT] of the predictor's gRPC. Port: 80.")
    add_payload_flags(parser)
    flags = begin(parser, arguments)
    try:
        tracing.configure("forgery-transformer")
        keep_freed_memory()
        limits = ServingLimits.read(flags)
        payloads = open_log(flags)
        upstream = Upstream(flags.predictor_host, flags.model_name)
        model = Transformer(flags.model_name, upstream, limits, payloads)

        async def stop() -> None:
            await upstream.close()
            if payloads is not None:
                await asyncio.to_thread(payloads.close)

        HardenedModelServer(
            model,
            read_address(flags),
            limits,
            routers=[partial(predict_router, limits=limits), partial(detect_router, limits=limits)],
            on_stop=stop,
            docs=flags.docs,
        ).start()
    except ForgeryError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    leave(main())
