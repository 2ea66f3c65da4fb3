-- The sweep engine: a ledger for millions of calls, what servers can do, offline batches, and who works on a run.

CREATE TABLE llm_source (
    -- Where calls went: a language model as the ledger knows it, and the address that answered.
    id INTEGER NOT NULL PRIMARY KEY,
    model TEXT NOT NULL, -- identity of the language model, part of every request's hash
    endpoint TEXT NOT NULL, -- base URL that answered; empty where there is none, as in process
    UNIQUE (model, endpoint)
);
INSERT INTO llm_source (model, endpoint) SELECT DISTINCT model, '' FROM llm_call;

DROP VIEW v_llm_calls;
DROP INDEX llm_call_request_sha256;
DROP INDEX llm_call_run_id;
ALTER TABLE llm_call RENAME TO llm_call_1;

CREATE TABLE llm_call (
    -- The ledger: every call of a language model, with what it answered.
    id INTEGER NOT NULL PRIMARY KEY,
    request BLOB NOT NULL CHECK (length(request) = 32), -- SHA-256 of the model, the messages and every sampling setting
    prompt BLOB NOT NULL CHECK (length(prompt) = 32), -- SHA-256 of the rendered prompt
    source_id INTEGER NOT NULL REFERENCES llm_source (id),
    run_id INTEGER REFERENCES run (id),
    purpose TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('ok', 'failed')),
    retired INTEGER NOT NULL CHECK (retired IN (0, 1)), -- 1: the reply is kept, and the next such request is sent again
    messages BLOB NOT NULL, -- zlib of the rendered messages as JSON; plain JSON in rows of older versions
    reply TEXT, -- of a failed call what came back, where anything did
    finish_reason TEXT,
    error TEXT,
    prompt_tokens INTEGER, -- NULL where nobody said
    completion_tokens INTEGER,
    cached_tokens INTEGER, -- prompt tokens that the server had in its cache
    reasoning_tokens INTEGER, -- completion tokens that are not in the reply
    cost_nano INTEGER, -- billionths of a dollar; NULL where no price is known
    latency_ms REAL NOT NULL,
    attempts INTEGER NOT NULL,
    served_model TEXT, -- the model's name in the server's answer
    created_ms INTEGER NOT NULL -- milliseconds since 1970, UTC
);
INSERT INTO llm_call
SELECT
    llm_call_1.id, request_now(request_sha256, llm_call_1.model, messages, coalesce(run.config, '{}')), hash_bytes(prompt_sha256),
    llm_source.id, run_id, purpose, status, 0, messages_now(messages), reply, finish_reason, error, prompt_tokens,
    completion_tokens, NULL, NULL, CAST(round(cost_usd * 1e9) AS INTEGER), latency_ms, attempts, NULL,
    CAST(round((julianday(created_at) - 2440587.5) * 86400000) AS INTEGER)
FROM llm_call_1
JOIN llm_source ON llm_source.model = llm_call_1.model
LEFT JOIN run ON run.id = llm_call_1.run_id
ORDER BY llm_call_1.id;
DROP TABLE llm_call_1;
CREATE INDEX llm_call_request ON llm_call (request);
-- Holds all that is summed up over the calls of a run, whose rows are a hundred times as large.
CREATE INDEX llm_call_run_id ON llm_call (run_id, purpose, prompt_tokens, completion_tokens, cached_tokens, cost_nano);

CREATE TABLE llm_probe (
    -- What a server was found to be able to do when a run began to use it.
    id INTEGER NOT NULL PRIMARY KEY,
    run_id INTEGER REFERENCES run (id),
    source_id INTEGER NOT NULL REFERENCES llm_source (id),
    capabilities TEXT NOT NULL, -- JSON
    created_ms INTEGER NOT NULL -- milliseconds since 1970, UTC
);
CREATE INDEX llm_probe_run_id ON llm_probe (run_id);

CREATE TABLE batch_request (
    -- Requests that wait for an offline answer; with the answer they move into llm_call.
    request BLOB NOT NULL PRIMARY KEY CHECK (length(request) = 32), -- as in llm_call; the custom_id in request files
    prompt BLOB NOT NULL CHECK (length(prompt) = 32), -- as in llm_call
    source_id INTEGER NOT NULL REFERENCES llm_source (id),
    run_id INTEGER REFERENCES run (id), -- the last that wanted it, and pays for it
    purpose TEXT NOT NULL,
    body BLOB NOT NULL, -- zlib of the request as JSON
    file TEXT, -- name of the request file that it stands in; NULL until there is one
    tries INTEGER NOT NULL, -- request files that came back without an answer to it
    call_id INTEGER REFERENCES llm_call (id), -- an answer that cannot be used; stands until a run that met it is done
    created_ms INTEGER NOT NULL -- milliseconds since 1970, UTC
) WITHOUT ROWID;
CREATE INDEX batch_request_file ON batch_request (file);

CREATE TABLE batch_result (
    -- Result files that have been read.
    path TEXT NOT NULL PRIMARY KEY, -- of the file, and the model whose answers were read
    size INTEGER NOT NULL -- bytes of it that have been read: whole lines
) WITHOUT ROWID;

ALTER TABLE run ADD COLUMN host TEXT; -- machine of the process that works on it
ALTER TABLE run ADD COLUMN pid INTEGER; -- of that process
ALTER TABLE run ADD COLUMN seen_at TEXT; -- ISO time, UTC, of the process's last sign of life
ALTER TABLE run ADD COLUMN progress TEXT; -- neurons done and in all, and their rate, JSON
ALTER TABLE run ADD COLUMN waiting INTEGER NOT NULL DEFAULT 0; -- requests that wait for the answer of an offline batch
CREATE INDEX run_run_key ON run (run_key);
CREATE INDEX explanation_failed ON explanation (run_id, reason) WHERE status = 'failed';

CREATE VIEW v_llm_calls AS
    -- Calls of language models.
SELECT
    llm_call.id AS call_id, -- identifies the call in this file
    lower(hex(llm_call.request)) AS request_sha256, -- of the model, the messages and every sampling setting
    llm_call.run_id AS run_id, -- see v_runs
    llm_call.purpose AS purpose, -- explain, simulate, repair or probe
    llm_source.model AS model, -- identity of the language model
    llm_call.prompt_tokens AS prompt_tokens, -- read by the model, NULL where unknown
    llm_call.completion_tokens AS completion_tokens, -- written by the model, NULL where unknown
    llm_call.cost_nano / 1e9 AS cost_usd, -- NULL where unknown
    llm_call.latency_ms AS latency_ms, -- from request to reply
    llm_call.status AS status, -- ok or failed
    llm_call.error AS error, -- what went wrong, NULL when ok
    strftime('%Y-%m-%dT%H:%M:%f+00:00', llm_call.created_ms / 1000.0, 'unixepoch') AS created_at, -- ISO time, UTC
    llm_source.endpoint AS endpoint, -- base URL that answered, empty where there is none
    llm_call.served_model AS served_model, -- the model's name in the server's answer
    llm_call.cached_tokens AS cached_tokens, -- prompt tokens that the server had in its cache, NULL where unknown
    llm_call.reasoning_tokens AS reasoning_tokens, -- completion tokens that are not in the reply, NULL where unknown
    llm_call.attempts AS attempts, -- requests that it took, retries included
    llm_call.finish_reason AS finish_reason, -- length where the reply was cut off
    lower(hex(llm_call.prompt)) AS prompt_sha256, -- of the rendered prompt
    llm_call.reply AS reply, -- what was answered, byte for byte
    llm_call.retired AS retired -- 1: the next such request is sent again
FROM llm_call
JOIN llm_source ON llm_source.id = llm_call.source_id;

DROP VIEW v_runs;
CREATE VIEW v_runs AS
    -- Commands that wrote results.
SELECT
    run.id AS run_id, -- identifies the run in this file
    run.run_key AS run_key, -- hash of the settings; equal keys mean equal results
    run.command AS command, -- for example explain
    CASE WHEN run.state = 'interrupted' AND run.waiting > 0 THEN 'waiting' ELSE run.state END AS state, -- running, done, interrupted, waiting (for a batch) or failed
    run.started_at AS started_at, -- ISO time, UTC
    run.finished_at AS finished_at, -- ISO time, UTC; NULL while running
    run.versions AS versions, -- of the packages that matter, JSON
    run.message AS message, -- what to know about the end
    run.host AS host, -- machine of the process
    run.pid AS pid, -- the process
    run.seen_at AS seen_at, -- ISO time, UTC, of its last sign of life
    run.waiting AS waiting -- requests that wait for the answer of an offline batch
FROM run;
