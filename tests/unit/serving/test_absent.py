"""What a server never uses is not loaded by importing the SDK, and can still be imported."""

import subprocess
import sys

import pytest

from serving.absent import absent


def test_a_stand_in_lasts_as_long_as_the_block() -> None:
    with absent("no_such_package", "no_such_package.part"):
        import no_such_package
        from no_such_package.part import Thing

        assert not isinstance(1, no_such_package.Frame)
        assert isinstance(Thing, type)
    with pytest.raises(ModuleNotFoundError):
        import no_such_package.part


def test_what_is_loaded_already_stays() -> None:
    import json

    with absent("json"):
        assert sys.modules["json"] is json
    assert sys.modules["json"] is json


@pytest.mark.parametrize("server", ["serving.transformer", "serving.predictor"])
def test_a_server_loads_neither_data_frames_nor_a_cluster_client_nor_tensorflow(server: str) -> None:
    heavy = ("pandas", "pyarrow", "kubernetes", "tensorflow", "keras", "sklearn", "mlflow")
    script = f"import sys, {server}; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_real_ones_can_be_imported_afterwards() -> None:
    script = "import serving.sdk, pandas, kubernetes.client; print(pandas.DataFrame([1]).size, kubernetes.client.V1Pod)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "1 <class 'kubernetes.client.models.v1_pod.V1Pod'>"
