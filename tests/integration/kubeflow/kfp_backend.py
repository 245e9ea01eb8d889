"""A Kubeflow Pipelines server in memory, on a socket: strict about what it is sent, and able to fail on demand.

What it checks beyond the models is what the 2.17 backend checks (backend/src/apiserver): unique names of pipelines and
of versions within one, known references, declared parameters, cron of five or six fields, concurrency of 1 to 10.
"""

import base64
import email
import email.policy
import json
import socket
import struct
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import kfp_server_api as models
import yaml
from kfp_contract import Malformed, Operation, operations, read, write

PAGE_SIZE = 20


class Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Fault:
    """The next `times` calls of `operation` answer `status`; or are cut off before or after they are carried out."""

    operation: str
    times: int = 1
    status: int = 0
    cut: str = ""  # before | after
    delay_s: float = 0.0


@dataclass
class Backend:
    """The server's state, and what tests may set."""

    multi_user: bool = False
    token: str = ""
    faults: list[Fault] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    pipelines: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)
    experiments: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, Any] = field(default_factory=dict)
    recurring_runs: dict[str, Any] = field(default_factory=dict)
    # Called with the run before each answer of get_run: how a test lets a run go on.
    play: Callable[[Any], None] = lambda run: None
    logs: dict[str, str] = field(default_factory=dict)  # by the pod's name, or by the node's id once archived
    ui_logs: dict[str, str] = field(default_factory=dict)
    behind_ui: bool = False  # the UI passes on the paths of the generated client alone
    login_page: bool = False
    url: str = ""
    # The real server's names are unique in its database, however many ask at once.
    transaction: Any = field(default_factory=threading.Lock, repr=False)

    def answer(self, operation: Operation, path: dict[str, str], query: dict[str, str], body: Any) -> Any:
        if unknown := set(query) - operation.query:
            raise Malformed(f"unknown query parameter {sorted(unknown)[0]!r} of {operation.name}")
        call = getattr(self, operation.name, None)
        if call is None:
            raise Refused(501, f"the double does not know {operation.name}")
        arguments: dict[str, Any] = {**path, **query}
        if operation.body:
            arguments["body"] = read(operation.body, body)
        return write(call(**arguments))

    # -- what the client's operations do -------------------------------------------------------------------------

    def healthz_service_get_healthz(self) -> Any:
        return models.V2beta1GetHealthzResponse(multi_user=self.multi_user, pipeline_store="database")

    def pipeline_service_create_pipeline(self, body: Any) -> Any:
        self._check_namespace(body.namespace)
        if any(other.name == body.name for other in self.pipelines.values()):
            raise Refused(409, f"Already exist error: a pipeline with the name {body.name} already exists")
        body.pipeline_id, body.created_at = _new_id(), _now()
        body.display_name = body.display_name or body.name
        return self.pipelines.setdefault(body.pipeline_id, body)

    def pipeline_service_list_pipelines(self, **query: str) -> Any:
        self._check_namespace(query.get("namespace"))
        page, token, total = _page(self.pipelines, query)
        return models.V2beta1ListPipelinesResponse(pipelines=page, next_page_token=token, total_size=total)

    def upload_pipeline_version(self, file: bytes, name: str, pipelineid: str, description: str = "") -> Any:
        self._known(self.pipelines, pipelineid, "pipeline")
        mine = [version for version in self.versions.values() if version.pipeline_id == pipelineid]
        if any(version.name == name for version in mine):
            raise Refused(409, "Failed to create a pipeline version")
        version = models.V2beta1PipelineVersion(
            pipeline_id=pipelineid,
            pipeline_version_id=_new_id(),
            name=name,
            display_name=name,
            description=description,
            created_at=_now(),
            pipeline_spec=_spec(file),
        )
        return self.versions.setdefault(version.pipeline_version_id, version)

    def pipeline_service_list_pipeline_versions(self, pipeline_id: str, **query: str) -> Any:
        mine = {key: version for key, version in self.versions.items() if version.pipeline_id == pipeline_id}
        page, token, total = _page(mine, query)
        return models.V2beta1ListPipelineVersionsResponse(
            pipeline_versions=page, next_page_token=token, total_size=total
        )

    def pipeline_service_get_pipeline_version(self, pipeline_id: str, pipeline_version_id: str) -> Any:
        self._known(self.pipelines, pipeline_id, "pipeline")
        return self._known(self.versions, pipeline_version_id, "pipeline version")

    def experiment_service_create_experiment(self, body: Any) -> Any:
        self._check_namespace(body.namespace)
        if any(other.display_name == body.display_name for other in self.experiments.values()):
            raise Refused(409, f"Already exist error: an experiment with the name {body.display_name} already exists")
        body.experiment_id, body.created_at = _new_id(), _now()
        return self.experiments.setdefault(body.experiment_id, body)

    def experiment_service_list_experiments(self, **query: str) -> Any:
        self._check_namespace(query.get("namespace"))
        page, token, total = _page(self.experiments, query)
        return models.V2beta1ListExperimentsResponse(experiments=page, next_page_token=token, total_size=total)

    def run_service_create_run(self, body: Any, experiment_id: str = "") -> Any:
        self._check_start(body)
        body.run_id, body.created_at, body.state = _new_id(), _now(), "PENDING"
        body.storage_state = "AVAILABLE"
        return self.runs.setdefault(body.run_id, body)

    def run_service_get_run(self, run_id: str, experiment_id: str = "") -> Any:
        run = self._known(self.runs, run_id, "run")
        self.play(run)
        return run

    def run_service_list_runs(self, experiment_id: str = "", **query: str) -> Any:
        if not experiment_id:
            self._check_namespace(query.get("namespace"))
        runs = {key: run for key, run in self.runs.items() if experiment_id in ("", run.experiment_id)}
        page, token, total = _page(runs, query)
        return models.V2beta1ListRunsResponse(runs=page, next_page_token=token, total_size=total)

    def recurring_run_service_create_recurring_run(self, body: Any) -> Any:
        self._check_start(body)
        _check_trigger(body.trigger)
        if not 1 <= int(body.max_concurrency or 0) <= 10:
            raise Refused(400, "The max concurrency of the recurring run is out of range. Support 1-10.")
        body.recurring_run_id, body.created_at = _new_id(), _now()
        body.status = "ENABLED" if body.mode == "ENABLE" else "DISABLED"
        return self.recurring_runs.setdefault(body.recurring_run_id, body)

    def recurring_run_service_list_recurring_runs(self, experiment_id: str = "", **query: str) -> Any:
        if not experiment_id:
            self._check_namespace(query.get("namespace"))
        page, token, total = _page(self.recurring_runs, query)
        return models.V2beta1ListRecurringRunsResponse(recurring_runs=page, next_page_token=token, total_size=total)

    def recurring_run_service_enable_recurring_run(self, recurring_run_id: str) -> Any:
        self._known(self.recurring_runs, recurring_run_id, "recurring run").status = "ENABLED"
        return {}

    def recurring_run_service_disable_recurring_run(self, recurring_run_id: str) -> Any:
        self._known(self.recurring_runs, recurring_run_id, "recurring run").status = "DISABLED"
        return {}

    def recurring_run_service_delete_recurring_run(self, recurring_run_id: str) -> Any:
        self._known(self.recurring_runs, recurring_run_id, "recurring run")
        del self.recurring_runs[recurring_run_id]
        return {}

    # -- rules ---------------------------------------------------------------------------------------------------

    def _check_start(self, body: Any) -> None:
        if not body.display_name:
            raise Refused(400, "The run name is empty. Please specify a valid name")
        self._known(self.experiments, body.experiment_id, "experiment")
        reference = body.pipeline_version_reference
        if bool(reference) == bool(body.pipeline_spec):
            raise Refused(400, "Either a pipeline version or a pipeline spec is needed")
        version = self._known(self.versions, reference.pipeline_version_id, "pipeline version")
        if version.pipeline_id != reference.pipeline_id:
            raise Refused(400, f"Pipeline version {version.pipeline_version_id} belongs to another pipeline")
        spec = version.pipeline_spec.get("pipeline_spec", version.pipeline_spec)
        declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
        given = (body.runtime_config and body.runtime_config.parameters) or {}
        if undeclared := set(given) - set(declared):
            raise Refused(400, f"parameter(s) provided are not required or optional: {sorted(undeclared)}")

    def _check_namespace(self, namespace: str | None) -> None:
        if self.multi_user and not namespace:
            raise Refused(400, "Invalid input error: In multi-user mode, a namespace must be given")

    def _known(self, things: dict[str, Any], key: str, kind: str) -> Any:
        if key not in things:
            raise Refused(404, f"ResourceNotFoundError: {kind} {key} not found")
        return things[key]


def serve(backend: Backend) -> ThreadingHTTPServer:
    """Start it on a free loopback port; `backend.url` says where. End it by `shutdown` and `server_close`."""
    routes = operations()

    class Handler(_Handler):
        def dispatch(self) -> None:
            _Exchange(self, backend, routes).answer()

    server = _Server(("127.0.0.1", 0), Handler)
    backend.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that did not wait for the answer is none of the server's business."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body in one packet: 40 ms less for each answer

    def dispatch(self) -> None:
        raise NotImplementedError

    def do_GET(self) -> None:
        self.dispatch()

    do_POST = do_DELETE = do_PATCH = do_GET  # noqa: N815

    def log_message(self, format: str, *arguments: Any) -> None:
        return


class _Exchange:
    """One request and its answer."""

    def __init__(self, handler: _Handler, backend: Backend, routes: list[Operation]) -> None:
        self._handler, self._backend, self._routes = handler, backend, routes
        self._url = urlsplit(handler.path)
        self._query = dict(parse_qsl(self._url.query))
        self._raw = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))

    def answer(self) -> None:
        for operation in self._routes:
            match = operation.path.fullmatch(self._url.path)
            if match and operation.method == self._handler.command:
                self._call(operation, {key: unquote(value) for key, value in match.groupdict().items()})
                return
        self._beside_the_api()

    def _call(self, operation: Operation, path: dict[str, str]) -> None:
        self._backend.calls.append(operation.name)
        fault = self._fault(operation.name)
        if fault and fault.delay_s:
            time.sleep(fault.delay_s)
        if fault and fault.cut == "before":
            self._cut()
            return
        if fault and fault.status:
            self._say(fault.status, {"error": "injected", "code": 13, "message": f"injected {fault.status}"})
            return
        status, values = self._carry_out(operation, path)
        if fault and fault.cut == "after":
            self._cut()
            return
        self._say(status, values)

    def _carry_out(self, operation: Operation, path: dict[str, str]) -> tuple[int, Any]:
        if self._backend.login_page:
            return 200, "<html>log in</html>"
        if self._backend.token and self._handler.headers.get("authorization") != f"Bearer {self._backend.token}":
            return 401, {"error": "Unauthenticated", "code": 16, "message": "Failed to authorize with API"}
        try:
            with self._backend.transaction:
                if operation.name == "upload_pipeline_version":
                    return 200, write(self._backend.upload_pipeline_version(self._uploaded(), **self._query))
                body = json.loads(self._raw) if self._raw else None
                return 200, self._backend.answer(operation, path, self._query, body)
        except (Malformed, TypeError, ValueError) as error:
            self._backend.refusals.append(f"{operation.name}: {error}")
            return 400, {"error": str(error), "code": 3, "message": str(error)}
        except Refused as error:
            key = "error_message" if operation.name.startswith("upload") else "message"
            return error.status, {key: str(error), "code": 3}

    def _uploaded(self) -> bytes:
        header = f"Content-Type: {self._handler.headers['Content-Type']}\n\n".encode()
        message = email.message_from_bytes(header + self._raw, policy=email.policy.HTTP)
        parts = {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}
        if set(parts) != {"uploadfile"}:
            raise Malformed(f"the form has {sorted(map(str, parts))}, not uploadfile")
        if not str(parts["uploadfile"].get_filename()).endswith((".yaml", ".yml", ".zip", ".tar.gz")):
            raise Malformed("unexpected pipeline file format")
        return parts["uploadfile"].get_payload(decode=True)

    def _beside_the_api(self) -> None:
        """Logs; every other path gets the UI's page, with status 200, as single-page applications do."""
        parts = self._url.path.split("/")
        of_pod = parts[1:4] == ["apis", "v1alpha1", "runs"] and parts[5:6] == ["nodes"] and parts[7:] == ["log"]
        if of_pod and not self._backend.behind_ui:
            text = self._backend.logs.get(parts[6])
            self._say(*((200, text, "text/plain") if text is not None else (500, {"error_message": "no such pod"})))
        elif self._url.path == "/k8s/pod/logs":
            text = self._backend.ui_logs.get(self._query.get("podname", ""))
            self._say(*((200, text, "text/plain") if text is not None else (500, "Could not get main container logs")))
        else:
            self._say(200, "<html>Kubeflow Pipelines</html>", "text/html")

    def _fault(self, name: str) -> Fault | None:
        for fault in self._backend.faults:
            if fault.operation == name and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def _say(self, status: int, values: Any, kind: str = "application/json") -> None:
        text = values if isinstance(values, str) else json.dumps(values)
        data = text.encode()
        self._handler.send_response(status)
        self._handler.send_header("Content-Type", "text/html" if text.startswith("<html>") else kind)
        self._handler.send_header("Content-Length", str(len(data)))
        self._handler.end_headers()
        self._handler.wfile.write(data)

    def _cut(self) -> None:
        # With a linger time of zero, closing sends a reset.
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._handler.close_connection = True
        self._handler.connection.close()


def _page(things: dict[str, Any], query: dict[str, str]) -> tuple[list[Any], str | None, int]:
    """A page in the order of creation, as filter, sort_by, page_size and page_token say."""
    chosen = [thing for thing in things.values() if _passes(thing, query.get("filter", ""))]
    order = query.get("sort_by", "")
    if order not in ("", "created_at", "created_at desc"):
        raise Refused(400, f"Cannot sort on field {order}")
    chosen.sort(key=lambda thing: thing.created_at, reverse=order.endswith("desc"))
    start = int(base64.b64decode(query.get("page_token", ""))) if query.get("page_token") else 0
    end = start + (int(query.get("page_size") or 0) or PAGE_SIZE)
    token = base64.b64encode(str(end).encode()).decode() if end < len(chosen) else None
    return chosen[start:end], token, len(chosen)


def _passes(thing: Any, encoded: str) -> bool:
    if not encoded:
        return True
    for predicate in json.loads(unquote(encoded))["predicates"]:
        if predicate["operation"] not in (1, "EQUALS") or predicate["key"] != "display_name":
            raise Refused(501, f"the double does not know the filter {predicate}")
        wanted = predicate.get("stringValue", predicate.get("string_value"))
        if str(thing.display_name).lower() != str(wanted).lower():  # as SQL's LOWER(...) = LOWER(?)
            return False
    return True


def _spec(file: bytes) -> dict[str, Any]:
    documents = [document for document in yaml.load_all(file, yaml.CSafeLoader) if document]
    if not documents or "pipelineInfo" not in documents[0]:
        raise Refused(400, "Failed to create a pipeline version: unknown template format")
    if len(documents) == 1:
        return dict(documents[0])
    return {"pipeline_spec": documents[0], "platform_spec": documents[1]}


def _check_trigger(trigger: Any) -> None:
    kinds = [kind for kind in (trigger.cron_schedule, trigger.periodic_schedule) if kind]
    if len(kinds) != 1:
        raise Refused(400, "a trigger has either a cron or a periodic schedule")
    cron = trigger.cron_schedule.cron if trigger.cron_schedule else "@"
    if not cron.startswith("@") and len(cron.split()) not in (5, 6):
        raise Refused(400, "Schedule cron is not a supported format(https://godoc.org/github.com/robfig/cron)")
    if trigger.periodic_schedule and int(trigger.periodic_schedule.interval_second) < 1:
        raise Refused(400, "Found invalid period schedule interval")


def _new_id() -> str:
    return str(uuid.uuid4())


def _now() -> datetime:
    return datetime.now(UTC)
