"""Stage tokens: tokenize a pool once, for all runs on it with one base and template.

The records go to the workers in chunks of a fixed size and come back in order. A record's tokens
depend on nothing but the record, so the bytes are the same for any number of workers.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import typer

from instruct_scaling.common.errors import InputError
from instruct_scaling.common.files import atomic_path
from instruct_scaling.common.provenance import identity_hash
from instruct_scaling.common.versions import STAGE_VERSIONS
from instruct_scaling.config.recipe import Supervise
from instruct_scaling.data.encoding import encode_records
from instruct_scaling.data.pool.store import batch_records, count_records, iter_batches
from instruct_scaling.data.tokens.store import Chunk, id_words, write_store
from instruct_scaling.data.tokens.tokenizer import read_tokenizer, tokenizer_hashes

CHUNK = 2000  # records
AHEAD = 2  # chunks that wait for each worker

log = logging.getLogger(__name__)


def tokens(
    records: Annotated[Path, typer.Option(help="Folder of the pool's Parquet parts.")],
    base: Annotated[Path, typer.Option(help="Folder of the base model, for its tokenizer.")],
    template: Annotated[str, typer.Option(help="Text around a prompt, with {prompt}, or `chat`.")],
    max_length: Annotated[int, typer.Option(min=2, help="Longest example in tokens.")],
    out: Annotated[Path, typer.Option(help="Folder of the token store.")],
    supervise: Annotated[
        Supervise, typer.Option(help="Which turns of the assistant are trained.")
    ] = "all",
    workers: Annotated[
        int, typer.Option(min=1, help="Processes; their number changes nothing of the result.")
    ] = 1,
) -> None:
    """Tokenize the records of a pool."""
    count = count_records(records)
    if count == 0:
        raise InputError("the pool holds no records", where=records)
    settings = Settings(base, template, max_length, supervise)
    identity = tokens_identity(base, template, max_length, supervise)
    token_type = smallest_type(read_tokenizer(base))
    batches = iter_batches(records, CHUNK)
    workers = min(workers, -(-count // CHUNK))
    chunks = (
        map(encoder(settings), batches) if workers == 1 else in_order(settings, batches, workers)
    )
    counts = write_store(out, chunks, token_type, identity)
    # A file of its own: the same for equal tokens of a record, however large the pool is.
    with atomic_path(out.with_name(f"{out.name}.sha256")) as temporary:
        temporary.write_text(f"{identity_hash(identity)}\n", "utf-8")
    log.info("%s: %d records, %d tokens", out, counts["records"], counts["tokens"])


def tokens_identity(base: Path, template: str, max_length: int, supervise: str) -> dict[str, Any]:
    """What decides the tokens of a record: a store that differs in it does not fit a run.

    Raises:
        InputError: the base is not the folder of a model.
    """
    return {
        "stage_version": STAGE_VERSIONS["tokens"],
        "tokenizer": tokenizer_hashes(base),
        "template": template,
        "max_length": max_length,
        "supervise": supervise,
    }


def smallest_type(tokenizer: Any) -> np.dtype:
    """uint16 for a vocabulary of at most 65,536 pieces, else int32."""
    highest = max(tokenizer.get_vocab().values())
    return np.dtype(np.uint16 if highest < 2**16 else np.int32)


@dataclass(frozen=True)
class Settings:
    """What a worker needs to know."""

    base: Path
    template: str
    max_length: int
    supervise: Supervise


def encoder(settings: Settings) -> Callable[[pa.RecordBatch], Chunk]:
    """What tokenizes rows of a pool.

    Raises:
        InputError: the base has no tokenizer.
    """
    tokenizer = read_tokenizer(settings.base)

    def encode(batch: pa.RecordBatch) -> Chunk:
        examples = encode_records(
            batch_records(batch),
            tokenizer,
            settings.template,
            settings.max_length,
            supervise=settings.supervise,
        )
        return Chunk.of(id_words(batch.column("id"), "the pool"), examples)

    return encode


def in_order(
    settings: Settings, batches: Iterable[pa.RecordBatch], workers: int
) -> Iterator[Chunk]:
    """A chunk for each batch, made by so many processes; few wait in memory at a time.

    Raises:
        InputError: as `encode_records`, or a process was killed.
    """
    # A fork of this process would copy the locks of its threads; the server has none, and what it
    # has imported once (torch among it) is there in every worker.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["transformers.models.auto.tokenization_auto"])
    waiting: deque[Future[Chunk]] = deque()
    pool = ProcessPoolExecutor(workers, context, _start_worker, (settings,))
    try:
        for batch in batches:
            waiting.append(pool.submit(_encode, batch))
            if len(waiting) > AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise InputError(
            "a worker process was killed, for lack of memory as a rule",
            where="--workers",
            fix="give the stage more memory (--set-resources tokens:mem_mb=N), or fewer threads",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_encoders: list[Callable[[pa.RecordBatch], Chunk]] = []  # the one of this worker


def _start_worker(settings: Settings) -> None:
    """In a worker: one process is one core; it ends with the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends it
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    _encoders.append(encoder(settings))


def _encode(batch: pa.RecordBatch) -> Chunk:
    return _encoders[0](batch)
