"""Checksums in a Parquet file for what its own leave open: the footer, and the headers of pages.

A bent bit there can turn a column into nulls or cut rows off without an error. So a seal lies between the last page and
the footer, where any other reader passes over it: the CRC-32 of every column chunk in order, their number, the CRC-32
of these two and of all that follows the seal, and a mark; all numbers are little-endian, of 32 bits.
"""

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_MARK = b"bkfseal1"
_END = struct.Struct(f"<II{len(_MARK)}s")
_PIECE_BYTES = 8 << 20
_PARQUET_END = struct.Struct("<I4s")


class SealError(ValueError):
    """A sealed file is not what was sealed."""


def seal(path: Path) -> None:
    """Put the checksums into a finished file, which nobody must read meanwhile."""
    with pa.OSFile(str(path), "rb") as file:
        metadata = pq.read_metadata(file)
        tail = _read_tail(file)
        crcs = [crc for group in range(metadata.num_row_groups) for crc in _group_crcs(file, metadata, group)]
    head = struct.pack(f"<{len(crcs)}I", *crcs)
    end = _END.pack(len(crcs), _crc(head, len(crcs), tail), _MARK)
    with path.open("r+b") as writer:
        writer.seek(-len(tail), 2)
        writer.write(head + end + tail)


def check_seal(file: pa.NativeFile) -> tuple[int, ...] | None:
    """Return the checksums of the chunks, None where there is no seal; raise SealError where the footer is bent."""
    tail = _read_tail(file)
    place = file.size() - len(tail) - _END.size
    if place < 0:
        return None
    count, crc, mark = _END.unpack(file.read_at(_END.size, place))
    if mark != _MARK:
        return None
    if 4 * count > place:
        raise SealError("the seal is bent")
    head = file.read_at(4 * count, place - 4 * count)
    if _crc(head, count, tail) != crc:
        raise SealError("the checksum of the footer does not fit")
    return struct.unpack(f"<{count}I", head)


def check_chunks(
    file: pa.NativeFile, metadata: pq.FileMetaData, group: int, columns: Iterable[str], crcs: tuple[int, ...]
) -> None:
    """Raise SealError unless the chunks of `columns` in `group` are what was sealed."""
    wanted = set(columns)
    for chunk in range(metadata.num_columns):
        name = metadata.row_group(group).column(chunk).path_in_schema.partition(".")[0]
        if name in wanted and _chunk_crc(file, metadata, group, chunk) != crcs[group * metadata.num_columns + chunk]:
            raise SealError(f"the checksum of column '{name}' does not fit")


def _group_crcs(file: pa.NativeFile, metadata: pq.FileMetaData, group: int) -> list[int]:
    return [_chunk_crc(file, metadata, group, chunk) for chunk in range(metadata.num_columns)]


def _chunk_crc(file: pa.NativeFile, metadata: pq.FileMetaData, group: int, chunk: int) -> int:
    column = metadata.row_group(group).column(chunk)
    starts = [column.data_page_offset]
    if column.has_dictionary_page:
        starts.append(column.dictionary_page_offset)
    place, crc = min(starts), 0
    end = place + column.total_compressed_size
    while place < end and (piece := file.read_at(min(_PIECE_BYTES, end - place), place)):
        crc = zlib.crc32(piece, crc)
        place += len(piece)
    return crc


def _crc(head: bytes, count: int, tail: bytes) -> int:
    return zlib.crc32(tail, zlib.crc32(struct.pack("<I", count), zlib.crc32(head)))


def _read_tail(file: pa.NativeFile) -> bytes:
    """Return the footer with its length and the mark at the end; nothing where the length cannot be."""
    size: int = file.size()
    if size < _PARQUET_END.size:
        return b""
    length, _ = _PARQUET_END.unpack(file.read_at(_PARQUET_END.size, size - _PARQUET_END.size))
    whole = length + _PARQUET_END.size
    tail: bytes = file.read_at(whole, size - whole) if whole <= size else b""
    return tail
