"""Corrected verdicts in a bucket, from the command to the image set."""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from cli.feedback import app
from forgery.config import DataOptions
from forgery.dataset.ingest import ingest
from forgery.dataset.manifest import read_pictures


def test_a_correction_given_here_is_learnt_from_there(s3_bucket: str, tmp_path: Path) -> None:
    for seed in range(6):
        path = tmp_path / "set" / ("forged" if seed % 2 else "authentic") / f"{seed}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(seed).integers(0, 255, (24, 24, 3), np.uint8)).save(path)
    encoded = io.BytesIO()
    Image.fromarray(np.full((24, 24, 3), 90, np.uint8)).save(encoded, "PNG")
    wrong = tmp_path / "wrong.png"
    wrong.write_bytes(encoded.getvalue())
    place = f"s3://{s3_bucket}/feedback"
    said = ["--label", "authentic", "--by", "anna", "--because", "raw file seen", "--keep-picture", "--to", place]
    added = CliRunner().invoke(app, ["add", str(wrong), *said])
    assert added.exit_code == 0, added.output
    assert "authentic, with the picture" in added.stdout
    listed = CliRunner().invoke(app, ["list", "--to", place, "--json"])
    assert '"note": "learnt from"' in listed.stdout
    ingest(f"{tmp_path / 'set'} + feedback:{place}", tmp_path / "image_set", DataOptions(), seed=0)
    assert "corrected verdict" in {row.manipulation for row in read_pictures(tmp_path / "image_set")}
