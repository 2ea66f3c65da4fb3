"""A real OpenAI-compatible server on loopback, for tests: replies, faults and delays are yours to choose.

def answer(body: dict[str, Any]) -> str:
    return f"You said: {body['messages'][-1]['content']}"

with neuroexplain.testing.serve(answer) as server:
    llm = neuroexplain.llm.create("openai:any", base_url=server.base_url)
    ...
    assert len(server.chats) == 3

It answers from one event loop in one thread. `faulty` adds the faults of real servers, `Batches` programs the Batch
API, and `python -m neuroexplain.testing` runs a server by itself.

`neuroexplain.testing.planted` has subjects whose neurons have a planted meaning, and texts for them to read: ground truth
for whatever explains and scores neurons.
"""

from neuroexplain.testing.batch_jobs import Batches
from neuroexplain.testing.faults import FAULTS, faulty
from neuroexplain.testing.replies import ALL, FEATURES, Answer, Response, completion
from neuroexplain.testing.server import Logged, Server, serve

__all__ = [
    "ALL",
    "FAULTS",
    "FEATURES",
    "Answer",
    "Batches",
    "Logged",
    "Response",
    "Server",
    "completion",
    "faulty",
    "serve",
]
