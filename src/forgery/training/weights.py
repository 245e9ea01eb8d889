"""Start weights of a backbone: from Keras, a file, a URI, or an installed package."""

import hashlib
import importlib.resources
import importlib.util
import os
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

import keras

from forgery.errors import InvalidConfig, StorageError
from forgery.recipes import Recipe
from forgery.training.backbones import BACKBONE_LAYER, build_network, find_backbone

IMAGENET = "imagenet"
_PACKAGE = "package:"
_SUFFIXES = (".weights.h5", ".h5", ".keras")
_WAYS_OUT = "a path, a file://, s3:// or http(s):// URI, or package:NAME/FILE"
_TIMEOUT_S = 30


def start_network(backbone: str, weights: str, recipe: Recipe, dropout: float) -> keras.Model:
    """Build a network and give its backbone its start weights.

    Args:
        backbone: One of `BACKBONES`.
        weights: Empty for random ones; `imagenet` for those Keras publishes; else a path, a `file://`, `s3://` or
            `http(s)://` URI, or `package:NAME/FILE`, of weights without top (`.weights.h5`, `.h5`) or a whole
            network (`.keras`, `model.keras` of a bundle too).
        recipe: Gives the input.
        dropout: Of the head.

    Returns:
        An uncompiled network; with any weights its batch norm is frozen, see `build_network`. `cnn` is small enough
        to be trained whole, so its batch norm is free.

    Raises:
        InvalidConfig: No such file or package, or weights of another network.
        StorageError: A download failed.
    """
    pretrained = bool(weights) and find_backbone(backbone).imagenet
    if weights == IMAGENET:
        return _imagenet_network(backbone, recipe, dropout)
    network = build_network(backbone, recipe, dropout, frozen_norm=pretrained)
    if weights:
        _load(network, find_weights(weights), backbone)
    return network


def _imagenet_network(backbone: str, recipe: Recipe, dropout: float) -> keras.Model:
    if not find_backbone(backbone).imagenet:
        raise InvalidConfig(f"there are no ImageNet weights for backbone {backbone}; leave weights empty")
    try:
        return build_network(backbone, recipe, dropout, keras_weights=IMAGENET, frozen_norm=True)
    except InvalidConfig:
        raise
    except Exception as error:  # Keras raises a bare Exception when its download fails
        raise StorageError(
            f"the ImageNet weights of {backbone} cannot be downloaded ({type(error).__name__}); "
            f"without internet give weights as {_WAYS_OUT}"
        ) from error


def find_weights(weights: str) -> Path:
    """The local file behind a path, URI or `package:NAME/FILE`, downloaded where need be.

    Downloads are kept below `$XDG_CACHE_HOME/forgery/weights` (`~/.cache` by default) under the hash of their URI and
    not looked up again.

    Raises:
        InvalidConfig: There is no such file or package, or it is of no known kind.
        StorageError: A download failed.
    """
    if weights.startswith(_PACKAGE):
        path = _in_package(weights)
    elif weights.startswith(("s3://", "http://", "https://")):
        path = _downloaded(weights)
    else:
        path = Path(unquote(urlsplit(weights).path) if weights.startswith("file://") else weights).expanduser()
    if not path.name.endswith(_SUFFIXES):
        raise InvalidConfig(f"weights {weights} are of no known kind; accepted are files *{', *'.join(_SUFFIXES)}")
    if not path.is_file():
        raise InvalidConfig(f"there are no weights at {weights}; accepted are {_WAYS_OUT}")
    return path


def _in_package(weights: str) -> Path:
    package, _, file = weights.removeprefix(_PACKAGE).partition("/")
    if not package.isidentifier() or not file:
        raise InvalidConfig(f"weights from a package are written package:NAME/FILE; got {weights}")
    if importlib.util.find_spec(package) is None:
        raise InvalidConfig(f"weights {weights}: no package {package} is installed")
    resource = importlib.resources.files(package).joinpath(file)
    # A package inside a zip has no paths; Keras needs one.
    return resource if isinstance(resource, Path) else _copied(weights, resource.read_bytes())


def _cached(weights: str) -> Path:
    name = Path(urlsplit(weights).path).name
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "forgery" / "weights"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be made; set XDG_CACHE_HOME to a folder that can be written") from error
    return folder / f"{hashlib.sha256(weights.encode()).hexdigest()[:16]}-{name}"


def _copied(weights: str, content: bytes) -> Path:
    target = _cached(weights)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as partial:
        partial.write(content)
    Path(partial.name).replace(target)
    return target


def _downloaded(uri: str) -> Path:
    target = _cached(uri)
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            partial = Path(folder) / target.name
            (_fetch_s3 if uri.startswith("s3://") else _fetch_http)(uri, partial)
            partial.replace(target)
    return target


def _fetch_s3(uri: str, target: Path) -> None:
    from forgery.s3 import s3_client, s3_errors, split_uri

    bucket, key = split_uri(uri)
    with s3_errors(f"reading weights {uri}"):
        s3_client().fget_object(bucket, key, str(target))


def _fetch_http(uri: str, target: Path) -> None:
    import httpx

    try:
        with httpx.stream("GET", uri, follow_redirects=True, timeout=_TIMEOUT_S) as response, target.open("wb") as file:
            response.raise_for_status()
            for chunk in response.iter_bytes():
                file.write(chunk)
    except httpx.HTTPStatusError as error:
        raise StorageError(f"weights {uri}: the server answers {error.response.status_code}") from error
    except httpx.HTTPError as error:
        raise StorageError(f"weights {uri} cannot be downloaded ({type(error).__name__})") from error


def _load(network: keras.Model, path: Path, backbone: str) -> None:
    extractor = network.get_layer(BACKBONE_LAYER)
    try:
        if path.suffix == ".keras":
            extractor.set_weights(_saved_backbone(path))
        else:
            extractor.load_weights(path)
    except Exception as error:  # Keras and h5py raise ValueError, OSError, KeyError, TypeError, ...
        height, width, channels = extractor.input_shape[1:]
        raise InvalidConfig(
            f"{path.name} holds no weights of backbone {backbone} without top for maps {height}x{width}x{channels} "
            f"({_first_line(error)})"
        ) from error


def _saved_backbone(path: Path) -> list[keras.KerasTensor]:
    saved = keras.saving.load_model(path, compile=False)
    names = {layer.name for layer in saved.layers}
    return (saved.get_layer(BACKBONE_LAYER) if BACKBONE_LAYER in names else saved).get_weights()  # type: ignore[no-any-return]


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__
