from pathlib import Path

import pytest

from forgery.errors import StorageError
from forgery.s3 import s3_client
from forgery.training.weights import find_weights


def test_weights_come_from_a_bucket(s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "made.h5").write_bytes(b"weights")
    s3_client().fput_object(s3_bucket, "some/a.weights.h5", str(tmp_path / "made.h5"))
    found = find_weights(f"s3://{s3_bucket}/some/a.weights.h5")
    assert found.read_bytes() == b"weights"
    assert found.name.endswith("-a.weights.h5")
    with pytest.raises(StorageError, match=r"missing\.h5"):
        find_weights(f"s3://{s3_bucket}/missing.h5")
