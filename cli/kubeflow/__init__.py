"""Upload, submit, schedule and watch the pipelines on a Kubeflow Pipelines server."""
