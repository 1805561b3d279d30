"""Writing a bag: all of it or nothing under its name."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.enums import CompressionFormat, CompressionMode
from rosbags.rosbag2.metadata import parse_qos

from wm_training.bags.schema import typestore
from wm_training.errors import TrainingError

PARTIAL = ".partial"


class BagWriter:
    """An MCAP bag of rosbag2 metadata version 9, from serialised messages.

    It grows in `<name>.partial/` and takes its name on `close`. `abort`, or an exception in the `with` block, leaves
    nothing.
    """

    def __init__(self, path: Path | str, *, compress: bool = False):
        self.path = Path(path)
        self._partial = self.path.with_name(self.path.name + PARTIAL)
        if self.path.exists():
            raise TrainingError(f"{self.path} exists already; choose another name or remove it.")
        try:
            self._partial.mkdir(parents=True)
        except FileExistsError:
            raise TrainingError(
                f"{self._partial} is being written, or was left by a killed process; remove it or choose another name."
            ) from None
        except OSError as error:
            raise TrainingError(f"{self.path} cannot be written: {error.strerror}; choose another folder.") from error
        self._writer = Writer(self._partial / self.path.name, version=9, storage_plugin=StoragePlugin.MCAP)
        if compress:
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._writer.open()
        self._connections: dict[str, Connection] = {}
        self.counts: dict[str, int] = {}

    def add_topic(self, topic: str, msgtype: str, qos: Sequence[Mapping[str, Any]] = ()) -> None:
        """Announce a topic by its full name (`/scan`), with the QoS offered, as rosbag2 writes it in version 9."""
        offered = parse_qos(cast(Any, [dict(profile) for profile in qos]))
        self._connections[topic] = self._writer.add_connection(
            topic, msgtype, typestore=typestore(), offered_qos_profiles=offered
        )
        self.counts[topic] = 0

    def write(self, topic: str, stamp_ns: int, cdr: bytes | memoryview) -> None:
        """Append one serialised message. Stamps are log times, ns."""
        self._writer.write(self._connections[topic], stamp_ns, cdr)
        self.counts[topic] += 1

    def note(self, key: str, value: str) -> None:
        """Put a line into the metadata's custom_data."""
        self._writer.set_custom_data(key, value)

    def close(self) -> Path:
        """Finish the bag and give it its name."""
        if not any(self.counts.values()):
            self._writer.min_timestamp = 0  # rosbags would write the largest integer, which other readers refuse
        self._writer.close()
        (self._partial / self.path.name).rename(self.path)
        self._partial.rmdir()
        return self.path

    def abort(self) -> None:
        """Drop what was written."""
        self._writer.abort()
        shutil.rmtree(self._partial, ignore_errors=True)

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()
