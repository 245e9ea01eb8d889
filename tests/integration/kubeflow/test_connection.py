"""Reaching a server, or being told in one line why not."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from kfp_backend import Backend, Fault
from kfp_invocation import Forgery

from cli.kubeflow.connection import Address, connect
from serving.sockets import free_ports


def one_line(text: str) -> str:
    assert text.count("\n") == 1, text
    return text


def test_without_a_host_the_way_out_is_named(run_cli: Forgery) -> None:
    result = run_cli("runs", "list")
    assert result.code == 2
    assert "--host" in one_line(result.err)
    assert "kubectl -n kubeflow port-forward" in result.err


def test_wrong_host_is_one_line(run_cli: Forgery) -> None:
    result = run_cli("runs", "list", "--host", f"http://127.0.0.1:{free_ports(1)[0]}")
    assert result.code == 5
    assert "no answer at http://127.0.0.1:" in one_line(result.err)
    assert "Connection refused" in result.err


def test_unknown_name_is_one_line(run_cli: Forgery) -> None:
    result = run_cli("runs", "list", "--host", "http://no-such-host.invalid:8080")
    assert result.code == 5
    assert "no answer at http://no-such-host.invalid:8080" in one_line(result.err)


def test_host_without_a_scheme_is_refused(run_cli: Forgery) -> None:
    result = run_cli("runs", "list", "--host", "localhost:8080")
    assert result.code == 2
    assert "http://" in one_line(result.err)


def test_page_that_is_no_server_is_told_as_such(forgery: Forgery, backend: Backend) -> None:
    backend.login_page = True
    result = forgery("runs", "list")
    assert result.code == 1
    assert "not as Kubeflow Pipelines" in one_line(result.err)
    assert "--token-file" in result.err


def test_login_is_asked_for_and_taken_from_a_file(forgery: Forgery, backend: Backend, tmp_path: Path) -> None:
    backend.token = "let-me-in"
    refused = forgery("runs", "list")
    assert refused.code == 1
    assert "wants a login (401): give --token-file or set KF_PIPELINES_TOKEN" in one_line(refused.err)
    token = tmp_path / "token"
    token.write_text("let-me-in\n")
    assert forgery("runs", "list", "--token-file", token).code == 0


def test_login_is_taken_from_the_environment(
    forgery: Forgery, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.token = "let-me-in"
    monkeypatch.setenv("KF_PIPELINES_TOKEN", "let-me-in")
    assert forgery("runs", "list").code == 0


def test_token_of_the_pod_is_read_again_when_it_changes(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    projected = tmp_path / "projected"
    projected.write_text("first")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(projected))
    backend.token = "first"
    server = connect(Address(host=backend.url))
    backend.token = "second"
    projected.write_text("second")
    with server.asked():
        assert server.client.list_runs().runs is None or server.client.list_runs().runs == []


def test_in_a_pod_the_service_of_the_cluster_is_asked(run_cli: Forgery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    result = run_cli("runs", "list")
    assert "no answer at http://ml-pipeline.kubeflow.svc:8888" in one_line(result.err)


def test_forbidden_names_the_role(forgery: Forgery, backend: Backend) -> None:
    backend.faults.append(Fault("run_service_list_runs", status=403))
    result = forgery("runs", "list")
    assert result.code == 1
    assert "forbids this (403)" in one_line(result.err)
    assert "kubeflow-pipelines-edit" in result.err


def test_missing_token_file_is_named(forgery: Forgery, tmp_path: Path) -> None:
    result = forgery("runs", "list", "--token-file", tmp_path / "nothing")
    assert result.code == 2
    assert "--token-file" in one_line(result.err)


@pytest.mark.parametrize("fault", [{"status": 500, "times": 2}, {"cut": "before", "times": 2}, {"status": 429}])
def test_reading_is_tried_again(forgery: Forgery, backend: Backend, fault: dict[str, int]) -> None:
    backend.faults.append(Fault("run_service_list_runs", **fault))
    assert forgery("runs", "list").code == 0


def test_server_that_goes_on_failing_is_one_line(forgery: Forgery, backend: Backend) -> None:
    backend.faults.append(Fault("run_service_list_runs", status=503, times=100))
    result = forgery("runs", "list")
    assert result.code == 5
    assert "fails (503): injected 503" in one_line(result.err)
    assert backend.calls.count("run_service_list_runs") == 6


def test_slow_server_meets_a_time_limit(forgery: Forgery, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.kubeflow.client.READ_TIMEOUT_S", 0.05)
    backend.faults.append(Fault("run_service_list_runs", delay_s=0.4, times=100))
    result = forgery("runs", "list")
    assert result.code == 5
    assert "timed out" in one_line(result.err)


def test_slow_answer_in_time_is_waited_for(forgery: Forgery, backend: Backend) -> None:
    backend.faults.append(Fault("run_service_list_runs", delay_s=0.4))
    assert forgery("runs", "list").code == 0


def test_several_users_need_a_namespace(forgery: Forgery, backend: Backend) -> None:
    backend.multi_user = True
    result = forgery("runs", "list")
    assert result.code == 2
    assert "--namespace" in one_line(result.err)
    assert forgery("runs", "list", "--namespace", "team-a").code == 0


@pytest.mark.parametrize(
    "command",
    [
        "submit --name mine",
        "schedule create nightly --cron @daily",
        "schedule list",
        "runs list --experiment forgery",
        "runs show mine",
    ],
)
def test_every_command_works_for_one_of_several_users(forgery: Forgery, backend: Backend, command: str) -> None:
    backend.multi_user = True
    assert forgery("submit", "--name", "mine", "--namespace", "team-a").code == 0
    result = forgery(*command.split(), "--namespace", "team-a")
    assert result.code == 0, result.err


def test_own_namespace_is_known_in_a_pod(
    forgery: Forgery, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.multi_user = True
    (tmp_path / "namespace").write_text("team-a")
    monkeypatch.setattr("cli.kubeflow.connection.NAMESPACE_FILE", str(tmp_path / "namespace"))
    assert forgery("upload").code == 0
    assert {pipeline.namespace for pipeline in backend.pipelines.values()} == {"team-a"}


def test_nothing_is_written_under_the_home_directory(forgery: Forgery, backend: Backend, sdk_context: Path) -> None:
    backend.multi_user = True
    assert forgery("upload", "--namespace", "kubeflow").code == 0
    assert not sdk_context.parent.exists()


def test_certificate_of_an_own_authority_is_needed_and_taken(
    run_cli: Forgery, backend: Backend, tmp_path: Path
) -> None:
    certificate, port = _with_tls(backend, tmp_path)
    host = f"https://localhost:{port}"
    refused = run_cli("runs", "list", "--host", host)
    assert refused.code == 5
    assert "--ca" in one_line(refused.err)
    assert run_cli("runs", "list", "--host", host, "--ca", certificate).code == 0


def test_help_starts_at_once_without_the_sdk() -> None:
    code = "import sys, cli.__main__; print(sorted({'kfp', 'kfp_server_api', 'kubernetes'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_body_the_api_does_not_know_is_refused_by_the_double(backend: Backend) -> None:
    from kfp_server_api import ApiException

    server = connect(Address(host=backend.url))
    with pytest.raises(ApiException) as refused:
        server.client.runs.run_service_create_run({"experiment_id": 3})
    assert (refused.value.status, "is no str" in json.loads(refused.value.body)["message"]) == (400, True)
    with pytest.raises(ApiException) as refused:
        server.client.runs.run_service_create_run({"name": "x"})
    assert "unknown field 'name' in V2beta1Run" in json.loads(refused.value.body)["message"]
    backend.refusals.clear()


def _with_tls(backend: Backend, folder: Path) -> tuple[Path, int]:
    """A proxy that speaks TLS with a certificate of its own before the backend."""
    import ssl
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from urllib.request import urlopen

    certificate, key = folder / "ca.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = urlopen(backend.url + self.path).read()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Proxy)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return certificate, server.server_address[1]
