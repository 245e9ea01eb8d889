import pytest
import yaml

from forgery.errors import InvalidConfig
from pipelines.compile import check_image, compile_pipelines


@pytest.mark.parametrize("image", ["forgery", "host:5000/forgery", "forgery:latest", "host:5000/forgery:latest"])
def test_an_image_that_may_change_under_its_name_is_refused(image):
    with pytest.raises(InvalidConfig, match="digest"):
        check_image(image)


@pytest.mark.parametrize("image", ["forgery:1.2", "host:5000/forgery:1.2", "forgery@sha256:" + "0" * 64])
def test_an_image_for_good_is_taken(image):
    assert check_image(image) == image


def test_another_image_replaces_every_step_s(tmp_path):
    (path, *_) = compile_pipelines(tmp_path, "host:5000/forgery:1.2")
    executors = next(yaml.safe_load_all(path.read_text()))["deploymentSpec"]["executors"]
    assert {executor["container"]["image"] for executor in executors.values()} == {"host:5000/forgery:1.2"}
