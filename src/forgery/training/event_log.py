"""TensorBoard event files without TensorBoard: it is needed to look at them, not to write them."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf
from tensorflow.core.framework.summary_pb2 import Summary
from tensorflow.core.util.event_pb2 import Event

_VALIDATION = "val_"


class EventLog:
    """Scalars by epoch in `<folder>/train` and `<folder>/validation`, so that TensorBoard overlays the two."""

    def __init__(self, folder: Path | None) -> None:
        """Log into `folder`, or nowhere."""
        self._folder = folder
        self._writers: dict[str, tf.io.TFRecordWriter] = {}

    def write(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Append one epoch; names that start with `val_` are the validation split's."""
        if self._folder is None:
            return
        for name, value in figures.items():
            side = "validation" if name.startswith(_VALIDATION) else "train"
            scalar = Summary.Value(tag=name.removeprefix(_VALIDATION), simple_value=value)
            self._append(side, Event(wall_time=time.time(), step=epoch, summary=Summary(value=[scalar])))
        for writer in self._writers.values():
            writer.flush()

    def _append(self, side: str, event: Event) -> None:
        if side not in self._writers:
            self._writers[side] = self._open(side)
        self._writers[side].write(event.SerializeToString())

    def _open(self, side: str) -> tf.io.TFRecordWriter:
        assert self._folder is not None  # noqa: S101 -- `write` has returned otherwise
        folder = self._folder / side
        folder.mkdir(parents=True, exist_ok=True)
        started = time.time()
        # TensorBoard finds event files by this part of their name.
        writer = tf.io.TFRecordWriter(str(folder / f"events.out.tfevents.{int(started)}.{os.getpid()}"))
        writer.write(Event(wall_time=started, file_version="brain.Event:2").SerializeToString())
        return writer
