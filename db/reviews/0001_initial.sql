-- Reviews have a file of their own: they survive a catalogue that is made anew, and no sweep keeps them waiting.

PRAGMA application_id = 1853387378; -- 'nxrr'

CREATE TABLE schema_migration (
    -- Files of this folder that have been applied.
    number INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    applied_at TEXT NOT NULL -- ISO time, UTC
);

CREATE TABLE target (
    -- Explanations by what they say about which neuron; never by a row of a catalogue.
    id INTEGER NOT NULL PRIMARY KEY,
    subject TEXT NOT NULL,
    layer INTEGER NOT NULL,
    idx INTEGER NOT NULL, -- place in the layer, from 0
    polarity INTEGER NOT NULL CHECK (polarity IN (-1, 1)),
    text_sha256 BLOB NOT NULL CHECK (length(text_sha256) = 32), -- of the text's UTF-8 bytes
    text TEXT NOT NULL
);
CREATE UNIQUE INDEX target_content ON target (subject, layer, idx, polarity, text_sha256);
CREATE TRIGGER target_is_new BEFORE INSERT ON target
WHEN EXISTS (
    SELECT 1 FROM target WHERE id = new.id OR (
        subject = new.subject AND layer = new.layer AND idx = new.idx AND polarity = new.polarity
        AND text_sha256 = new.text_sha256
    )
) BEGIN
    SELECT RAISE(ABORT, 'there is such a target'); -- INSERT OR REPLACE would remove it first, and tell no trigger
END;
CREATE TRIGGER target_stays BEFORE UPDATE ON target BEGIN
    SELECT RAISE(ABORT, 'what decisions are about is never changed');
END;
CREATE TRIGGER target_is_kept BEFORE DELETE ON target BEGIN
    SELECT RAISE(ABORT, 'what decisions are about is never removed');
END;

CREATE TABLE queue (
    -- Lists of things to decide, fixed when they are made.
    id INTEGER NOT NULL PRIMARY KEY,
    uuid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    mode TEXT NOT NULL CHECK (mode IN ('verdict', 'pairwise', 'simulation', 'adjudication')),
    blind TEXT NOT NULL CHECK (blind IN ('none', 'scores', 'explanation')), -- what is hidden until the decision
    seed INTEGER NOT NULL,
    plan TEXT NOT NULL, -- JSON: how it was drawn
    made_by TEXT NOT NULL,
    made_ms INTEGER NOT NULL -- milliseconds since 1970, UTC
);

CREATE TRIGGER queue_stays BEFORE UPDATE ON queue BEGIN
    SELECT RAISE(ABORT, 'queues are never changed');
END;

CREATE TABLE stratum (
    -- Parts of the population that a queue was drawn from.
    queue_id INTEGER NOT NULL REFERENCES queue (id),
    number INTEGER NOT NULL, -- from 0
    name TEXT NOT NULL,
    population INTEGER NOT NULL, -- explanations in it
    sampled INTEGER NOT NULL, -- of them in the queue
    PRIMARY KEY (queue_id, number)
) WITHOUT ROWID;

CREATE TABLE queue_item (
    -- Things to decide.
    queue_id INTEGER NOT NULL REFERENCES queue (id),
    position INTEGER NOT NULL, -- from 0
    target_id INTEGER NOT NULL REFERENCES target (id),
    other_id INTEGER REFERENCES target (id), -- second explanation of a pair
    stratum INTEGER, -- number in the queue; NULL where none were drawn
    weight REAL CHECK (weight > 0), -- explanations that it stands for; NULL where nothing was drawn at random
    shared INTEGER NOT NULL CHECK (shared IN (0, 1)), -- 1 for every reviewer, 0 for whoever comes first
    PRIMARY KEY (queue_id, position)
) WITHOUT ROWID;
CREATE INDEX queue_item_target ON queue_item (target_id);
CREATE TRIGGER queue_item_stays BEFORE UPDATE ON queue_item BEGIN
    SELECT RAISE(ABORT, 'items of queues are never changed');
END;

CREATE TABLE dealt (
    -- Items that lie before somebody; of those that are not for everybody, others get no such item meanwhile.
    queue_id INTEGER NOT NULL REFERENCES queue (id),
    position INTEGER NOT NULL,
    reviewer TEXT NOT NULL,
    at_ms INTEGER NOT NULL, -- milliseconds since 1970, UTC
    PRIMARY KEY (queue_id, position, reviewer)
) WITHOUT ROWID;

CREATE TABLE event (
    -- What reviewers did, as it came in; rows are added, never changed. The order of what they did is at_ms, uuid.
    id INTEGER NOT NULL PRIMARY KEY,
    uuid TEXT NOT NULL UNIQUE, -- one that comes again is known by it
    kind TEXT NOT NULL CHECK (
        kind IN ('verdict', 'skip', 'preference', 'own', 'simulation', 'edit', 'adjudication', 'undo')
    ),
    reviewer TEXT NOT NULL,
    target_id INTEGER NOT NULL REFERENCES target (id),
    other_id INTEGER REFERENCES target (id), -- on the right of a pair
    queue TEXT, -- uuid of the queue that it was dealt from; it may be in another reviewer's file
    position INTEGER, -- place in the queue
    seconds REAL CHECK (seconds >= 0), -- from the moment that the item was shown
    data TEXT NOT NULL, -- JSON: what it says, by kind
    seen TEXT NOT NULL, -- JSON: what was on the page
    undoes TEXT CHECK ((undoes IS NULL) = (kind <> 'undo')), -- uuid of the event that no longer counts, if it is the reviewer's own
    at_ms INTEGER NOT NULL -- milliseconds since 1970, UTC
);
CREATE INDEX event_target ON event (target_id, reviewer);
CREATE INDEX event_other ON event (other_id) WHERE other_id IS NOT NULL;
CREATE INDEX event_reviewer ON event (reviewer, at_ms, uuid);
CREATE INDEX event_queue ON event (queue, position) WHERE queue IS NOT NULL;
CREATE INDEX event_undoes ON event (undoes, reviewer) WHERE undoes IS NOT NULL;

CREATE TRIGGER event_is_new BEFORE INSERT ON event
WHEN EXISTS (SELECT 1 FROM event WHERE id = new.id OR uuid = new.uuid) BEGIN
    SELECT RAISE(ABORT, 'there is such an event'); -- INSERT OR REPLACE would remove it first, and tell no trigger
END;
CREATE TRIGGER event_stays BEFORE UPDATE ON event BEGIN
    SELECT RAISE(ABORT, 'events are never changed');
END;
CREATE TRIGGER event_is_kept BEFORE DELETE ON event BEGIN
    SELECT RAISE(ABORT, 'events are never removed');
END;

CREATE TABLE saved_query (
    -- Queries of the catalogue's pages, by name.
    name TEXT NOT NULL PRIMARY KEY,
    query TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made_ms INTEGER NOT NULL -- milliseconds since 1970, UTC
) WITHOUT ROWID;

CREATE VIEW v_events AS
    -- Events that count: those that nobody has taken back.
SELECT
    event.id AS number, -- place in the log
    event.uuid AS uuid, -- names the event in every file that has it
    event.kind AS kind, -- verdict, skip, preference, own, simulation, edit or adjudication
    event.reviewer AS reviewer, -- who
    target.subject AS subject, -- first part of the neuron's address
    target.layer AS layer, -- from 0
    target.idx AS idx, -- place in the layer, from 0
    target.polarity AS polarity, -- 1 for the upper tail, -1 for the lower
    target.text AS text, -- of the explanation
    event.queue AS queue, -- uuid of the queue that it was dealt from
    event.position AS position, -- place in the queue, from 0
    event.seconds AS seconds, -- from the moment that the item was shown
    event.data AS data, -- JSON: what it says, by kind
    event.at_ms AS at_ms -- milliseconds since 1970, UTC
FROM event
JOIN target ON target.id = event.target_id
WHERE event.kind <> 'undo' AND NOT EXISTS (
    SELECT 1 FROM event AS undo WHERE undo.undoes = event.uuid AND undo.reviewer = event.reviewer
);
