"""A folder for the Hugging Face Hub: the bundle, its card, and code that scores a picture from its bytes.

<folder>/
  README.md          metadata of the Hub, how to use it, the bundle's model card
  score.py           `python score.py picture.jpg`
  handler.py         for Inference Endpoints
  requirements.txt   versions it was proven with
  bundle/            the bundle as it was sealed
  forgery/           the code that computes its evidence
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from forgery.bundle import CARD_FILE, GOLDEN, Bundle
from forgery.engine import PROBABILITY
from forgery.errors import ExportFailed
from forgery.exports import published
from forgery.exports.extra import need
from forgery.exports.proof import Proof
from forgery.exports.travelling import REQUIREMENTS, copy_library, engine_of, pinned
from forgery.golden import PICTURE_FILE, TOLERANCE, read_golden

CARD = "README.md"
_CODE = ("score.py", "handler.py")
_LIMIT_S = 300
_TAGS = ("image-forensics", "image-forgery-detection", "image-manipulation-detection")


def write(bundle: Bundle, folder: Path, name: str) -> Proof:
    """Fill the folder, then score the golden picture with it in a process of its own."""
    need("a folder for the Hub", "huggingface_hub", "jinja2")
    shutil.copytree(bundle.path, folder / "bundle")
    copy_library(folder)
    for file in _CODE:
        shutil.copyfile(Path(published.__path__[0]) / file, folder / file)
    engine, requirement = engine_of(bundle)
    (folder / "requirements.txt").write_text(pinned(*REQUIREMENTS) + requirement)
    (folder / CARD).write_text(_card(bundle, name))
    return _prove(bundle, folder, engine)


def _card(bundle: Bundle, name: str) -> str:
    from forgery.reports import render

    # One level down: the page has a title of its own.
    card = re.sub(r"^#", "##", (bundle.path / CARD_FILE).read_text(), flags=re.MULTILINE)
    return render(
        "huggingface.md.j2",
        metadata=_metadata(bundle, name),
        name=name,
        info=bundle.info,
        digest=bundle.digest,
        card=card,
    )


def _metadata(bundle: Bundle, name: str) -> str:
    """YAML of the card's head. No licence: whose pictures a model was trained on is for its owner to weigh."""
    from huggingface_hub import EvalResult, ModelCardData

    headline = bundle.info.headline
    results = headline and [
        EvalResult(
            task_type="image-classification",
            dataset_type=bundle.info.lineage.dataset_digest,
            dataset_name="pictures of its own data set that training never saw",
            dataset_split=headline.split,
            metric_type=headline.metric,
            metric_value=round(headline.value, 4),
            metric_name=f"{headline.metric}, {' and '.join(headline.views)} copies",
        )
    ]
    data = ModelCardData(
        pipeline_tag="image-classification",
        tags=[*_TAGS, bundle.info.backbone],
        model_name=name,
        eval_results=results or None,
    )
    return data.to_yaml().strip()


def _prove(bundle: Bundle, folder: Path, engine: str) -> Proof:
    picture = folder / "bundle" / GOLDEN / PICTURE_FILE
    command = [sys.executable, "-B", "score.py", str(picture)]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
        found = float(json.loads(done.stdout)["probability_forged"])
    except subprocess.TimeoutExpired as error:
        raise ExportFailed(f"score.py gave no answer within {_LIMIT_S} s") from error
    except (ValueError, KeyError) as error:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing"]
        raise ExportFailed(f"score.py cannot score the golden picture in the exported folder: {said[-1]}") from error
    difference = abs(found - read_golden(bundle).expected.probability_forged)
    # Written so that NaN fails too.
    if not difference <= TOLERANCE:
        raise ExportFailed(f"score.py is off by {difference:.1e} on the golden picture: nothing was written")
    runtime = f"score.py in a process of its own, with {engine},"
    return Proof(runtime=runtime, maps=1, largest_difference={PROBABILITY: difference})
