"""How every component is declared: on our image, with nothing installed at run time."""

from collections.abc import Callable
from typing import Any

from kfp import dsl
from kfp.dsl import base_component

# `localhost/` on purpose: nobody but the cluster's owner can publish under it. `forgery upload --image` and
# `forgery compile --image` put another registry, tag or digest in its place.
TRAIN_IMAGE = "localhost/forgery/train-python:0.1.0"


def envelope(function: Callable[..., Any]) -> base_component.BaseComponent:
    """Make a KFP component of `function`; its docstring becomes the description the Kubeflow UI shows."""
    return dsl.component(function, base_image=TRAIN_IMAGE, install_kfp_package=False)
