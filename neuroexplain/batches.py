"""Offline batches of a run.

Answers that have come are taken into the ledger before it, and what is then still missing is written into request files
after it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from neuroexplain.calls import Call, Usage, Waiting
from neuroexplain.config import ExplainConfig, ScoreConfig
from neuroexplain.errors import LimitError, LLMError, LLMPermanentError, LLMUnavailableError
from neuroexplain.llm import replies
from neuroexplain.llm.addresses import addresses, name_of
from neuroexplain.llm.batch import BatchLLM, request_of
from neuroexplain.llm.batch_files import (
    Answer,
    BatchFolder,
    RequestFile,
    first_line,
    read_results,
    state_file,
)
from neuroexplain.llm.dialect import Dialect
from neuroexplain.llm.ledger import worst_cost
from neuroexplain.llm.openai_http import identity
from neuroexplain.llm.prices import Price
from neuroexplain.llm.replies import Response
from neuroexplain.run import Book, Run

log = logging.getLogger(__name__)

SHOWN = 3
"""Lines of result files that cannot be read, before the others are only counted."""
_CHUNK = 1000


class Batches:
    """The batches of one run and model.

    Args:
        run: whose ledger takes the answers, and whose budget pays for them.
        folder: holds the files.
        config: names the model.
        price: of its calls.
    """

    def __init__(
        self, run: Run, folder: Path, config: ExplainConfig | ScoreConfig, price: Price | None
    ) -> None:
        assert config.model is not None
        self.run = run
        self.folder = BatchFolder(folder)
        self.model = config.model
        self.extra = dict(config.llm_settings)
        self.spec, self.identity = names(config, run.execution.servers)
        self._price = price
        self._outbox = run.catalogue.outbox
        self._problems = 0
        self._dialect = self._known_dialect()
        self._learnt: set[str] = set()

    def llm(self) -> BatchLLM:
        """The language model that answers later."""
        saver = self.run.saver
        return BatchLLM(self.spec, self.identity, saver.waiting, saver.unusable)

    def book(self) -> Book:
        """The ledger as that model needs it."""
        return _ReadBook(self.run)

    def take_in(self) -> None:
        """Move the answers that have come into the ledger."""
        with self.folder.alone():
            for path in self.folder.result_files():
                self._take_file(path)
            if self._problems > SHOWN:
                log.warning("and %d more lines that cannot be read", self._problems - SHOWN)
            for path in map(Path, self._outbox.files()):
                if self.folder.is_put_away(path):
                    self._take_unanswered(path)
            # By name alone: the folder may have been moved.
            waiting = {Path(name).name for name in self._outbox.files()}
            for file in self.folder.request_files():
                if file.name not in waiting and self._is_ours(file):
                    self.folder.put_away(file)
        if self._learnt:
            self.run.drive(self._note_dialect())

    def write_out(self) -> None:
        """Write the requests that wait into files, except those that stand in one already.

        Raises:
            LimitError: what they may cost is more than is left; those that there is money for stand in files.
        """
        try:
            with self.folder.alone():
                for path in map(Path, self._outbox.files()):
                    # A file that is gone was deleted, unless its answers have come since they were looked for.
                    gone = path.parent == self.folder.requests and not path.exists()
                    if gone and not self.folder.is_put_away(path):
                        self._outbox.release_file(str(path))
                waiting = self._unassigned()
                if waiting and self.run.budget.is_limited:
                    self._owe()
                while waiting:
                    self._write_file(waiting)
                    waiting = self._unassigned()
        finally:
            self.run.waiting = self._outbox.count(self.run.id)
        if not self.run.waiting:
            self._outbox.forget(self.run.id)

    def _unassigned(self, after: str = "") -> list[Waiting]:
        return self._outbox.unassigned(self.run.id, self.identity, _CHUNK, after)

    def _owe(self) -> None:
        """Reserve for what was asked for before: the limits are about all that the run and those before it have asked."""
        after = ""
        while asked := self._outbox.asked(self.run.key, self.identity, _CHUNK, after):
            for entry in asked:
                self.run.budget.owe(self._worst(entry))
            after = asked[-1].request_sha256

    def _worst(self, waiting: Waiting) -> int:
        if self._price is None or self.run.budget.max_cost_nano is None:
            return 0
        return worst_cost(request_of(waiting), self._price, batch=True)

    def _write_file(self, waiting: list[Waiting]) -> None:
        """One file of as many requests as it takes; nothing is lost and nothing doubled wherever this ends.

        Raises:
            LimitError: there is no money for the next one.
        """
        written: list[str] = []
        reached: LimitError | None = None
        with RequestFile(self.folder.next_file()) as file:
            try:
                while waiting and self._fill(file, waiting, written):
                    waiting = self._unassigned(after=written[-1])
            except LimitError as error:
                reached = error
            if written:
                # Assigned first: a file that is not there has its requests released, but one of unknown requests would
                # be answered and paid for twice.
                self._outbox.assign(written, str(file.path))
                file.finish()
        if reached is not None:
            raise reached

    def _fill(self, file: RequestFile, waiting: Sequence[Waiting], written: list[str]) -> bool:
        """Add requests to a file; False where it has no room for all of them."""
        budget = self.run.budget
        for entry in waiting:
            claimed = budget.claim(self._worst(entry))
            body = self._dialect.encoded(self.model, request_of(entry), self.extra)
            if not file.add(entry.request_sha256, body):
                budget.settle(claimed, None, bought=False)
                return False
            written.append(entry.request_sha256)
        return True

    def _is_ours(self, file: Path) -> bool:
        """Whether a request file was written for this catalogue; others may use the same folder."""
        with file.open("rb") as lines:
            first = lines.readline()
        try:
            return self._outbox.knows(str(json.loads(first)["custom_id"]))
        except (ValueError, KeyError, TypeError):
            return False

    def _take_file(self, path: Path) -> None:
        """Take in what has come into a result file since it was read for this model."""
        # By its first line too: a program may write other answers under the same name.
        mark = f"{path} {first_line(path)} for {self.identity}"
        before = self._outbox.read_up_to(mark)
        for piece in read_results(path, before if path.stat().st_size >= before else 0):
            for problem in piece.problems:
                self._problems += 1
                if self._problems <= SHOWN:
                    log.warning("%s", problem)
            self._take(piece.answers, (mark, piece.read))

    def _take_unanswered(self, path: Path) -> None:
        """Take in that a request file has come back without an answer to some of its requests."""
        requests = iter(self._outbox.requests_of(str(path)))
        why = json.dumps({"error": {"message": _said(self.folder.answered / path.name)}})
        while some := list(islice(requests, _CHUNK)):
            self._take([Answer(request, 0, why) for request in some])

    def _take(self, answers: Sequence[Answer], read: tuple[str, int] | None = None) -> None:
        calls: dict[str, Call] = {}
        worst: list[int] = []
        released: list[str] = []
        for answer in answers:
            waiting = self._outbox.waiting(answer.request_sha256)
            if waiting is None or waiting.model != self.identity or answer.request_sha256 in calls:
                continue
            call = self._call(waiting, answer)
            if call is None:
                released.append(waiting.request_sha256)
            else:
                calls[call.request_sha256] = call
                worst.append(self._worst(waiting))
        self._outbox.take_in(self.run.id, list(calls.values()), released, read)
        budget = self.run.budget
        for call, nano in zip(calls.values(), worst, strict=True):
            budget.settle(budget.owe(nano), call.cost_nano)
        if calls:
            self.run.counts["batch answers"] += len(calls)

    def _call(self, waiting: Waiting, answer: Answer) -> Call | None:
        """The ledger's row of an answer; None where the request has to be sent again."""
        response = Response(self.identity, answer.status, {}, answer.body)
        call = _call_of(waiting)
        last = waiting.tries + 1 >= self.run.execution.tries
        try:
            if self._is_put_otherwise(waiting, response) and not last:
                return None
            found = self._read(waiting, response)
        except LLMUnavailableError as error:
            return self._failed(call, error) if last else None
        except LLMError as error:
            return self._failed(call, error)
        return replace(
            call,
            status="ok",
            reply=found.text,
            usage=found.usage,
            cost_nano=self._cost(found.usage),
            finish_reason=found.finish_reason,
            served_model=found.served_model,
        )

    def _read(self, waiting: Waiting, response: Response) -> replies.Completion:
        if response.status == 0:
            raise LLMUnavailableError(
                f"the batch has no answer: {replies.said(response.body)}",
                raw=response.body,
                reason="no_batch_answer",
            )
        if response.status < 300:
            wants = request_of(waiting).top_logprobs > 0
            return replies.completion(response, top_logprobs=wants)
        raise replies.failure(response)

    def _is_put_otherwise(self, waiting: Waiting, response: Response) -> bool:
        """Whether a parameter was refused that the next file leaves out, or puts otherwise."""
        request = request_of(waiting)
        sent = Dialect().optional(Dialect().body(self.model, request), self.extra)
        name = replies.refused_parameter(response, sent)
        if name is None:
            return False
        # Every request of the file is refused for it, and only the first has something to teach.
        if name not in self._learnt and name in self._dialect.body(self.model, request):
            self._dialect = self._dialect.without(name)
        self._learnt.add(name)
        return True

    def _cost(self, usage: Usage) -> int | None:
        if self._price is None or usage.prompt is None or usage.completion is None:
            return None
        return self._price.cost(usage.prompt, usage.completion, usage.cached or 0, batch=True)

    def _failed(self, call: Call, error: LLMError) -> Call:
        reason = "llm_refused" if isinstance(error, LLMPermanentError) else error.reason
        # A server that says what it counted wants to be paid for it.
        cost = self._cost(error.usage) if error.usage else None
        usage = error.usage or Usage()
        return replace(
            call, reply=error.raw, error=f"{reason}: {error}", usage=usage, cost_nano=cost
        )

    def _known_dialect(self) -> Dialect:
        for found in self.run.catalogue.probes():
            if found["model"] == self.identity and not found["endpoint"]:
                refused, top = frozenset(found["refused"]), found.get("top_logprobs")
                return Dialect(refused, found["cap"], found["form"], top)
        return Dialect()

    async def _note_dialect(self) -> None:
        found: Mapping[str, Any] = {
            "refused": sorted(self._dialect.refused),
            "cap": self._dialect.cap,
            "form": self._dialect.form,
            "top_logprobs": self._dialect.top,
        }
        await self.run.saver.probe(self.identity, "", found)


class _ReadBook(Book):
    """A ledger that has every answer before the language model knows of it."""

    async def save(self, call: Call) -> None:
        """Nothing: the answer with which a call has failed is there."""


def names(config: ExplainConfig | ScoreConfig, servers: Sequence[str]) -> tuple[str, str]:
    """Spec and identity of the model that a batch asks for.

    Named together with a server, it is that server's: requests to the one are answered by replies of the other.
    """
    where = servers or ((config.base_url,) if config.base_url else ())
    if not where:
        spec = f"batch:{config.model}"
        return spec, identity(spec, "offline", config.llm_settings)
    spec = f"openai:{config.model}"
    return spec, identity(spec, name_of(addresses(where)), config.llm_settings)


def _call_of(waiting: Waiting) -> Call:
    return Call(
        request_sha256=waiting.request_sha256,
        purpose=waiting.purpose,
        model=waiting.model,
        prompt_sha256=waiting.prompt_sha256,
        messages=request_of(waiting).messages_json,
        status="failed",
        reply=None,
    )


def _said(request_file: Path) -> str:
    """What a batch service said about the batch of a file that came back without answers."""
    try:
        noted = json.loads(state_file(request_file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        noted = {}
    return str(noted.get("message") or "the file came back without one")
