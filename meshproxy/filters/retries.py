"""Retries of what the classifier calls retryable, and requeues of what was never delivered.

linkerd: finagle/buoyant .../RetryFilter.scala, ClassifiedRetries.scala; finagle:
service/RequeueFilter.scala. A request whose body is no longer held is never sent again.
"""

from collections.abc import Callable
from time import monotonic, sleep

from meshproxy.backoff import Backoff
from meshproxy.budget import RetryBudget
from meshproxy.errors import ProxyError
from meshproxy.http.classifier import Classifier, ResponseClass
from meshproxy.http.message import Request, Response
from meshproxy.http.phases import Attempt
from meshproxy.metrics.instruments import Counter
from meshproxy.metrics.tree import Tree
from meshproxy.service import Service

_RETRYABLE = ResponseClass.RETRYABLE


class Retries:
    """Repeats what the classifier calls retryable, at most *most* times for each request.

    Budget, backoff and deadline must allow it too. With *streams*, what would be repeated but for
    the length of its body is counted.
    """

    def __init__(
        self,
        classifier: Classifier,
        budget: RetryBudget,
        backoff: Backoff,
        most: int,
        metrics: Tree,
        pause: Callable[[float], None] = sleep,
        *,
        streams: bool = False,
    ) -> None:
        self.classifier = classifier
        self.budget = budget
        self._backoff = backoff
        self.most = most
        self._pause = pause
        self._total = metrics.counter("retries", "total")
        self._exhausted = metrics.counter("retries", "budget_exhausted")
        self._limited = metrics.counter("retries", "request_limit")
        self._backoffs = metrics.counter("retries", "backoffs_exhausted")
        self._per_request = metrics.stat("retries", "per_request")
        self._too_long: Counter | None = None
        if streams:
            self._too_long = metrics.counter("retries", "request_stream_too_long")
        metrics.gauge("retries", "budget", fn=budget.balance)

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves; every request deposits into the budget, whatever its result."""
        self.budget.deposit(monotonic())
        request.classifier = self.classifier
        try:
            response = service(request)
        except ProxyError as error:
            if not self._may_repeat(request, error):
                self._per_request.add(0.0)
                raise
            return self._again(request, service, error)
        if response.retryable:
            return self._again(request, service, response)
        add = self._per_request.add
        add(0.0)
        return response

    def _again(
        self,
        request: Request,
        service: Service[Request, Response],
        result: Response | ProxyError,
    ) -> Response:
        waits = self._backoff()
        retries = 0
        while self._withdraw(request, retries, wait := next(waits, None)):
            ended = monotonic()
            if isinstance(result, Response):
                result.close()
            if wait:
                self._pause(wait)
            retries += 1
            request.retries += 1
            request.earlier += (_attempt(request, result, ended),)
            self._total.value += 1
            try:
                result = service(request)
            except ProxyError as error:
                result = error
                if not self._may_repeat(request, error):
                    break
            else:
                if not result.retryable:
                    break
        self._per_request.add(retries)
        if isinstance(result, ProxyError):
            raise result
        return result

    def _withdraw(self, request: Request, retries: int, wait: float | None) -> bool:
        """Pays for another attempt after *wait* seconds. Returns False if none is allowed."""
        if wait is None:
            self._backoffs.value += 1
            return False
        if monotonic() + wait >= request.deadline:
            return False
        if retries >= self.most:
            self._limited.value += 1
            return False
        if self.budget.try_withdraw():
            return True
        self._exhausted.value += 1
        return False

    def _may_repeat(self, request: Request, error: ProxyError) -> bool:
        if not error.transient:
            return False
        body = request.body
        if body is None or body.is_replayable:
            return self.classifier.error(request.method, error, True) is _RETRYABLE
        if self._too_long is not None:
            result = self.classifier.error(request.method, error, True)
            self._too_long.value += result is _RETRYABLE
        return self.classifier.error(request.method, error, False) is _RETRYABLE


class Requeues:
    """Chooses another endpoint if nothing was delivered, within a budget and without waiting.

    One request is requeued at most once for each other endpoint, at most *most* times in all its
    retries, and for at most a fifth of the budget's balance. That no endpoint is open according to
    *is_open* is counted, and does not prevent it: a breaker may be the last to know.
    """

    def __init__(
        self,
        budget: RetryBudget,
        endpoints: Callable[[], int],
        most: int,
        metrics: Tree,
        is_open: Callable[[], bool] = lambda: True,
    ) -> None:
        self._budget = budget
        self._endpoints = endpoints
        self._is_open = is_open
        self._most = most
        scope = metrics.scope("retries")
        self._requeues = scope.counter("requeues")
        self._per_request = scope.stat("requeues_per_request")
        self._exhausted = scope.counter("budget_exhausted")
        self._limited = scope.counter("request_limit")
        self._cannot_retry = scope.counter("cannot_retry")
        self._not_open = scope.counter("not_open")
        scope.gauge("budget", fn=budget.balance)

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves; a success deposits into the budget."""
        try:
            response = service(request)
        except ProxyError as error:
            if not error.retryable:
                raise
            return self._again(request, service, error)
        if not response.failed:
            self._budget.deposit(response.arrived)
        elif _is_nack(request, response):
            return self._again(request, service, response)
        return response

    def _again(
        self,
        request: Request,
        service: Service[Request, Response],
        result: Response | ProxyError,
    ) -> Response:
        requeues = 0
        while self._withdraw(request, requeues):
            if isinstance(result, Response):
                result.close()
            request.tried += (request.endpoint,)
            requeues += 1
            request.retries += 1
            request.earlier += (_attempt(request, result, monotonic()),)
            self._requeues.value += 1
            try:
                result = service(request)
            except ProxyError as error:
                result = error
                if not error.retryable:
                    break
            else:
                if not _is_nack(request, result):
                    break
        self._per_request.add(requeues)
        if isinstance(result, ProxyError):
            raise result
        return result

    def _withdraw(self, request: Request, requeues: int) -> bool:
        """Pays for another attempt. Returns False if none is allowed."""
        body = request.body
        if (body is not None and not body.is_replayable) or monotonic() >= request.deadline:
            self._cannot_retry.value += 1
            return False
        if not self._is_open():
            self._not_open.value += 1
        limit = min(self._endpoints() - 1, self._most)
        if len(request.tried) >= limit or requeues >= self._budget.requeue_limit():
            self._limited.value += 1
            return False
        if self._budget.try_withdraw():
            return True
        self._exhausted.value += 1
        return False


def _attempt(request: Request, result: Response | ProxyError, ended: float) -> Attempt:
    """Returns the attempt of *request* that came to *result*, as another one begins."""
    shown = str(result.status) if isinstance(result, Response) else result.reason
    return Attempt(request.bound_id, request.endpoint, shown, ended, monotonic())


def _is_nack(request: Request, response: Response) -> bool:
    """Returns True if the endpoint refused without processing (finagle: HttpNackFilter.scala)."""
    if response.status != 503 or (request.body is not None and not request.body.is_replayable):
        return False
    headers = response.headers
    return b"finagle-http-nack" in headers.names or headers.get(b"retry-after") == b"0"
