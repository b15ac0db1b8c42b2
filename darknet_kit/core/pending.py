"""Questions that may never be answered: each has a thread of its own, which nobody has to join.

A driver that hangs, or a network disk without its server, holds whoever asks, in the kernel, where
no signal arrives. The thread stays there; it does not keep dkit from ending.
"""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Pending(Generic[T]):
    """A question that is being asked from now on; its answer is waited for until `limit` seconds
    after this moment."""

    def __init__(self, question: Callable[[], T], limit: float) -> None:
        self.limit = limit
        self._deadline = time.monotonic() + limit
        self._answers: list[T] = []
        self._errors: list[Exception] = []
        self._thread = threading.Thread(target=self._ask, args=(question,), daemon=True)
        self._thread.start()

    def _ask(self, question: Callable[[], T]) -> None:
        try:
            self._answers.append(question())
        except Exception as error:  # raised again where the answer is asked for
            self._errors.append(error)

    def result(self) -> T:
        """Return the answer. Raises TimeoutError, and what the question raised."""
        self._thread.join(max(0.0, self._deadline - time.monotonic()))
        if self._errors:
            raise self._errors[0]
        if not self._answers:
            raise TimeoutError(f"no answer in {self.limit:.0f} seconds")
        return self._answers[0]

    def result_or(self, other: U) -> T | U:
        """Return the answer, or another one where none came in time."""
        try:
            return self.result()
        except TimeoutError:
            return other
