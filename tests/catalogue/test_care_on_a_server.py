"""Merged into a PostgreSQL server and out of it again, checked and mended there."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from neuroexplain.catalogue import Catalogue
from tests.contents import DERIVED, contents
from tests.postgres import Server
from tests.postgres import server as server
from tests.program import neuroexplain
from tests.released import upgraded

LEFT = ("batch_request", "batch_result")


def test_a_file_merged_into_a_server_and_back_holds_what_it_held(
    server: Server, tmp_path: Path
) -> None:
    source, back = upgraded(5, tmp_path / "source.sqlite"), tmp_path / "back.sqlite"
    url = server.emptied()
    for target, of in ((url, source), (url, source), (back, url)):
        result = neuroexplain("db", "merge", str(target), str(of))
        assert result.code == 0, result.err
    assert neuroexplain("db", "check", url).code == 0
    some = {"without": (*DERIVED, *LEFT), "ignoring": ("run.waiting",)}
    assert contents(back, **some) == contents(source, **some)


def test_a_server_is_checked_and_mended(server: Server, tmp_path: Path) -> None:
    url = server.emptied()
    source = upgraded(5, tmp_path / "source.sqlite")
    assert neuroexplain("db", "merge", url, str(source)).code == 0
    with Catalogue(url) as catalogue, catalogue._database.writing() as connection:
        connection.execute(text("DELETE FROM entry"))
        connection.execute(text("DELETE FROM explanation_word WHERE word = 'paris'"))
    found = neuroexplain("db", "check", url, "--json")
    assert found.code == 1
    assert {fault["table"] for fault in found.json["faults"]} == {"entry", "explanation"}
    assert neuroexplain("db", "check", url, "--repair").code == 0


def test_what_only_files_have_says_so(server: Server, tmp_path: Path) -> None:
    url = server.emptied()
    for command in (("upgrade", url), ("backup", url, str(tmp_path / "copy.sqlite"))):
        result = neuroexplain("db", *command)
        assert result.code == 1
        assert "the server's own tools, such as pg_dump" in result.err
        assert len(result.err.splitlines()) == 1
