"""Was this picture edited? `python score.py picture.jpg ...` answers with one line of JSON a file.

The bytes of a file are all that is needed: what the model reads of them is computed by the code in `forgery/`, which
belongs to the model as its weights do. In a program:

    from score import Detector

    detector = Detector()
    detector.score(open("picture.jpg", "rb").read())
"""

import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent


class Detector:
    """The model in the folder of this file, its checksums verified, loaded once."""

    def __init__(self, folder: Path = FOLDER) -> None:
        """Load it; LiteRT runs it where it can, else TensorFlow."""
        # The code beside this file made the model's evidence, whichever other is installed.
        sys.path.insert(0, str(folder))
        from forgery.bundle import open_bundle
        from forgery.engine import Engine
        from forgery.scoring import score_pictures

        self._bundle = open_bundle(folder / "bundle")
        self._engine = Engine(self._bundle, kind="auto")
        self._score = score_pictures

    def score(self, encoded: bytes, name: str = "picture") -> dict[str, Any]:
        """Judge a file.

        Args:
            encoded: Its bytes as they are: a picture that was decoded and saved again has lost what is looked for.
            name: Repeated in the answer.

        Returns:
            `file`, `label` (authentic, forged or inconclusive), `probability_forged` (calibrated), `threshold`,
            `model_version`; or `file` and `error`, a sentence, where the bytes are no accepted picture.
        """
        return next(iter(self._score(self._bundle, [(name, encoded)], engine=self._engine))).record()


def main(paths: list[str]) -> int:
    """Score files; returns 0 when all were accepted."""
    if not paths:
        print("usage: python score.py PICTURE ...", file=sys.stderr)
        return 2
    detector = Detector()
    answers = [detector.score(Path(path).read_bytes(), path) for path in paths]
    print("\n".join(map(json.dumps, answers)))
    return int(any("error" in answer for answer in answers))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
