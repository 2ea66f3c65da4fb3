"""Jobs: one at a time, each once, and every end has its reason."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event, Thread, current_thread

import pytest

from neuroexplain.errors import NeuroexplainError
from neuroexplain.review.jobs import Job, JobError, Jobs, Report
from tests.review.conftest import Site

LIMIT = 10.0


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    made = Jobs()
    yield made
    made.close()


def ended(jobs: Jobs, uuid: str) -> Job:
    """The job once everything queued before now is over."""
    gate = Event()
    jobs.submit(f"after {uuid}", "gate", lambda report: gate.set())
    assert gate.wait(LIMIT)
    return jobs.find(uuid)


def test_a_job_is_done_and_has_its_result(jobs: Jobs) -> None:
    assert jobs.submit("a", "sum", lambda report: {"sum": 3}) == Job("a", "sum")
    assert ended(jobs, "a") == Job("a", "sum", "done", result={"sum": 3})


def test_asked_again_it_is_the_same_job_and_runs_once(jobs: Jobs) -> None:
    runs: list[str] = []
    for _ in range(3):
        jobs.submit("a", "sum", lambda report: runs.append("ran"))
    ended(jobs, "a")
    assert jobs.submit("a", "sum", lambda report: runs.append("again")).state == "done"
    assert runs == ["ran"]


def test_a_uuid_of_another_kind_of_job_is_refused(jobs: Jobs) -> None:
    jobs.submit("a", "sum", lambda report: None)
    with pytest.raises(JobError, match="job a is a sum, not a product"):
        jobs.submit("a", "product", lambda report: None)


def test_a_failure_that_the_user_can_mend_is_its_one_line(jobs: Jobs) -> None:
    def work(report: Report) -> None:
        report("loading")
        raise NeuroexplainError("no key: set one")

    jobs.submit("a", "rescoring", work)
    assert ended(jobs, "a") == Job("a", "rescoring", "failed", reason="no key: set one")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_fails_its_job_and_the_next_still_runs(jobs: Jobs) -> None:
    threads: list[Thread] = []

    def work(report: Report) -> None:
        threads.append(current_thread())
        raise ZeroDivisionError("a defect")

    jobs.submit("a", "sum", work)
    jobs.submit("b", "sum", lambda report: 2)
    assert ended(jobs, "b").result == 2
    threads[0].join(LIMIT)  # its traceback belongs to this test
    assert jobs.find("a").reason == "an unexpected error; see the log"


def test_a_running_job_shows_its_note_and_more_than_fit_are_refused() -> None:
    jobs = Jobs(waiting=2)
    begun, go = Event(), Event()

    def work(report: Report) -> None:
        report("span 3 of 9")
        begun.set()
        assert go.wait(LIMIT)

    jobs.submit("a", "sum", work)
    assert begun.wait(LIMIT)
    assert jobs.find("a") == Job("a", "sum", "running", "span 3 of 9")
    jobs.submit("b", "sum", lambda report: None)
    jobs.submit("c", "sum", lambda report: None)
    with pytest.raises(JobError, match="2 jobs are waiting already"):
        jobs.submit("d", "sum", lambda report: None)
    go.set()
    jobs.close(seconds=LIMIT)


def test_all_run_in_one_thread_that_is_not_the_callers(jobs: Jobs) -> None:
    threads: list[Thread] = []
    jobs.submit("a", "sum", lambda report: threads.append(current_thread()))
    jobs.submit("b", "sum", lambda report: threads.append(current_thread()))
    ended(jobs, "b")
    assert len(threads) == 2
    assert threads[0] is threads[1] is not current_thread()


def test_closing_fails_what_waits_and_refuses_more(jobs: Jobs) -> None:
    begun, go = Event(), Event()

    def work(report: Report) -> str:
        begun.set()
        assert go.wait(LIMIT)
        return "finished"

    jobs.submit("a", "sum", work)
    assert begun.wait(LIMIT)
    jobs.submit("b", "sum", lambda report: None)
    jobs.close(seconds=0)
    assert jobs.find("a").state == "running"
    assert jobs.find("b").reason == "the server was stopped before it began"
    go.set()
    jobs.close(seconds=LIMIT)
    assert jobs.find("a") == Job("a", "sum", "done", result="finished")
    assert jobs.find("b").state == "failed"
    with pytest.raises(JobError, match="the server is stopping"):
        jobs.submit("c", "sum", lambda report: None)


def test_only_the_last_finished_jobs_are_remembered() -> None:
    jobs = Jobs(remembered=2)
    for uuid in ("a", "b", "c"):
        jobs.submit(uuid, "sum", lambda report: None)
        ended(jobs, uuid)
    with pytest.raises(JobError, match="job a is not known: jobs are forgotten when the server"):
        jobs.find("a")
    assert jobs.find("c").state == "done"
    jobs.close(seconds=LIMIT)


def test_the_page_can_ask_for_a_job_over_http(site: Site) -> None:
    client = site.client("bob")
    done = site.desk.jobs.submit("a", "sum", lambda report: {"sum": 3})
    ended(site.desk.jobs, done.uuid)
    answer = client.get("/api/v1/jobs/a")
    assert answer.status_code == 200
    assert answer.json() == {
        "uuid": "a",
        "kind": "sum",
        "state": "done",
        "note": "",
        "result": {"sum": 3},
        "reason": None,
    }


def test_an_unknown_job_is_not_found_and_says_why(site: Site) -> None:
    answer = site.client("bob").get("/api/v1/jobs/nothing")
    assert answer.status_code == 404
    assert "forgotten when the server restarts" in answer.json()["detail"]
