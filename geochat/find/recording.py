"""Windows in progress, and their records."""

import time
from dataclasses import dataclass, field
from typing import Any, Literal

from geochat.errors import GeoChatError
from geochat.find.job import Job
from geochat.journal import Entry

_HOPELESS = 50  # windows in a row that the engine did not answer


@dataclass(slots=True)
class AskedWindow:
    """A window in progress, or one that could not be asked about.

    Attributes:
        number: In the plan.
        answers: Record of each answer; None until it exists.
        places: By question asked: its place among the answers.
        error: The first that kept a question from an answer.
        unread: Reason why nothing was asked.
    """

    number: int
    answers: list[dict[str, Any] | None] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)
    error: GeoChatError | None = None
    unread: GeoChatError | Literal["no data"] | None = None

    @property
    def complete(self) -> bool:
        """Return whether every question has ended."""
        return all(answer is not None for answer in self.answers)

    def take(self, asked_as: int, result: dict[str, Any] | GeoChatError) -> None:
        """Store the record of a question's answer, or the reason why there is none."""
        if isinstance(result, GeoChatError):
            self.error = self.error or result
            result = {}
        self.answers[self.places[asked_as]] = result

    def entry(self) -> Entry:
        """The answers, or the reason why one is missing."""
        if self.unread == "no data":
            return {"skipped": "no data"}
        error = self.unread or self.error
        return {"answers": self.answers} if error is None else {"error": str(error)}


class Unanswered:
    """Counts consecutive windows without an answer from an engine, and gives up after 50."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, error: GeoChatError | None) -> None:
        """Count a window.

        Args:
            error: The engine's error; None of a window that it answered.

        Raises:
            GeoChatError: It has answered none of the last 50, of the type of the last error.
        """
        self._count = 0 if error is None else self._count + 1
        if error is not None and self._count >= _HOPELESS:
            raise type(error)(f"the last {self._count} windows got no answer: {error}") from error


class Recorder:
    """Records windows.

    Args:
        job: Job that records them.
        failed: Collects the failed windows; None records them as failed.
        unanswered: Counts those that the engine did not answer.
    """

    def __init__(self, job: Job, failed: list[int] | None, unanswered: Unanswered) -> None:
        self._job, self._failed, self._unanswered = job, failed, unanswered
        self._since = time.perf_counter()

    def add(self, window: AskedWindow) -> bool:
        """Record a window, or postpone a failed one that will be asked about again.

        Returns:
            Whether it was recorded.

        Raises:
            GeoChatError: The engine has answered none of many windows in a row.
        """
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        entry = window.entry()
        put_off = "error" in entry and self._failed is not None
        if self._failed is not None and put_off:
            self._failed.append(window.number)
        else:
            self._job.record(window.number, {"seconds": round(seconds, 4), **entry})
        if window.unread is None:
            self._unanswered.add(window.error)
        return not put_off
