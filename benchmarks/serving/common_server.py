"""How a detector is most often put behind HTTP, for comparison: an upload to a temporary file, `keras.Model.predict`.

Its evidence is computed by the same code as ours, so that what differs is the serving alone.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Annotated

import keras
import numpy as np
import uvicorn
from fastapi import FastAPI, File, UploadFile

from forgery.recipes import evidence, parse_recipe


def build_app(model: Path, recipe_name: str) -> FastAPI:
    """One route, `POST /predict`, that takes the form field `file`."""
    import forgery.training.dense  # noqa: F401  # its layer is part of the saved network

    app = FastAPI()
    network = keras.saving.load_model(model, compile=False)
    recipe = parse_recipe(recipe_name)

    @app.post("/predict")
    def predict(file: Annotated[UploadFile, File()]) -> dict[str, float | str]:
        with tempfile.NamedTemporaryFile(suffix=".jpg") as uploaded:
            uploaded.write(file.file.read())
            uploaded.flush()
            maps = evidence(Path(uploaded.name).read_bytes(), recipe)[None]
        logit = float(network.predict(maps, verbose=0)[0, 0])
        probability = float(1 / (1 + np.exp(-logit)))
        return {"label": "forged" if probability >= 0.5 else "authentic", "confidence": probability}

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    return app


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--port", type=int, required=True)
    chosen = parser.parse_args()
    uvicorn.run(build_app(chosen.model, chosen.recipe), host="127.0.0.1", port=chosen.port, log_level="warning")


if __name__ == "__main__":
    main()
