"""The end of a body that is still arriving, and who is told of it."""

from collections.abc import Callable


class Ending:
    """The end of a body that is still arriving, which settles how its response turned out.

    Code that judges or counts a response asks `Response.ending` first; if it is open, it waits.
    """

    __slots__ = ("_callbacks", "decides", "has_come", "is_settled")

    def __init__(self, *, is_settled: bool = False) -> None:
        self.is_settled = is_settled
        """True if the response is judged already: by its head (a tunnel) or at its end."""
        self.decides = False
        """True if the classifier waits for it, as the head has decided nothing."""
        self.has_come = False
        """True once the body is complete, cut short or given up."""
        self._callbacks: list[Callable[[bool], None]] = []

    def then(self, callback: Callable[[bool], None]) -> None:
        """Calls *callback* at the end, after the callbacks registered before.

        Its argument is True if the endpoint cut the body short, stalled or violated the protocol.
        """
        if self.has_come:
            raise RuntimeError("the end has come")
        self._callbacks.append(callback)

    def come(self, broken: bool) -> None:
        """Records the end of the body; called once."""
        self.has_come = self.is_settled = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(broken)
