"""Features of what a picture shows: the network as published, from a checkpoint that is read without PyTorch."""

import pickle
from collections import OrderedDict

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from skimage import data

from forgery.errors import InvalidConfig
from forgery.recipes import content, parse_recipe
from forgery.recipes.blocks import BlocksRecipe
from forgery.recipes.checkpoint import read_checkpoint
from forgery.recipes.content import CHANNELS, content_features

FEATURES = slice(64, 64 + CHANNELS)  # among the channels of the recipe


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    return Image.fromarray(data.astronaut()).resize((384, 256), Image.Resampling.LANCZOS)


def test_the_network_is_the_published_one() -> None:
    """With the rest of its weights it says that a photograph of a cat shows a cat (ImageNet's classes 281 to 285)."""
    weights = content._weights()
    cat = cv2.resize(data.chelsea()[:, 75:375], (content._SIDE_PX, content._SIDE_PX), interpolation=cv2.INTER_AREA)
    features = np.stack(list(content_features(cat))[-112:])
    for index in range(11, 16):
        block = content._block(weights, index)
        # Of the blocks that are not taken one halves too.
        whole = content._Block(block.expand, block.depthwise, block.project, stride=2 if index == 11 else 1)
        features = content._through(whole, features)
    head = content._bounded(content._mixed(features, content._folded(weights, "_conv_head", "_bn1")))
    logits = weights["_fc.weight"] @ head.mean(axis=(1, 2)) + weights["_fc.bias"]
    assert int(logits.argmax()) in range(281, 286)


def test_convolutions_agree_with_tensorflow() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(6, 16, 16)).astype(np.float32)
    for size, stride in ((3, 1), (3, 2), (5, 1), (5, 2)):
        by = content._Convolution(
            random.normal(size=(6, 1, size, size)).astype(np.float32), random.normal(size=6).astype(np.float32)
        )
        expected = tf.nn.depthwise_conv2d(
            features.transpose(1, 2, 0)[None], by.weights.transpose(2, 3, 0, 1), (1, stride, stride, 1), "SAME"
        )
        expected = tf.nn.relu6(expected + by.bias).numpy()[0].transpose(2, 0, 1)
        np.testing.assert_allclose(content._filtered(features, by, stride), expected, atol=1e-4)


def test_features_join_the_other_evidence_before_self_matches(photograph: Image.Image) -> None:
    plain, whole = (BlocksRecipe(content=each).compute(photograph) for each in (False, True))
    assert whole.shape == BlocksRecipe(content=True).shape
    np.testing.assert_array_equal(np.delete(whole, np.r_[FEATURES], axis=2), plain)
    features = whole[:, :, FEATURES].astype(np.float32)
    # Standardised within the picture; a channel that is zero everywhere stays at the mean's code.
    np.testing.assert_allclose(features.mean(axis=(0, 1)), 128, atol=2)
    assert np.median(features.std(axis=(0, 1))) == pytest.approx(32, abs=2)


def test_an_object_stands_out(photograph: Image.Image) -> None:
    """Features of a square pasted into even ground differ from those around it."""
    pixels = np.full((256, 384, 3), 90, np.uint8)
    pixels[96:160, 160:224] = np.asarray(photograph)[60:124, 150:214]
    found = BlocksRecipe(content=True, matches=False).compute(Image.fromarray(pixels))[:, :, FEATURES]
    away = np.abs(found.astype(np.float32) - 128).mean(axis=2)
    assert away[18:30, 20:28].mean() > 2 * away[:12].mean()


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 3), (640, 480)])
def test_any_size_gives_the_shape(photograph: Image.Image, size: tuple[int, int]) -> None:
    found = BlocksRecipe(cells=16, content=True, matches=False).compute(photograph.resize(size))
    assert found.shape == (16, 16, 64 + CHANNELS)


def test_says_which_package_is_missing(photograph: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "PACKAGE", "no_such_package")
    content._network.cache_clear()
    with pytest.raises(InvalidConfig, match=r"no-such-package.*forgery\[content\]"):
        parse_recipe("blocks2_48_content").compute(photograph)
    content._network.cache_clear()


def _checkpoint(shape: tuple[int, ...], steps: tuple[int, ...], values: bytes, function: str = "") -> bytes:
    """A file as `torch.save` wrote it, of one array `a`, written with opcodes since PyTorch is not there."""
    name = (function or "torch._utils\n_rebuild_tensor_v2\n").encode()
    key = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06tQ"

    def numbers(of: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"K" + bytes([each]) for each in of) + b"t"

    arguments = (
        b"(" + key + b"K\x00" + numbers(shape) + numbers(steps) + b"\x89" + b"ccollections\nOrderedDict\n)R" + b"t"
    )
    state = b"\x80\x02ccollections\nOrderedDict\n)RX\x01\x00\x00\x00ac" + name + arguments + b"Rs."
    head = [pickle.dumps(each, 2) for each in (0x1950A86A20F9469CFC6C, 1001, OrderedDict())]
    return b"".join([*head, state, pickle.dumps(["0"], 2), (6).to_bytes(8, "little"), values])


VALUES = np.arange(6, dtype="<f4").tobytes()


@pytest.mark.parametrize(("steps", "expected"), [((3, 1), [[0, 1, 2], [3, 4, 5]]), ((1, 2), [[0, 2, 4], [1, 3, 5]])])
def test_reads_arrays_in_the_order_they_have(steps: tuple[int, ...], expected: list[list[int]]) -> None:
    np.testing.assert_array_equal(read_checkpoint(_checkpoint((2, 3), steps, VALUES))["a"], expected)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 of a later format",
        pickle.dumps({"a": 1}),
        _checkpoint((2, 3), (3, 1), VALUES[:-1]),
        _checkpoint((3, 3), (3, 1), VALUES),
        _checkpoint((2, 3), (3, 1), VALUES, "os\nsystem\n"),
    ],
)
def test_refuses_what_is_no_checkpoint(content: bytes) -> None:
    with pytest.raises(ValueError, match="not a checkpoint"):
        read_checkpoint(content)
