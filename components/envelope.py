"""How every component is declared: on our image, with nothing installed at run time."""

import inspect
from collections.abc import Callable
from typing import Any

from kfp import dsl
from kfp.dsl import base_component

# `localhost/` on purpose: nobody but the cluster's owner can publish under it. `forgery upload --image` and
# `forgery compile --image` put another registry, tag or digest in its place.
TRAIN_IMAGE = "localhost/forgery/train-python:0.1.0"


def envelope(function: Callable[..., Any]) -> base_component.BaseComponent:
    """Make a KFP component of `function`; its docstring becomes what the Kubeflow UI says of each port."""
    component = dsl.component(function, base_image=TRAIN_IMAGE, install_kfp_package=False)
    _describe_outputs(component, function)
    return component


def _describe_outputs(component: base_component.BaseComponent, function: Callable[..., Any]) -> None:
    """KFP reads `Args` for inputs alone, where artifacts that a step writes are told of, too."""
    from docstring_parser import parse

    docstring = parse(inspect.getdoc(function) or "")
    told = {each.arg_name: each.description for each in docstring.params}
    if docstring.returns:
        told["Output"] = docstring.returns.description
    for name, output in (component.component_spec.outputs or {}).items():
        output.description = told.get(name)
