"""Datasets of a hub, streamed: `hf:NAME[:CONFIG][:SPLIT]`. NAME may be a local directory of data files."""

from __future__ import annotations

from neuroexplain.corpora.files import Records, missing_package, one_line, present_field
from neuroexplain.errors import CorpusError

_SPLITS = ("train", "validation", "valid", "dev", "test")


def parse(spec: str) -> tuple[str, str | None, str]:
    """Name, configuration and split of a spec.

    One part behind the name is a split if it is a usual split's name, and else a configuration. An empty
    configuration reaches any other split: `hf:NAME::SPLIT`.

    >>> parse("hf:wikitext:wikitext-2-raw-v1"), parse("hf:imdb:test"), parse("hf:imdb::unsupervised")
    (('wikitext', 'wikitext-2-raw-v1', 'train'), ('imdb', None, 'test'), ('imdb', None, 'unsupervised'))

    Raises:
        CorpusError: no name, or too many parts.
    """
    name, *rest = spec.removeprefix("hf:").split(":")
    if not name or len(rest) > 2:
        raise CorpusError(f'corpus "{spec}" must have the form hf:NAME[:CONFIG][:SPLIT]')
    if len(rest) == 1 and rest[0] in _SPLITS:
        rest = ["", rest[0]]
    config, split = [*rest, "", ""][:2]
    return name, config or None, split or "train"


def read(spec: str, field: str) -> Records:
    """Values of a dataset's field in its own order. Source is `hf:NAME… row ROW`, from 1.

    Raises:
        CorpusError: the package `datasets` is missing, the dataset cannot be found or read, or a row has no such field.
    """
    name, config, split = parse(spec)
    try:
        import datasets
    except ImportError:
        raise missing_package("datasets", "datasets", spec) from None
    try:
        rows = datasets.load_dataset(name, config, split=split, streaming=True)
        for number, row in enumerate(rows, 1):
            where = f"{spec} row {number}"
            yield row[present_field(row, field, where)], where
    except (datasets.exceptions.DatasetsError, OSError, ValueError, RuntimeError) as error:
        raise CorpusError(f"{spec}: cannot be read ({one_line(error)})") from None
