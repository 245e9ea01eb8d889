"""What every task needs of its pod on Kubernetes; the local runner ignores it."""

from kfp import dsl, kubernetes

# The numeric user of the images: `run_as_non_root` hangs on an image whose user is a name.
POD_USER = 10001
# Secret and ConfigMap of manifests/base/storage: the bucket's key, and its address.
BUCKET_SECRET = "forgery-bucket"  # noqa: S105
BUCKET_CONFIG = "forgery-bucket"


def in_pod(task: dsl.PipelineTask, title: str, cpu: str, memory: str, timeout_s: int) -> dsl.PipelineTask:
    """Give a task its display name, resources, an own time limit, a non-root user and a writable /tmp alone.

    A missing image or secret never ends a task by itself, hence the time limit on each. Retries of network calls are
    the step's own: the backend does not retry a step that fails.
    """
    task.set_display_name(title).set_caching_options(False)
    task.set_cpu_request(cpu).set_memory_request(memory).set_memory_limit(memory)
    kubernetes.set_timeout(task, timeout_s)
    kubernetes.set_security_context(task, run_as_user=POD_USER, run_as_group=POD_USER, run_as_non_root=True)
    # The one place a step may write, so that an administrator's read-only root works; the images set HOME to it.
    return kubernetes.empty_dir_mount(task, volume_name="tmp", mount_path="/tmp")  # noqa: S108


def again_if_lost(task: dsl.PipelineTask) -> dsl.PipelineTask:
    """Start a task anew, twice at most, whose pod was lost: evicted, or its node gone.

    One of hundreds that run side by side is then no reason to end the run. A step that fails is not begun again.
    """
    return task.set_retry(num_retries=2, backoff_duration="30s", backoff_factor=2.0)


def with_bucket(task: dsl.PipelineTask) -> dsl.PipelineTask:
    """Let a task reach the bucket; keys come from the Secret, never from parameters, which are logged and kept."""
    keys = {name: name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    places = {name: name for name in ("AWS_ENDPOINT_URL", "AWS_REGION")}
    kubernetes.use_secret_as_env(task, BUCKET_SECRET, keys, optional=True)
    return kubernetes.use_config_map_as_env(task, BUCKET_CONFIG, places, optional=True)


def with_gpus(task: dsl.PipelineTask, gpus: str) -> dsl.PipelineTask:
    """Let a task have so many NVIDIA GPUs, and run on nodes kept for those who ask for them; "0" asks for none."""
    task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(gpus)
    return kubernetes.add_toleration(task, key="nvidia.com/gpu", operator="Exists", effect="NoSchedule")
