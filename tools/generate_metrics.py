"""The reference page of what the servers tell Prometheus, from the metrics themselves."""

from collections.abc import Iterator
from types import ModuleType

from prometheus_client.metrics import MetricWrapperBase

from tools.markdown import NOTICE, table_cell

_HEAD = (
    "# Metrics\n\nBoth servers offer them at `/metrics` of their REST port, beside those of the process "
    "(`process_resident_memory_bytes`, `process_open_fds`, ...). Labels have few values, whatever callers send. "
    "The predictor's requests are the transformer's questions.\n\n"
    "| metric | type | labels | meaning |\n|---|---|---|---|\n"
)


def metrics_page() -> str:
    """Name, type, labels and meaning of every metric of the servers."""
    from serving import metrics, reference

    return NOTICE + _HEAD + "".join(row for module in (metrics, reference) for row in _rows(module))


def _rows(module: ModuleType) -> Iterator[str]:
    for metric in vars(module).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            # The client library tells a metric's labels nowhere else.
            labels = ", ".join(f"`{label}`" for label in metric._labelnames)
            name = f"{family.name}_total" if family.type == "counter" else family.name
            yield f"| `{name}` | {family.type} | {labels} | {table_cell(family.documentation)} |\n"
