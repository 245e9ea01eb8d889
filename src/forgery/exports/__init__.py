"""A sealed bundle in the forms that other servers, runtimes and hubs read, each proven on writing.

Every export is a folder that appears whole or not at all. It holds what its reader expects, and `export.json`: the
bundle it comes from, the signature, the decision rule that the model itself does not carry, and the proof that the
format's own runtime gives the bundle's answers with these very files.
"""

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from forgery.bundle import Bundle
from forgery.decision import DecisionRule
from forgery.engine import OUTPUTS
from forgery.errors import InvalidConfig
from forgery.exports import huggingface, litert, onnx, openvino, saved_model, triton
from forgery.exports.proof import Proof
from forgery.writing import whole_folder

__all__ = ["FORMATS", "RECEIPT_FILE", "Export", "Receipt", "export_bundle"]

logger = logging.getLogger(__name__)

RECEIPT_FILE = "export.json"
# It becomes the name of a folder, and part of an address.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
# Fills an empty folder with a bundle in one format, under a model's name, and proves what it wrote.
Export = Callable[[Bundle, Path, str], Proof]
FORMATS: Final[dict[str, Export]] = {
    "saved_model": saved_model.write,
    "litert": litert.write,
    "onnx": onnx.write,
    "triton": triton.write,
    "openvino": openvino.write,
    "huggingface": huggingface.write,
}


class Receipt(BaseModel):
    """What an export says of itself.

    Attributes:
        format: One of `FORMATS`.
        bundle: Digest of the bundle it was made from.
        input: Name of the model's one input, which is its recipe; uint8 [n, *shape].
        shape: Height, width, channels.
        outputs: Names: `probability_forged` [n] and `activation_map` [n, h, w], float32 in [0, 1].
        decision: From a probability to a verdict; the temperature is inside the model already.
        proof: Which runtime was asked, and how far its answers were from the bundle's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str
    bundle: str
    input: str
    shape: tuple[int, int, int]
    outputs: tuple[str, ...] = OUTPUTS
    decision: DecisionRule
    proof: Proof


def export_bundle(
    bundle: Bundle, to: str, out: Path, name: str = "forgery", formats: Mapping[str, Export] = FORMATS
) -> Receipt:
    """Write a bundle into `out` in another format, and prove that it answers alike.

    Args:
        bundle: Sealed and verified.
        to: One of `formats`.
        out: A new or empty folder, or one that holds an earlier export, whose place is then taken.
        name: What servers and hubs call the model.
        formats: Those of this package, or more.

    Raises:
        InvalidConfig: The format is unknown, what makes it is not installed, or `out` lies in the bundle.
        BundleError: The bundle does not give the answers that it was sealed with.
        ExportFailed: The model cannot be converted, or answers otherwise; `out` is as it was.
        StorageError: `out` holds something else or cannot be written.
    """
    if to not in formats:
        raise InvalidConfig(f"format {to!r} is unknown; known: {', '.join(formats)}")
    if not _NAME.fullmatch(name):
        raise InvalidConfig(f"name {name!r} is not accepted: letters, digits, _ and -, a letter or digit first")
    if out.absolute().is_relative_to(bundle.path.absolute()):
        raise InvalidConfig(f"{out} lies in the bundle itself, which nothing may change; name another folder")
    needs = 2 * sum(path.stat().st_size for path in bundle.path.rglob("*") if path.is_file())
    with whole_folder(out, RECEIPT_FILE, needs) as folder:
        proof = formats[to](bundle, folder, name)
        receipt = Receipt(
            format=to,
            bundle=bundle.digest,
            input=bundle.recipe.name,
            shape=bundle.recipe.shape,
            decision=bundle.info.decision,
            proof=proof,
        )
        (folder / RECEIPT_FILE).write_text(receipt.model_dump_json(indent=2) + "\n")
    logger.info("exported %s as %s to %s", bundle.digest, to, out)
    return receipt
