"""Offline batches of a run: answers that have come are taken into the ledger before it, and what is then still missing
is written into request files after it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from neuroexplain.config import ExplainConfig, ScoreConfig
from neuroexplain.errors import LLMError, LLMPermanentError, LLMUnavailableError
from neuroexplain.llm import replies
from neuroexplain.llm.addresses import addresses, name_of
from neuroexplain.llm.batch import BatchLLM, request_of
from neuroexplain.llm.batch_files import Answer, BatchFolder, Piece, RequestFile, read_results
from neuroexplain.llm.dialect import Dialect
from neuroexplain.llm.openai_http import identity
from neuroexplain.llm.prices import Price
from neuroexplain.llm.replies import Response
from neuroexplain.records import Call, Usage, Waiting
from neuroexplain.run import Run

log = logging.getLogger(__name__)

SHOWN = 3
"""Lines of result files that cannot be read, before the others are only counted."""
_CHUNK = 1000


class Batches:
    """The batches of one run and model.

    Args:
        run: whose ledger takes the answers.
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

    def llm(self) -> BatchLLM:
        """The language model that answers later."""
        saver = self.run.saver
        return BatchLLM(self.spec, self.identity, saver.waiting, saver.take_unusable)

    def take_in(self) -> None:
        """Move the answers that have come into the ledger."""
        learnt = self._dialect
        for path in self.folder.result_files():
            before = self._outbox.read_up_to(str(path))
            start = before if path.stat().st_size >= before else 0
            for piece in read_results(path, start):
                self._take(path, piece)
        if self._problems > SHOWN:
            log.warning("and %d more lines that cannot be read", self._problems - SHOWN)
        if self._dialect != learnt:
            self.run.drive(self._note_dialect())
        waiting = self._outbox.files()
        for file in self.folder.request_files():
            if str(file) not in waiting:
                self.folder.put_away(file)

    def write_out(self) -> None:
        """Write the requests that wait into files, except those that stand in one already."""
        for name in self._outbox.files():
            path = Path(name)
            if path.parent == self.folder.requests and not path.exists():
                self._outbox.release_file(name)
        while waiting := self._outbox.unassigned(self.identity, _CHUNK):
            self._write_file(waiting)
        self.run.waiting = self._outbox.count()

    def _write_file(self, waiting: list[Waiting]) -> None:
        """One file of as many requests as it takes; nothing is lost and nothing doubled wherever this ends."""
        written: list[str] = []
        with RequestFile(self.folder.next_file()) as file:
            while waiting and self._fill(file, waiting, written):
                waiting = self._outbox.unassigned(self.identity, _CHUNK, after=written[-1])
            # Assigned first: a file that is not there has its requests released, but one of unknown requests would be
            # answered and paid for twice.
            self._outbox.assign(written, str(file.path))
            file.finish()

    def _fill(self, file: RequestFile, waiting: Sequence[Waiting], written: list[str]) -> bool:
        """Add requests to a file; False where it has no room for all of them."""
        for entry in waiting:
            body = self._dialect.encoded(self.model, request_of(entry), self.extra)
            if not file.add(entry.request_sha256, body):
                return False
            written.append(entry.request_sha256)
        return True

    def _take(self, path: Path, piece: Piece) -> None:
        for problem in piece.problems:
            self._problems += 1
            if self._problems <= SHOWN:
                log.warning("%s", problem)
        calls: list[Call] = []
        released: list[str] = []
        for answer in piece.answers:
            waiting = self._outbox.waiting(answer.request_sha256)
            if waiting is None or waiting.model != self.identity:
                continue
            call = self._call(waiting, answer)
            if call is None:
                released.append(waiting.request_sha256)
            elif all(c.request_sha256 != call.request_sha256 for c in calls):
                calls.append(call)
        self._outbox.take_in(self.run.id, calls, released, str(path), piece.read)
        self.run.counts["batch answers"] += len(calls)

    def _call(self, waiting: Waiting, answer: Answer) -> Call | None:
        """The ledger's row of an answer; None where the request has to be sent again."""
        response = Response(self.identity, answer.status, {}, answer.body)
        call = _call_of(waiting)
        try:
            found = self._read(waiting, response)
        except LLMUnavailableError as error:
            if waiting.tries + 1 < self.run.execution.tries:
                return None
            return _failed(call, error)
        except LLMError as error:
            return _failed(call, error)
        if found is None:
            return None
        usage = found.usage
        cost = None
        if self._price is not None and usage.prompt is not None and usage.completion is not None:
            cost = self._price.cost(usage.prompt, usage.completion, usage.cached or 0, batch=True)
        return replace(
            call,
            status="ok",
            reply=found.text,
            usage=usage,
            cost_nano=cost,
            finish_reason=found.finish_reason,
            served_model=found.served_model,
        )

    def _read(self, waiting: Waiting, response: Response) -> replies.Completion | None:
        """An answer; None where the request is to be put otherwise, because a parameter was refused."""
        if response.status == 0:
            raise LLMUnavailableError(
                f"the batch has no answer: {replies.said(response.body)}",
                raw=response.body,
                reason="no_batch_answer",
            )
        if response.status < 300:
            return replies.completion(response)
        sent = self._dialect.body(self.model, request_of(waiting), self.extra)
        name = replies.refused_parameter(response, self._dialect.optional(sent))
        if name is None:
            raise replies.failure(response)
        self._dialect = self._dialect.without(name)
        return None

    def _known_dialect(self) -> Dialect:
        for found in self.run.catalogue.probes():
            if found["model"] == self.identity and not found["endpoint"]:
                return Dialect(frozenset(found["refused"]), found["cap"], found["form"])
        return Dialect()

    async def _note_dialect(self) -> None:
        found: Mapping[str, Any] = {
            "refused": sorted(self._dialect.refused),
            "cap": self._dialect.cap,
            "form": self._dialect.form,
        }
        await self.run.saver.probe(self.identity, "", found)


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


def _failed(call: Call, error: LLMError) -> Call:
    reason = "llm_refused" if isinstance(error, LLMPermanentError) else error.reason
    return replace(call, reply=error.raw, error=f"{reason}: {error}", usage=error.usage or Usage())
