"""Windows that are being asked about, and what becomes of them."""

import time
from dataclasses import dataclass, field
from typing import Any, Literal

from geochat.errors import GeoChatError
from geochat.find.job import Job
from geochat.journal import Entry

_HOPELESS = 50  # windows in a row that the engine did not answer


@dataclass(slots=True)
class AskedWindow:
    """A window that is being asked about, or that could not be.

    Attributes:
        number: In the plan.
        answers: What is recorded of each answer; None until it is there.
        places: By question asked: its place among the answers.
        error: The first that kept a question from an answer.
        unread: Why nothing was asked.
    """

    number: int
    answers: list[dict[str, Any] | None] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)
    error: GeoChatError | None = None
    unread: GeoChatError | Literal["no data"] | None = None

    @property
    def complete(self) -> bool:
        """Return whether every question has come to an end."""
        return all(answer is not None for answer in self.answers)

    def take(self, asked_as: int, result: dict[str, Any] | GeoChatError) -> None:
        """Take what is recorded of a question's answer, or what kept it from one."""
        if isinstance(result, GeoChatError):
            self.error = self.error or result
            result = {}
        self.answers[self.places[asked_as]] = result

    def entry(self) -> Entry:
        """The answers, or why there is one missing."""
        if self.unread == "no data":
            return {"skipped": "no data"}
        error = self.unread or self.error
        return {"answers": self.answers} if error is None else {"error": str(error)}


class Recorder:
    """Records windows.

    Args:
        job: Where they are recorded.
        failed: Takes the windows that failed; None has them recorded as failed.
    """

    def __init__(self, job: Job, failed: list[int] | None) -> None:
        self._job, self._failed = job, failed
        self._unanswered = 0
        self._since = time.perf_counter()

    def add(self, window: AskedWindow) -> bool:
        """Record a window, or put it off where it failed and will be asked about again.

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
            self._require_answers(window.error)
        return not put_off

    def _require_answers(self, error: GeoChatError | None) -> None:
        """Give up where the engine has answered none of many windows in a row."""
        self._unanswered = 0 if error is None else self._unanswered + 1
        if error is not None and self._unanswered >= _HOPELESS:
            raise type(error)(f"the last {self._unanswered} windows got no answer: {error}") from error
