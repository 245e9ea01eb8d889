"""The one place that imports the KServe SDK.

Importing it parses the command line of whatever process imports it; so it is shown an empty one. It also loads data
frames and a client of the cluster: half of a server's memory and of its start, for functions that no server calls.
"""

import logging
import sys

from serving.absent import absent

_UNUSED = ("pandas", "kubernetes", "kubernetes.client", "kubernetes.config", "kubernetes.client.rest")

_arguments = sys.argv
sys.argv = sys.argv[:1]
try:
    with absent(*_UNUSED):
        from kserve import InferInput, InferRequest, InferResponse, Model, ModelServer
        from kserve.errors import (
            InferenceError,
            InvalidInput,
            ModelNotFound,
            ModelNotReady,
            ServerNotLive,
            ServerNotReady,
        )
        from kserve.protocol.dataplane import DataPlane
        from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
        from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import (
            GRPCInferenceServiceStub,
            add_GRPCInferenceServiceServicer_to_server,
        )
        from kserve.protocol.grpc.servicer import InferenceServicer
        from kserve.protocol.infer_type import InferOutput, RequestedOutput
        from kserve.protocol.rest.v2_datamodels import (
            InferenceRequest,
            InferenceResponse,
            ModelMetadataResponse,
            ModelReadyResponse,
        )
        from kserve.protocol.rest.v2_endpoints import V2Endpoints
finally:
    sys.argv = _arguments

# A handler of its own keeps the SDK from configuring logging for the whole process; its records go nowhere else
# because they quote requests.
logging.getLogger("kserve").addHandler(logging.NullHandler())
logging.getLogger("kserve").propagate = False
logging.getLogger("kserve.trace").propagate = False

__all__ = [
    "DataPlane",
    "GRPCInferenceServiceStub",
    "InferInput",
    "InferOutput",
    "InferRequest",
    "InferResponse",
    "InferenceError",
    "InferenceRequest",
    "InferenceResponse",
    "InferenceServicer",
    "InvalidInput",
    "Model",
    "ModelMetadataResponse",
    "ModelNotFound",
    "ModelNotReady",
    "ModelReadyResponse",
    "ModelServer",
    "RequestedOutput",
    "ServerNotLive",
    "ServerNotReady",
    "V2Endpoints",
    "add_GRPCInferenceServiceServicer_to_server",
    "pb",
]
