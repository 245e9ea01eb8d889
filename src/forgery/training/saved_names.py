"""Names of functions in a SavedModel: TensorFlow adds how many things the process had named before."""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tensorflow.core.framework.attr_value_pb2 import NameAttrList
    from tensorflow.core.framework.graph_pb2 import GraphDef
    from tensorflow.core.protobuf.saved_object_graph_pb2 import SavedObjectGraph

_COUNTER = re.compile(r"_\d+$")


def name_plainly(path: Path) -> None:
    """Name the functions of a `saved_model.pb` by what they are alone, in the order of their names.

    A training that went on from a checkpoint then gives the same file as one that nobody disturbed.
    """
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    model = SavedModel.FromString(path.read_bytes())
    graph = model.meta_graphs[0].graph_def
    names = _plain(sorted((each.signature.name for each in graph.library.function), key=_without_counter))
    _rename_in_graph(graph, names)
    _rename_in_objects(model.meta_graphs[0].object_graph_def, names)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _without_counter(name: str) -> str:
    return _COUNTER.sub("", name)


def _plain(names: list[str]) -> dict[str, str]:
    plain = [_without_counter(name) for name in names]
    pairs = enumerate(zip(names, plain, strict=True))
    return {name: new if plain.count(new) == 1 else f"{new}_{at}" for at, (name, new) in pairs}


def _rename_in_graph(graph: "GraphDef", names: dict[str, str]) -> None:
    functions = graph.library.function
    for node in chain(graph.node, *(each.node_def for each in functions)):
        node.op = names.get(node.op, node.op)
    for called in _called(graph):
        called.name = names.get(called.name, called.name)
    for each in functions:
        each.signature.name = names[each.signature.name]
    functions.sort(key=lambda each: each.signature.name)


def _called(graph: "GraphDef") -> Iterator["NameAttrList"]:
    for node in chain(graph.node, *(each.node_def for each in graph.library.function)):
        for attribute in node.attr.values():
            yield from ([attribute.func] if attribute.HasField("func") else attribute.list.func)


def _rename_in_objects(objects: "SavedObjectGraph", names: dict[str, str]) -> None:
    for old, new in names.items():
        if old in objects.concrete_functions and old != new:
            objects.concrete_functions[new].CopyFrom(objects.concrete_functions[old])
            del objects.concrete_functions[old]
    for node in objects.nodes:
        if node.HasField("function"):
            node.function.concrete_functions[:] = [names[old] for old in node.function.concrete_functions]
        if node.HasField("bare_concrete_function"):
            bare = node.bare_concrete_function
            bare.concrete_function_name = names[bare.concrete_function_name]
