import pytest

from cli.settings import read_config
from forgery.config import RunConfig
from forgery.errors import InvalidConfig


def test_no_settings_are_the_defaults():
    assert read_config(None, []) == RunConfig()


def test_an_assignment_beats_the_file_and_the_file_beats_the_places(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("seed: 1\nbundles: s3://from-file\ntraining:\n  epochs: 4\n  dropout: 0.5\n")
    config = read_config(file, ["training.epochs=9"], {"bundles": "file:///x", "service": "local:/y"})
    assert (config.seed, config.bundles, config.service) == (1, "s3://from-file", "local:/y")
    assert (config.training.epochs, config.training.dropout) == (9, 0.5)


def test_values_are_read_as_yaml():
    config = read_config(
        None, ["variants=[q75, x50q85]", "weights=", "training.flips=false", "recipe=ela1_q90_stretch_64_box"]
    )
    assert config.variants == ["q75", "x50q85"]
    assert config.weights == ""
    assert config.training.flips is False


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("bakbone=cnn", "unknown parameter 'bakbone'; known: source, recipe"),
        ("training.epoch=3", "unknown parameter 'training.epoch'; known: epochs, head_epochs"),
        ("backbone=resnet", "'cnn', 'mobilenet_v2'"),
        ("recipe=ela9", "of no known kind; known: "),
        ("variants=[matched, glued]", "variant 'glued' is none; accepted are q<quality"),
        ("recipe=ela1_q090_gain15_224_bilinear", "write 'ela1_q90_gain15_224_bilinear'"),
        ("training.epochs=0", "training.epochs: input should be greater than or equal to 1 (got 0)"),
        ("data.test_fraction=1.5", "less than 1"),
        ("training.objective=f2", "objective 'f2' is unknown; known: macro_f1, f1, balanced_accuracy"),
        ("epochs", "not of the form key=value"),
        ("seed.x=1", "seed: input should be a valid integer"),
        ("variants=[q75", "no YAML"),
    ],
)
def test_a_wrong_assignment_is_refused_with_what_is_accepted(assignment, said):
    with pytest.raises(InvalidConfig) as refused:
        read_config(None, [assignment])
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [", "\x00"])
def test_a_file_that_holds_no_parameters_is_refused(tmp_path, content):
    file = tmp_path / "run.yaml"
    file.write_text(content)
    with pytest.raises(InvalidConfig, match=r"run\.yaml"):
        read_config(file, [])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InvalidConfig, match="No such file"):
        read_config(tmp_path / "none.yaml", [])
