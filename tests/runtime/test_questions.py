"""Pages asked of a worker, both ends joined by a list of messages."""

from typing import Any

import gevent
import pytest

from meshproxy.admin.pages import HTML, JSON, TEXT, AdminRequest, AdminResponse, refuse_method, text
from meshproxy.runtime.questions import MAX_BODY, Questions, answer_to
from tests.kit.wire import WAIT_S

REQUEST = AdminRequest("POST", "/a", {"q": "1"}, b"\xff body", "text/x")


class Worker:
    """The other end: answers by *page* when it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.is_open = True
        self.questions = Questions(self._send)

    def _send(self, *message: Any) -> bool:
        self.sent.append(message)
        return self.is_open

    def answer(self, page: AdminResponse, index: int = 0) -> list[AdminRequest]:
        """Answer the question *index* by *page*; what was asked."""
        kind, number, *question = self.sent[index]
        assert kind == "ask"
        asked: list[AdminRequest] = []

        def handle(request: AdminRequest) -> AdminResponse:
            asked.append(request)
            return page

        self.questions.take(number, *answer_to(handle, *question))
        return asked


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.mark.parametrize(
    "page", [text("\u00fc"), text("{}", 404, JSON), refuse_method("GET", "HEAD")]
)
def test_a_question_and_its_answer_arrive_whole(worker: Worker, page: AdminResponse) -> None:
    wait = worker.questions.ask(REQUEST)
    assert worker.answer(page) == [REQUEST]
    assert wait(0.0) == page


def test_answers_find_their_questions_in_any_order(worker: Worker) -> None:
    first, second = worker.questions.ask(REQUEST), worker.questions.ask(REQUEST)
    waiting = gevent.spawn(first, 10.0)
    worker.answer(text("second"), 1)
    worker.answer(text("first"), 0)
    assert second(0.0) == text("second")
    assert waiting.get(timeout=WAIT_S) == text("first")


def test_an_answer_that_comes_too_late_is_dropped(worker: Worker) -> None:
    wait = worker.questions.ask(REQUEST)
    assert wait(0.0) is None
    worker.answer(text("late"))
    assert wait(0.0) is None


def test_nobody_waits_for_one_that_has_ended(worker: Worker) -> None:
    waiting = gevent.spawn(worker.questions.ask(REQUEST), 60.0)
    gevent.sleep(0)
    worker.questions.close()
    assert waiting.get(timeout=WAIT_S) is None
    worker.is_open = False
    with gevent.Timeout(10):
        assert worker.questions.ask(REQUEST)(60.0) is None


def test_a_worker_makes_neither_markup_nor_fields_of_its_own(worker: Worker) -> None:
    wait = worker.questions.ask(REQUEST)
    worker.answer(AdminResponse(b"<script>", HTML, 405, (("Allow", "GET\r\nX: y"),)))
    assert wait(0.0) == AdminResponse(b"<script>", TEXT, 405)


def test_a_page_that_no_message_holds_is_refused(worker: Worker) -> None:
    wait = worker.questions.ask(REQUEST)
    worker.answer(text("x" * (MAX_BODY + 1)))
    answer = wait(0.0)
    assert answer is not None
    assert (answer.status, b"longer than" in answer.body) == (500, True)
