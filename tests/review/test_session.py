from __future__ import annotations

from tests.review.conftest import Site


def test_a_reviewer_can_take_another_name(site: Site) -> None:
    client = site.client()
    assert client.get("/api/v1/session").json()["reviewer"] == "ann"
    assert client.put("/api/v1/session", json={"reviewer": " Bo B. "}).json()["reviewer"] == "Bo B."
    assert client.get("/api/v1/session").json()["reviewer"] == "Bo B."
    assert site.client().get("/api/v1/session").json()["reviewer"] == "ann"
