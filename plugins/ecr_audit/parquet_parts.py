"""Makes one Parquet file of several with the same columns, by joining their row groups as they are.

What is written part by part need not be encoded again to become one file: a row group is complete in itself, and only
the footer, a Thrift struct in the compact encoding, says where each begins. So the bytes are copied, and the footers
become one whose offsets are moved.

Sources: Parquet's parquet.thrift (the field numbers below) and Thrift's compact protocol.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

_MAGIC = b"PAR1"
_TAIL = struct.Struct("<I4s")  # length of the footer, magic

# Types of the compact protocol.
_TRUE, _FALSE, _BINARY, _LIST, _STRUCT = 1, 2, 8, 9, 12
_INTEGERS = (4, 5, 6)
_LONG = 15  # in a list's header: its length follows

# FileMetaData
_SCHEMA, _NUM_ROWS, _ROW_GROUPS = 2, 3, 4
# RowGroup
_COLUMNS, _GROUP_FILE_OFFSET, _ORDINAL = 1, 5, 7
# ColumnChunk: its file_offset, and those of its offset index and column index.
_META_DATA, _CHUNK_OFFSETS = 3, (2, 4, 6)
# ColumnMetaData: offsets of the data page, the index page, the dictionary page and the bloom filter.
_DATA_OFFSETS = (9, 10, 11, 14)


@dataclass
class _Value:
    """A value of the footer: of a struct, its fields by number; of a list, its items."""

    kind: int
    content: Any


def join_parts(parts: Sequence[Path], target: Path) -> None:
    """Write the rows of all parts, in this order, to one file; each part is removed as soon as it is in.

    Raises ValueError if there is none, one is no Parquet file, or their columns differ; then `target` is of no use.
    """
    if not parts:
        raise ValueError(f"{target}: no parts to join")
    footers: list[dict[int, _Value]] = []
    with target.open("wb") as sink:
        sink.write(_MAGIC)
        for part in parts:
            with part.open("rb") as source:
                footer, length = _read_footer(source, part)
                moved = sink.tell() - len(_MAGIC)
                source.seek(len(_MAGIC))
                sink.write(source.read(length))
            _move(footer, moved)
            footers.append(footer)
            if footer[_SCHEMA] != footers[0][_SCHEMA]:
                raise ValueError(f"{part}: other columns than {parts[0]}")
            part.unlink()
        whole = footers[0]
        whole[_NUM_ROWS].content = sum(footer[_NUM_ROWS].content for footer in footers)
        whole[_ROW_GROUPS].content = [group for footer in footers for group in footer[_ROW_GROUPS].content]
        for ordinal, group in enumerate(whole[_ROW_GROUPS].content):
            # Optional, and 16 bits: left out where there are more row groups than that.
            if _ORDINAL in group.content and ordinal < 1 << 15:
                group.content[_ORDINAL].content = ordinal
            else:
                group.content.pop(_ORDINAL, None)
        encoded = io.BytesIO()
        _write(encoded, _Value(_STRUCT, whole))
        sink.write(encoded.getvalue())
        sink.write(_TAIL.pack(encoded.tell(), _MAGIC))


def _read_footer(source: BinaryIO, part: Path) -> tuple[dict[int, _Value], int]:
    """The footer, and the length of what stands between the leading magic and it."""
    size = source.seek(0, io.SEEK_END)
    source.seek(max(size - _TAIL.size, 0))
    tail = source.read()
    length, magic = _TAIL.unpack(tail) if len(tail) == _TAIL.size else (0, b"")
    if magic != _MAGIC or length + _TAIL.size + len(_MAGIC) > size:
        raise ValueError(f"{part}: not a Parquet file")
    source.seek(size - _TAIL.size - length)
    footer: dict[int, _Value] = _read(io.BytesIO(source.read(length)), _STRUCT).content
    return footer, size - _TAIL.size - length - len(_MAGIC)


def _move(footer: dict[int, _Value], distance: int) -> None:
    """Say that all that the footer points to stands so many bytes further on."""
    for group in footer[_ROW_GROUPS].content:
        _add(group, (_GROUP_FILE_OFFSET,), distance)
        for chunk in group.content[_COLUMNS].content:
            _add(chunk, _CHUNK_OFFSETS, distance)
            _add(chunk.content[_META_DATA], _DATA_OFFSETS, distance)


def _add(value: _Value, fields: Sequence[int], distance: int) -> None:
    for field in fields:
        # No offset is 0, where the magic is: writers set that for "none".
        if field in value.content and value.content[field].content > 0:
            value.content[field].content += distance


# Thrift's compact protocol


def _read(source: BinaryIO, kind: int) -> _Value:
    if kind in _INTEGERS:
        number = _read_varint(source)
        return _Value(kind, (number >> 1) ^ -(number & 1))
    if kind == _BINARY:
        return _Value(kind, source.read(_read_varint(source)))
    if kind == _STRUCT:
        fields: dict[int, _Value] = {}
        field = 0
        while header := source.read(1)[0]:
            field = field + (header >> 4) if header >> 4 else _read(source, _INTEGERS[0]).content
            fields[field] = _read(source, header & 15)
        return _Value(kind, fields)
    if kind == _LIST:
        header = source.read(1)[0]
        size = header >> 4 if header >> 4 < _LONG else _read_varint(source)
        return _Value(kind, [_read(source, header & 15) for _ in range(size)])
    if kind in (_TRUE, _FALSE):
        return _Value(kind, None)
    raise ValueError(f"Parquet footer: a value of Thrift's type {kind}, which parquet.thrift uses nowhere")


def _write(sink: BinaryIO, value: _Value) -> None:
    if value.kind in _INTEGERS:
        _write_varint(sink, (value.content << 1) ^ (value.content >> 63))
    elif value.kind == _BINARY:
        _write_varint(sink, len(value.content))
        sink.write(value.content)
    elif value.kind == _STRUCT:
        before = 0
        for field, item in sorted(value.content.items()):
            if field - before < 16:
                sink.write(bytes([(field - before) << 4 | item.kind]))
            else:
                sink.write(bytes([item.kind]))
                _write_varint(sink, field << 1)
            _write(sink, item)
            before = field
        sink.write(b"\0")
    elif value.kind == _LIST:
        size = len(value.content)
        kind = value.content[0].kind if value.content else _STRUCT
        sink.write(bytes([min(size, _LONG) << 4 | kind]))
        if size >= _LONG:
            _write_varint(sink, size)
        for item in value.content:
            _write(sink, item)


def _read_varint(source: BinaryIO) -> int:
    number = shift = 0
    while True:
        byte = source.read(1)[0]
        number |= (byte & 127) << shift
        if byte < 128:
            return number
        shift += 7


def _write_varint(sink: BinaryIO, number: int) -> None:
    while number > 127:
        sink.write(bytes([number & 127 | 128]))
        number >>= 7
    sink.write(bytes([number]))
