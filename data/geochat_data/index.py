"""Arrow index of training samples: random access from disk, and each sample's length for grouping.

The index is a memory-mapped Arrow IPC file: opening it costs nothing, a sample is read in place, and worker processes
share the pages. It needs pyarrow alone (`pip install geochat[data]`).
"""

from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from geochat.errors import DataError
from geochat.files import atomic_draft
from geochat.prompts import Message
from geochat_data.readers.report import Report
from geochat_data.samples import Sample

ROWS = 1024  # of a record batch
CHARACTERS_PER_TOKEN = 3.0
Role = Literal["system", "user", "assistant"]


def estimated_length(sample: Sample, image_tokens: int = 1296) -> int:
    """Estimate the number of tokens of a sample from its characters, well enough to group samples by length."""
    characters = sum(len(message.text) + 10 for message in sample.messages)
    return round(characters / CHARACTERS_PER_TOKEN) + (image_tokens if sample.image else 0)


def write_index(
    path: Path,
    samples: Iterable[Sample],
    length: Callable[[Sample], int] = estimated_length,
    report: Report | None = None,
) -> int:
    """Write an index atomically, also with several processes; returns the number of its samples.

    Args:
        path: The file to write.
        samples: Read once, a record batch at a time.
        length: Returns the length of a sample; samples for which it raises `DataError` are left out.
        report: Counts skipped items.

    Raises:
        DataError: pyarrow is missing or the file cannot be written.
    """
    report = Report() if report is None else report
    arrow = _arrow()
    columns: dict[str, list[Any]] = {name: [] for name in ("id", "image", "roles", "texts", "length")}
    text, texts = arrow.string(), arrow.list_(arrow.string())
    schema = arrow.schema(
        [("id", text), ("image", text), ("roles", texts), ("texts", texts), ("length", arrow.int32())]
    )
    count = 0
    try:
        with (
            atomic_draft(path) as draft,
            arrow.OSFile(str(draft), "wb") as file,
            arrow.ipc.new_file(file, schema) as writer,
        ):
            for sample in samples:
                try:
                    measured = length(sample)
                except DataError as error:
                    report.skip("sample that cannot be trained on", f"{sample.id}: {error}")
                    continue
                roles = [message.role for message in sample.messages]
                row = (sample.id, sample.image, roles, [message.text for message in sample.messages], measured)
                for column, value in zip(columns.values(), row, strict=True):
                    column.append(value)
                count += 1
                if count % ROWS == 0:
                    writer.write_batch(arrow.record_batch(columns, schema=schema))
                    columns = {name: [] for name in columns}
            if columns["id"]:
                writer.write_batch(arrow.record_batch(columns, schema=schema))
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error}; choose another place") from error
    return count


class SampleIndex:
    """Indexed samples, read from disk: `index[i]` is a `Sample`, `index.lengths` are the lengths.

    Raises:
        DataError: pyarrow is missing, or the file is not an index.
    """

    def __init__(self, path: Path) -> None:
        arrow = _arrow()
        self.path = path
        try:
            self._file = arrow.ipc.open_file(arrow.memory_map(str(path)))
        except (OSError, arrow.ArrowInvalid) as error:
            raise DataError(f"{path} is not an index ({error}); make one with `geochat data index`") from error
        batches = self._file.num_record_batches
        last = self._file.get_batch(batches - 1).num_rows if batches else 0
        self._length: int = max(0, batches - 1) * ROWS + last

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        batch, row = divmod(index % len(self), ROWS)
        fields = self._file.get_batch(batch).slice(row, 1).to_pylist()[0]
        turns = zip(fields["roles"], fields["texts"], strict=True)
        messages = tuple(Message(cast(Role, role), text) for role, text in turns)
        return Sample(fields["id"], fields["image"], messages)

    def __reduce__(self) -> tuple[type["SampleIndex"], tuple[Path]]:
        return SampleIndex, (self.path,)  # worker processes map the file themselves

    @cached_property
    def lengths(self) -> NDArray[np.int32]:
        """Lengths of the samples, for transformers' length-grouped sampling."""
        parts = [
            self._file.get_batch(number).column("length").to_numpy() for number in range(self._file.num_record_batches)
        ]
        return np.concatenate([np.empty(0, np.int32), *parts])


def _arrow() -> Any:  # noqa: ANN401 - a module without type hints
    try:
        import pyarrow  # noqa: PLC0415 - an extra
        import pyarrow.ipc  # noqa: PLC0415
    except ImportError as error:
        raise DataError("the index needs pyarrow; run `pip install geochat[data]`") from error
    return pyarrow
