"""Files of sets and snapshots, and what the files sink notes about them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from spark_jobs.session.file_system import STATE
from spark_jobs.sinks.files.compaction import notes_path
from spark_jobs.sinks.files.manifest import manifest_path, set_folder, snapshot_path
from spark_jobs.state.ledger import Ledger
from spark_jobs.targets import FileSet
from tests.support.tampered_files import read_csv, write_csv
from tests.support.tampering.rows import Place, Row, roles_of
from tests.support.tampering.tampering import Kind, Named, Tampering, exactly
from tests.support.tampering.values import other
from tests.support.world import World

# What is judged as another change of the manifest is.
MANIFEST: Final = {
    "truncated": "garbage",
    "another pipeline": "another format",
    "no batch applied": "a batch less",
    "its last batch": "a batch ahead",
    "no sketches": "its totals",
}
OTHER_DAY: Final = "day=2001-02-03"


def in_files(world: World) -> Iterator[Place]:
    """Every set in every format."""
    for file_set in world.pipeline.file_sets:
        for form in world.settings.output_format:
            yield Place(
                "files",
                f"{file_set.name} ({form})",
                file_set.key,
                (),
                tuple(file_set.schema.names),
                partial(_rows, world, file_set, form),
                partial(_instead, world, file_set, form),
                roles_of(world.pipeline),
                has_doubles=True,
                form=form,
            )


def of_files(world: World) -> Iterator[Tampering]:
    """Tamperings with whole files, snapshots and notes."""
    for file_set in world.pipeline.file_sets:
        for form in world.settings.output_format:
            yield from _of_set(world, file_set, form)
    yield from _of_snapshots(world)
    if world.pipeline.file_sets:
        yield from _of_notes(world)


def _folder(world: World, file_set: FileSet, form: str) -> Path:
    return Path(world.settings.output_path) / set_folder(world.settings, file_set.name, form)


def _files(world: World, file_set: FileSet, form: str) -> list[Path]:
    return sorted(_folder(world, file_set, form).rglob(f"*.{form}"))


def _rows(world: World, file_set: FileSet, form: str) -> list[Row]:
    return [row for path in _files(world, file_set, form) for row in _read(path)]


@contextmanager
def _instead(
    world: World, file_set: FileSet, form: str, old: Sequence[Row], new: Sequence[Row]
) -> Iterator[None]:
    """Rows replaced in the file that has the first of them, others left out of theirs."""
    paths = _files(world, file_set, form)
    contents = {path: _read(path) for path in paths}
    home = next((p for p in paths if old and old[0] in contents[p]), paths[0])
    with restored(*paths):
        for path, rows in contents.items():
            kept = [row for row in rows if row not in old]
            if path == home:
                kept += new
            if kept != rows:
                _write(path, kept)
        yield


def _read(path: Path) -> list[Row]:
    if path.suffix == ".parquet":
        return pq.read_table(path, partitioning=None).to_pylist()
    if path.suffix == ".json":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return read_csv(path)


def _write(path: Path, rows: Sequence[Row]) -> None:
    if path.suffix == ".parquet":
        schema = pq.read_schema(path)
        pq.write_table(pa.Table.from_pylist([*rows], schema=schema), path)
    elif path.suffix == ".json":
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        path.write_text("".join(lines), encoding="utf-8")
    else:
        write_csv(path, rows)


@contextmanager
def restored(*paths: Path) -> Iterator[None]:
    """Files and folders that are as they were at the end, whatever happens to them."""
    before = {path: path.read_bytes() if path.exists() else None for path in paths}
    folders = [path.parent for path in paths if not path.parent.exists()]
    try:
        yield
    finally:
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _doing(paths: Sequence[Path], change: Callable[..., object]) -> Iterator[None]:
    with restored(*paths):
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        change(*paths)
        yield


def _of_set(world: World, file_set: FileSet, form: str) -> Iterator[Tampering]:
    paths = _files(world, file_set, form)
    if not paths:
        return
    path, folder = paths[0], _folder(world, file_set, form)
    place = next(p for p in in_files(world) if p.name == f"{file_set.name} ({form})")
    rows = _read(path)
    ids = "|".join(exactly(place.id_of(row)) for row in rows)
    file, is_set = path.name.replace(".", r"\."), rf"\b{file_set.name}\b"
    of_rows: Named = (("files", is_set, ids),)
    of_file: Named = (("files", is_set, file),)
    either: Named = (("files", is_set, f"{file}|{ids}"),)

    def tampering(kind: Kind, name: str, named: Named, change: Any, *others: Path) -> Tampering:
        changed = partial(_doing, [path, *others], change)
        return Tampering(kind, f"{place.name}: {name}", f"files {name}", changed, named)

    twin = path.with_name(f"copy-{path.name}")
    yield tampering("delete", "a file", either, lambda p: p.unlink())
    yield tampering("double", "a file", either, lambda p, to: shutil.copy(p, to), twin)
    if file_set.day:
        to = folder / OTHER_DAY / path.name
        yield tampering("move", "a file to another day", either, lambda p, to: p.rename(to), to)
        to = folder / path.name
        yield tampering("move", "a file out of its day", either, lambda p, to: p.rename(to), to)
    stray = path.with_name("notes.txt")
    yield tampering(
        "foreign", "a stray file", (("files", is_set, r"notes\.txt"),),
        lambda _, to: to.write_text("not of the platform"), stray,
    )  # fmt: skip
    if form == "parquet":
        shared = folder / ("_hidden" if file_set.day else ".hidden") / path.name
        yield tampering(
            "move", "a file where readers do not look", either, lambda p, to: p.rename(to), shared
        )
        yield tampering("type", "a column as text", of_file, partial(_as_text, place.columns))
    yield tampering(
        "change", f"a truncated file ({form})", either if form == "json" else of_file, _truncate
    )
    yield tampering(
        "change", f"garbage in a file ({form})", of_file, lambda p: p.write_bytes(b"\x00\xffno")
    )
    yield tampering("change", "an empty file", either, lambda p: p.write_bytes(b""))
    # Of other days; within a day nothing would be amiss.
    if far := next((other for other in paths if other.parent != path.parent), None):
        yield tampering("swap", "two files", of_rows, _swap, far)


def _truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def _swap(one: Path, other_path: Path) -> None:
    first, second = one.read_bytes(), other_path.read_bytes()
    one.write_bytes(second)
    other_path.write_bytes(first)


def _as_text(columns: Sequence[str], path: Path) -> None:
    """The first column that is no text, as text."""
    table = pq.read_table(path, partitioning=None)
    name = next(n for n in columns if table.schema.field(n).type != pa.string())
    place = table.schema.names.index(name)
    texts = pa.array([str(value) for value in table[name].to_pylist()])
    pq.write_table(table.set_column(place, name, texts), path)


def _of_snapshots(world: World) -> Iterator[Tampering]:
    for snapshot in world.pipeline.snapshots:
        for form in world.settings.output_format:
            path = Path(world.settings.output_path) / snapshot_path(world.settings, snapshot, form)
            rows = _read(path)
            key = exactly(rows[0][snapshot.by] if snapshot.by else "all")
            place, named = f"{snapshot.name} ({form})", (("files", rf"\b{snapshot.name}\b", key),)
            of_file: Named = (("[Ff]iles", rf"\b{snapshot.name}\b"),)
            for column in snapshot.columns:
                is_label = column == snapshot.by
                estimate = column in snapshot.aggregate.sketches
                changed = [rows[0] | {column: _moved(rows[0][column], estimate)}, *rows[1:]]
                kind = "label" if is_label else "estimate" if estimate else "number"
                yield Tampering(
                    "change", f"snapshot {place}: {column}", f"snapshot: {kind}",
                    partial(_doing, [path], partial(_put, changed)), named,
                )  # fmt: skip
            for kind, name, change, wanted in (
                ("delete", "its file", Path.unlink, of_file),
                ("delete", "a row", partial(_put, rows[1:]), named),
                ("double", "a row", partial(_put, [*rows, rows[0]]), named),
                ("change", "truncated", _truncate, of_file),
                ("change", "garbage", lambda p: p.write_bytes(b"\x00\xffno"), of_file),
            ):
                yield Tampering(
                    kind, f"snapshot {place}: {name}", f"snapshot: {kind}",
                    partial(_doing, [path], change), wanted,
                )  # fmt: skip


def _moved(value: Any, is_estimate: bool) -> Any:
    return value + 100 if is_estimate else other(value)


def _put(rows: Sequence[Row], path: Path) -> None:
    _write(path, rows)


def _of_notes(world: World) -> Iterator[Tampering]:
    """The manifest, which says what the snapshots hold, and the note of merged batches."""
    family, root = world.pipeline.family, Path(world.settings.output_path)
    manifest = root / manifest_path(family)
    named: Named = (("[Ff]iles", rf"{STATE}/{family}\.json"),)
    last = Ledger(world.database, world.pipeline.name).last()
    assert last is not None
    query, ahead = last.query_id, last.batch_id + 1

    def tampering(kind: Kind, name: str, change: Callable[[Path], object]) -> Tampering:
        return Tampering(
            kind, f"files {STATE}/{family}.json: {name}", f"manifest {MANIFEST.get(name, name)}",
            partial(_doing, [manifest], change), named,
        )  # fmt: skip

    def edited(kind: Kind, name: str, edit: Callable[[dict[str, Any]], object]) -> Tampering:
        def change(path: Path) -> None:
            document = json.loads(path.read_text())
            edit(document)
            path.write_text(json.dumps(document))

        return tampering(kind, name, change)

    yield tampering("delete", "deleted", Path.unlink)
    yield tampering("change", "truncated", _truncate)
    yield tampering("change", "garbage", lambda path: path.write_bytes(b"\x00no"))
    yield edited("change", "another pipeline", lambda d: d.update(pipeline="others"))
    yield edited("change", "another format", lambda d: d.update(formats=["orc"]))
    yield edited("change", "a batch ahead", lambda d: d.update(applied={query: [[0, ahead]]}))
    yield edited("delete", "no batch applied", lambda d: d.update(applied={}))
    yield edited("delete", "a batch less", lambda d: d.update(applied={query: [[0, 0]]}))
    yield edited("foreign", "a foreign query", lambda d: d["applied"].update({"no": [[0, 1]]}))
    yield edited("change", "its last batch", lambda d: d.update(last=[query, ahead, []]))
    if world.pipeline.snapshots:
        yield edited("change", "its totals", _raise_a_total)
        yield edited("delete", "no sketches", lambda d: d.update(sketches={}))
    merged = json.dumps({"batches": {query: [[ahead, ahead]]}})
    yield Tampering(
        "foreign", f"files {notes_path(family)}: a batch ahead of the ledger", "merged ahead",
        partial(_doing, [root / notes_path(family)], lambda path: path.write_text(merged)),
        (("[Ff]iles", notes_path(family)),),
    )  # fmt: skip


def _raise_a_total(document: dict[str, Any]) -> None:
    group = next(iter(document["totals"][next(iter(document["totals"]))].values()))
    group[next(iter(group))] += 1
