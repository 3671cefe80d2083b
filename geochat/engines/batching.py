"""Selection of the requests that are computed together.

A batch wins by reading the weights once for all its rows, and loses by padding and by holding every row's keys. So rows
of like length go together - in classes of powers of two, so that no row is padded to more than twice its length - and
a batch ends where its rows or tokens reach a limit. Questions about one image stand side by side: they share its keys.
Since rows that share keys read them once and rows that do not read what they would read alone, a larger batch was never
slower where it was measured (docs/benchmarks.md), and memory sets the limits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from geochat.engines.rows import Job
from geochat.errors import SettingsError


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Limits of the local engine.

    Attributes:
        batch_rows: Answers computed together.
        batch_tokens: Tokens whose keys and values a batch may hold: each image in it once, and each row's own tokens
            and answer budget. A single request may hold more.
        prefix_bytes: Memory for keys and values kept from one request to the next; 0 keeps none.

    Raises:
        SettingsError: A limit is impossible.
    """

    batch_rows: int = 32
    batch_tokens: int = 16_384
    prefix_bytes: int = 2 << 30

    def __post_init__(self) -> None:
        for name, least in (("batch_rows", 1), ("batch_tokens", 1), ("prefix_bytes", 0)):
            if getattr(self, name) < least:
                raise SettingsError(f"{name}={getattr(self, name)} is impossible; give {least} or more")


def batches(jobs: Sequence[Job], limits: EngineLimits) -> Iterator[list[Job]]:
    """Cut jobs into batches; each job is in one."""
    images = {image: number for number, image in enumerate(dict.fromkeys(_image(job) for job in jobs))}
    batch: list[Job] = []
    for job in sorted(jobs, key=lambda job: (_length_class(job), images[_image(job)], _length(job))):
        grown = [*batch, job]
        apart = batch and _length_class(job) != _length_class(batch[0])
        if apart or len(grown) > limits.batch_rows or (batch and _tokens(grown) > limits.batch_tokens):
            yield batch
            grown = [job]
        batch = grown
    if batch:
        yield batch


def _image(job: Job) -> int:
    """The image's part of the prompt's key."""
    prompt = job.prompt
    return prompt.key[prompt.image_end - 1] if prompt.image_end else 0


def _length(job: Job) -> int:
    """Tokens after the image."""
    return len(job.prompt.ids) - job.prompt.image_end


def _length_class(job: Job) -> int:
    return _length(job).bit_length()


def _tokens(jobs: Sequence[Job]) -> int:
    images = {_image(job): job.prompt.image_end for job in jobs}
    longest = max(_length(job) for job in jobs)
    return sum(images.values()) + sum(longest + job.generation.max_new_tokens for job in jobs)
