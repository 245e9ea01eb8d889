"""What a caller may ask for, and where that is set: flags, else environment variables, else the defaults here."""

import argparse
import os
from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from forgery.cores import available_cores
from forgery.errors import InvalidConfig
from forgery.picture import ACCEPTED_FORMATS, DEFAULT_LIMITS, Limits

_PREFIX = "FORGERY_"


class ServingLimits(BaseModel):
    """Each is refused before its cost is paid; `docs/api.md` tells callers which answer they get.

    The flag is `--<name>`, the environment variable `FORGERY_<NAME>`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_body_bytes: int = Field(32 * 2**20, gt=0, description="Largest REST body and gRPC message.")
    max_pictures: int = Field(32, gt=0, description="Most pictures in one request.")
    max_picture_bytes: int = Field(25_000_000, gt=0, description="Largest single file.")
    max_pixels: int = Field(DEFAULT_LIMITS.max_pixels, gt=0, description="Most pixels of a picture, by its header.")
    formats: str = Field(",".join(ACCEPTED_FORMATS), description="Formats accepted, by content.")
    concurrent_decodes: int = Field(0, ge=0, description="Pictures decoded at once; 0: one per CPU.")
    decode_memory_mb: int = Field(
        400, gt=0, description="Memory of pictures open at once, as far as their sizes tell; a larger one goes alone."
    )
    picture_memory_mb: int = Field(
        0, ge=0, description="Most memory that one picture may need; 0: half of the container's, if that is limited."
    )
    max_requests: int = Field(64, gt=0, description="Requests inside at once, waiting ones included; more get 429.")
    max_inside_bytes: int = Field(256 * 2**20, gt=0, description="Bytes of all requests inside at once; more get 429.")
    request_timeout_s: float = Field(30.0, gt=0, description="Longest a request may take, its upload included.")

    @property
    def decoders(self) -> int:
        """Threads that decode."""
        return self.concurrent_decodes or available_cores()

    @property
    def accepted_formats(self) -> tuple[str, ...]:
        """Format names as Pillow spells them."""
        return tuple(name.strip().upper() for name in self.formats.split(",") if name.strip())

    @property
    def picture(self) -> Limits:
        """The part that the library checks."""
        return Limits(max_bytes=self.max_picture_bytes, max_pixels=self.max_pixels)

    @classmethod
    def add_flags(cls, parser: argparse.ArgumentParser) -> None:
        """Give a command line one flag per limit."""
        group = parser.add_argument_group("limits")
        for name, field in cls.model_fields.items():
            group.add_argument(f"--{name}", help=f"{field.description} Default: {field.default}.")

    @classmethod
    def read(cls, flags: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> Self:
        """The limits in force. Raises InvalidConfig, naming the flag."""
        given = {
            name: getattr(flags, name, None) or environment.get(_PREFIX + name.upper()) for name in cls.model_fields
        }
        try:
            limits = cls.model_validate({name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            first = error.errors()[0]
            raise InvalidConfig(f"--{first['loc'][0]}: {first['msg'].lower()} (got {first['input']!r})") from error
        if unknown := set(limits.accepted_formats) - set(ACCEPTED_FORMATS):
            raise InvalidConfig(f"--formats: {min(unknown)} is not known; known are {', '.join(ACCEPTED_FORMATS)}")
        return limits
