"""Answers that are read piece by piece."""

from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

Piece = TypeVar("Piece")
Whole = TypeVar("Whole")


class Streamed(Generic[Piece, Whole]):
    """The pieces of an answer, each as soon as it is certain; after the last, `answer` holds the whole answer.

    Args:
        pieces: Yields the pieces and returns the whole answer, or None if the computation was ended before it.
    """

    def __init__(self, pieces: Generator[Piece, None, Whole | None]) -> None:
        self._answer: Whole | None = None
        self._pieces = self._kept(pieces)

    def __iter__(self) -> Iterator[Piece]:
        """Yield the pieces."""
        return self._pieces

    @property
    def answer(self) -> Whole:
        """The whole answer.

        Raises:
            RuntimeError: The pieces have not been read to the end.
        """
        if self._answer is None:
            raise RuntimeError("the answer is still being written; read it to the end, or call wait()")
        return self._answer

    def wait(self) -> Whole:
        """Read the remaining pieces and return the whole answer.

        Raises:
            GeoChatError: It cannot be computed.
        """
        for _ in self._pieces:
            pass
        return self.answer

    def close(self) -> None:
        """End the computation. Idempotent."""
        self._pieces.close()

    def _kept(self, pieces: Generator[Piece, None, Whole | None]) -> Generator[Piece, None, None]:
        self._answer = yield from pieces
