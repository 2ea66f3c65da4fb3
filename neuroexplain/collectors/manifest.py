"""What a shard leaves beside its part, so that parts can be put together without the model or the texts' source."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from neuroexplain.collectors.part import Part, writing
from neuroexplain.config import CollectConfig
from neuroexplain.errors import CollectError
from neuroexplain.recorded import CorpusInfo, SubjectInfo, TokenCorpus, TokenDocument
from neuroexplain.records import Document

_NAME = "collection.npz"


@dataclass(frozen=True)
class Manifest:
    """A collection's settings, subject and corpus."""

    config: CollectConfig
    subject: SubjectInfo
    corpus: TokenCorpus


def save(part: Part, manifest: Manifest) -> None:
    """Write a manifest into a part's folder."""
    corpus = manifest.corpus
    about = {
        "config": asdict(manifest.config),
        "subject": asdict(manifest.subject),
        "corpus": asdict(corpus.info),
        "documents": [asdict(entry.document) for entry in corpus.documents],
    }
    path = part.folder / _NAME
    scratch = path.with_suffix(".tmp")
    with writing(part.folder), scratch.open("wb") as file:
        np.savez_compressed(
            file,
            about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8),
            lengths=np.array([len(entry.token_ids) for entry in corpus.documents]),
            token_ids=np.concatenate([entry.token_ids for entry in corpus.documents]),
            offsets=np.concatenate([entry.offsets for entry in corpus.documents]),
            spans=np.stack([corpus.span_document, corpus.span_start, corpus.span_length]),
            span_split=corpus.span_split,
        )
    scratch.replace(path)


def load(part: Part) -> Manifest:
    """Read the manifest of a part.

    Raises:
        CollectError: there is none.
    """
    path = part.folder / _NAME
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise CollectError(
            f"{part.folder} is no shard: {_NAME} is missing or damaged ({error})"
        ) from None
    about = json.loads(arrays["about"].tobytes())
    subject = about["subject"] | {"widths": tuple(about["subject"]["widths"])}
    span_document, span_start, span_length = arrays["spans"]
    corpus = TokenCorpus(
        CorpusInfo(**about["corpus"]),
        tuple(_documents([Document(**values) for values in about["documents"]], arrays)),
        span_document.astype(np.int64),
        span_start.astype(np.int64),
        span_length.astype(np.int64),
        arrays["span_split"].astype(np.int8),
    )
    return Manifest(CollectConfig(**about["config"]), SubjectInfo(**subject), corpus)


def _documents(
    documents: list[Document], arrays: dict[str, NDArray[np.generic]]
) -> list[TokenDocument]:
    cuts = np.cumsum(arrays["lengths"])[:-1].tolist()
    ids = np.split(arrays["token_ids"].astype(np.uint32), cuts)
    offsets = np.split(arrays["offsets"].astype(np.uint32), cuts)
    return [TokenDocument(*entry) for entry in zip(documents, ids, offsets, strict=True)]
