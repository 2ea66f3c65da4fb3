"""A text of one's own: the subject's own numbers, its failures in one line, one text at a time."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from neuroexplain.errors import BusyError
from neuroexplain.review import trying
from neuroexplain.review.trying import weaker_share
from neuroexplain.subjects import Subject
from tests.explained import LAYER, NEURON
from tests.review.conftest import Site, serving

TEXT = "The fox ran over the hill, and the dog slept."
HERE = "/api/v1/neurons/minilm/2/7%2B/activations"


@pytest.fixture
def place(minilm_explained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(minilm_explained, tmp_path / "minilm.sqlite"))


@pytest.fixture
def site(place: Path) -> Iterator[Site]:
    with serving(place) as found:
        yield found


@pytest.fixture(scope="module")
def subject() -> Subject:
    return Subject.load("minilm")


def tried(client: httpx.Client, text: str, where: str = HERE) -> dict[str, Any]:
    answer = client.post(where, json={"text": text})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_the_numbers_are_those_of_the_subject(site: Site, subject: Subject) -> None:
    evidence = site.catalogue.evidence(site.catalogue.collection(), NEURON)
    text = evidence.of_kind("top")[0].span.text.strip()
    found = tried(site.client("bob"), text)
    expected = subject.activations(text, LAYER)[:, NEURON.index]
    assert expected.max() > 0.1 * evidence.scale
    assert [t["activation"] for t in found["tokens"]] == pytest.approx(expected.tolist())
    assert "".join(t["text"] for t in found["tokens"]) == text.replace("\n", "↵")
    assert found["scale"] == pytest.approx(evidence.scale)
    assert found["peak"] == int(expected.argmax())
    levels = np.clip(10 * np.maximum(expected, 0) / evidence.scale, 0, 10)
    assert [t["level"] for t in found["tokens"]] == pytest.approx(levels.tolist(), abs=1e-4)
    assert [t["heat"] for t in found["tokens"]] == np.rint(2 * levels).tolist()
    assert (0.9 < found["weaker"] <= 0.999, found["weaker_bound"]) == (
        True,
        found["weaker"] == 0.999,
    )
    assert all(t["counts"] for t in found["tokens"])


def test_the_other_side_has_its_own_scale_and_peak(site: Site, subject: Subject) -> None:
    found = tried(site.client("bob"), TEXT, HERE.replace("%2B", "-"))
    expected = subject.activations(TEXT, LAYER)[:, NEURON.index]
    assert [t["activation"] for t in found["tokens"]] == pytest.approx(expected.tolist())
    assert found["peak"] == int(expected.argmin())
    assert 0 < found["weaker"] <= 1


def test_the_peak_stands_in_the_distribution_that_was_recorded() -> None:
    quantiles = [(0.1, -1.0), (0.5, 0.0), (0.9, 2.0)]
    cases = [
        (1.0, 1, 0.7, False),
        (9.0, 1, 0.9, True),
        (-0.5, -1, 0.7, False),
        (-9.0, -1, 0.9, True),
    ]
    for value, polarity, share, bound in cases:
        found = weaker_share(value, quantiles, polarity)
        assert found[0] == pytest.approx(share)
        assert found[1] is bound
    assert weaker_share(1.0, [], 1) == (None, False)


def test_a_token_that_the_text_spells_is_text_and_hostile_text_is_visible(site: Site) -> None:
    found = tried(site.client("bob"), "[SEP] <script>\u202e\u200b")
    text = "".join(t["text"] for t in found["tokens"])
    assert len(found["tokens"]) > 4, "[SEP] is not the special token"
    assert text.startswith("[SEP] <script>")
    assert not {"\u202e", "\u200b"} & set(text)


def test_texts_that_the_subject_cannot_be_given_are_refused(site: Site) -> None:
    bob = site.client("bob")

    def refused(text: str, where: str = HERE) -> tuple[int, str]:
        answer = bob.post(where, json={"text": text})
        return answer.status_code, answer.json()["detail"]

    assert refused("   ") == (400, "the text has 0 tokens; minilm takes 1 to 510")
    assert refused("fox " * 600) == (400, "the text has 600 tokens; minilm takes 1 to 510")
    assert refused("")[0] == 422
    assert refused("x" * 20_001)[0] == 422
    status, message = refused(TEXT, HERE.replace("/7%2B", "/99999%2B"))
    assert status == 404 and "99999" in message
    assert refused(TEXT, HERE.replace("/2/", "/0/"))[0] == 404


def test_other_weights_than_were_recorded_are_refused_and_not_loaded_again(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.execute("UPDATE subject SET weights_sha256 = ?", ("0" * 64,))
    with serving(place) as site:
        bob = site.client("bob")
        answer = bob.post(HERE, json={"text": TEXT})
        assert answer.status_code == 400
        detail = answer.json()["detail"]
        assert detail.startswith("the subject cannot be used: minilm has other weights")
        loaded: list[str] = []
        monkeypatch.setattr(site.desk.resolver, "running", lambda *_, **__: loaded.append("again"))
        again = bob.post(HERE, json={"text": TEXT})
        assert (again.status_code, again.json()["detail"], loaded) == (400, detail, [])


def test_a_subject_that_is_not_there_is_one_line(place: Path) -> None:
    with closing(sqlite3.connect(place)) as connection, connection:
        changed = "json_set(config, '$.subject', '/nowhere/model')"
        connection.execute(f"UPDATE collection SET config = {changed}")
    with serving(place) as site:
        answer = site.client("bob").post(HERE, json={"text": TEXT})
        assert answer.status_code == 400
        assert answer.json()["detail"].startswith("the subject cannot be used: ")


def test_texts_at_the_same_time_each_get_their_own_numbers(site: Site) -> None:
    bob = site.client("bob")
    texts = [f"The {animal} ran over the hill." for animal in ("fox", "dog", "cat", "cow")]
    alone = [tried(bob, text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda text: tried(bob, text), texts))
    assert together == alone


def test_so_many_texts_wait_that_decisions_still_find_room(site: Site) -> None:
    bob, collection = site.client("bob"), site.catalogue.collection()
    with ThreadPoolExecutor(trying.WAITING + 4) as pool:
        with site.desk.resolver.running(collection):
            sent = [
                pool.submit(bob.post, HERE, json={"text": TEXT}) for _ in range(trying.WAITING + 4)
            ]
            refused = next(as_completed(sent)).result()
            assert refused.status_code == 429
            assert refused.json()["detail"].endswith("already; try again")
            assert bob.get("/api/v1/session").status_code == 200
        statuses = sorted(each.result().status_code for each in sent)
    assert statuses == [200] * trying.WAITING + [429] * 4


def test_a_text_does_not_wait_for_ever_and_being_busy_is_not_remembered(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "WAIT", 0.05)
    bob = site.client("bob")
    collection = site.catalogue.collection()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with site.desk.resolver.running(collection):
            held.set()
            assert done.wait(30)

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(30)
    answer = bob.post(HERE, json={"text": TEXT})
    done.set()
    other.join(30)
    assert (answer.status_code, answer.json()["detail"]) == (
        429,
        str(BusyError("minilm is busy for others; try again")),
    )
    assert tried(bob, TEXT)["tokens"]
