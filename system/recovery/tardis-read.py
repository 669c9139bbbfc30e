#!/usr/bin/env python3
"""Lists and restores the sets of a Tardis store without Tardis, for the day on which its programs are gone.

It reads the packs of a client as docs/inside/formats.md describes them: in the directory of a store, or in a
copy of a bucket's objects on a disk. It needs no catalog, and writes nothing to the store. It needs Python 3.9
on Linux, and of other modules only `zstandard` (not from Python 3.14 on) for zstd and `cryptography` for
encrypted clients: on Debian, python3-zstandard and python3-cryptography.

It cannot set birth and change times, does not know whether a store was put back to an older state, and uses no parity.
"""

from __future__ import annotations

import argparse
import base64
import bisect
import datetime
import fcntl
import getpass
import grp
import hashlib
import hmac
import io
import json
import os
import pwd
import re
import stat
import struct
import sys
import tempfile
import unicodedata
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, Dict, Iterator, List, NamedTuple, Optional, Tuple

MIB = 1 << 20
MAX_INDEX = MIB
MAX_BODY = 4096 * MIB
MAX_PIECE = 8 * MIB  # decoded frame, or other record in one piece
MAX_META = 64 * MIB  # decoded listing, event, image or commit
MAX_CONTENT = 64 * MIB  # content or part in one record; larger ones are split
MAX_CHUNK = MIB + MIB // 6 + 1024
MAX_COMMANDS = 1 << 18
MAX_CHAIN = 64
MAX_DEPTH = 2048  # directories in directories
MAX_EXTENTS = 262144
MAX_MSGPACK_DEPTH = 16
MAX_KEY_FILE = MIB
MAX_SMALL_FILE = 64 * 1024
MAX_RUNS = 4 * MIB  # an object of the journal; its text has twice as much
MAX_RUN_LINE = 24576
FRAMES_KEPT = 8
BASES_KEPT = 4
USED_FLAGS = 0x8 | 0x10 | 0x20 | 0x40 | 0x80 | 0x10000
# FS_IOC_GETFLAGS and FS_IOC_SETFLAGS, whose numbers contain the size of a long.
GET_FLAGS, SET_FLAGS = (2 << 30 | struct.calcsize("l") << 16 | 0x6601, 1 << 30 | struct.calcsize("l") << 16 | 0x6602)

FRAME, CONTENT, PART, ASSEMBLY, SIGNATURE, LISTING, EVENT, COMMIT, DELTA, IMAGE, LABEL, HEADS, PARITY = range(1, 14)
SEALED_KINDS = (FRAME, CONTENT, PART, DELTA, SIGNATURE)
FILE, DIRECTORY, LINK, FIFO, SOCKET, CHARACTER, BLOCK = range(1, 8)
UNREADABLE, CHANGED, ATTRIBUTES, SPARSE = 4, 8, 32, 64
ZEROS = bytes(16)


class Refused(Exception):
    """Says what is damaged, hostile or missing, for the user to read."""


# Errors that wrong bytes of a store can raise.
DAMAGED = (Refused, ValueError, TypeError, KeyError, IndexError, OverflowError, struct.error)


class Report:
    """Counts what went wrong; the exit status is 3 if anything did."""

    def __init__(self) -> None:
        self.count = 0

    def warn(self, text: str) -> None:
        self.count += 1
        if self.count <= 1000:
            print("tardis-read: " + text.encode("utf-8", "backslashreplace").decode(), file=sys.stderr)


def shown(name: bytes) -> str:
    """A name for a terminal: no control characters, whatever the store says."""
    text = name.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else "\\x%02x" % ord(c) for c in text)


# --- MessagePack, zstd, snappy -------------------------------------------------------------------------------


class Unpacker:
    """Decodes one MessagePack value without extension types; never allocates more than the bytes that are there."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise Refused("MessagePack ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, form: str) -> Any:
        return struct.unpack(">" + form, self.take(struct.calcsize(form)))[0]

    def value(self, depth: int = 0) -> Any:
        if depth > MAX_MSGPACK_DEPTH:
            raise Refused("MessagePack is nested too deeply")
        tag = self.take(1)[0]
        if tag < 0x80:
            return tag
        if tag >= 0xE0:
            return tag - 256
        if tag < 0xC0:
            if tag >= 0xA0:
                return self.text(tag & 31)
            return self.map(tag & 15, depth) if tag < 0x90 else self.list(tag & 15, depth)
        if tag in (0xC0, 0xC2, 0xC3):
            return {0xC0: None, 0xC2: False, 0xC3: True}[tag]
        if 0xC4 <= tag <= 0xC6:
            return self.take(self.number("BHI"[tag - 0xC4]))
        if 0xCA <= tag <= 0xD3:
            number = self.number("fdBHIQbhiq"[tag - 0xCA])
            return int(number) if isinstance(number, float) and number.is_integer() else number
        if 0xD9 <= tag <= 0xDB:
            return self.text(self.number("BHI"[tag - 0xD9]))
        if 0xDC <= tag <= 0xDD:
            return self.list(self.number("HI"[tag - 0xDC]), depth)
        if 0xDE <= tag <= 0xDF:
            return self.map(self.number("HI"[tag - 0xDE]), depth)
        raise Refused("MessagePack has an unknown type")

    def text(self, count: int) -> str:
        return self.take(count).decode("utf-8", "surrogateescape")

    def list(self, count: int, depth: int) -> List[Any]:
        if count > len(self.data) - self.at:
            raise Refused("MessagePack ends too early")
        return [self.value(depth + 1) for _ in range(count)]

    def map(self, count: int, depth: int) -> Dict[Any, Any]:
        result = {}
        for _ in range(count):
            key = self.value(depth + 1)
            if not isinstance(key, str):
                raise Refused("MessagePack has a key that is no text")
            result[key] = self.value(depth + 1)
        return result


class Fields:
    """A MessagePack map whose fields are checked when they are read."""

    def __init__(self, values: Any) -> None:
        if not isinstance(values, dict):
            raise Refused("a map is missing")
        self.values = values

    def number(self, name: str, default: Optional[int] = None) -> int:
        value = self.values.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
            raise Refused(f"the field {name} is no number")
        return value

    def text(self, name: str) -> str:
        return str(self.typed(name, str))

    def bytes(self, name: str) -> bytes:
        return bytes(self.typed(name, bytes))

    def typed(self, name: str, kind: type) -> Any:
        value = self.values.get(name)
        if not isinstance(value, kind):
            raise Refused(f"the field {name} is missing, or of a wrong type")
        return value

    def numbers(self, name: str) -> List[int]:
        values: List[Any] = self.typed(name, list)
        if not all(isinstance(value, int) for value in values):
            raise Refused(f"the field {name} is no list of numbers")
        return values

    def maps(self, name: str) -> List[Fields]:
        return [Fields(value) for value in self.typed(name, list)]



def zstd_decode(data: bytes, length: int) -> bytes:
    """At most one byte more than `length`, whatever the frame claims."""
    try:
        import zstandard
    except ImportError:
        try:
            from compression import zstd  # type: ignore  # Python 3.14
        except ImportError:
            raise SystemExit("tardis-read: zstd is needed: install python3-zstandard") from None
        return bytes(zstd.ZstdDecompressor().decompress(data, max_length=length + 1))
    with zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(io.BytesIO(data)) as reader:
        return bytes(reader.read(length + 1))


def snappy_decode(data: bytes, length: int) -> bytes:
    """Snappy's block format: the length, then literals and copies."""
    at = shift = claimed = 0
    while True:
        byte = data[at]
        claimed |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            break
    if claimed != length:
        raise Refused("a snappy block has another length than its record")
    out = bytearray()
    while at < len(data) and len(out) <= length:
        tag = data[at]
        kind, count = tag & 3, (tag >> 2) + 1
        at += 1
        if kind == 0:
            if count > 60:
                extra = count - 60
                count = int.from_bytes(data[at : at + extra], "little") + 1
                at += extra
            out += data[at : at + count]
            at += count
            continue
        size = (1, 2, 4)[kind - 1]
        offset = int.from_bytes(data[at : at + size], "little")
        at += size
        if kind == 1:
            count, offset = ((tag >> 2) & 7) + 4, offset | (tag >> 5) << 8
        if not 0 < offset <= len(out):
            raise Refused("a snappy block is damaged")
        piece = bytes(out[len(out) - offset :][:count])
        out += (piece * (count // len(piece) + 1))[:count]
    return bytes(out)


def decode(codec: int, data: bytes, length: int) -> bytes:
    try:
        if codec == 1:
            data = zstd_decode(data, length)
        elif codec == 2:
            data = zlib.decompressobj().decompress(data, length + 1)
        elif codec == 3:
            data = snappy_decode(data, length)
    except (Refused, SystemExit):
        raise
    except Exception as error:  # each decoder has errors of its own
        raise Refused(f"compressed data is damaged ({error})") from None
    if len(data) != length:
        raise Refused("decoded data has another length than its record says")
    return data


# --- keys and encryption --------------------------------------------------------------------------------------


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def mac32(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()


def mac(key: bytes, data: bytes) -> bytes:
    return mac32(key, data)[:16]


def hkdf(secret: bytes, label: str, length: int) -> bytes:
    """HKDF-SHA-256 (RFC 5869) without salt."""
    key, block, out = mac32(bytes(32), secret), b"", b""
    for count in range(1, (length + 31) // 32 + 1):
        block = mac32(key, block + label.encode() + bytes([count]))
        out += block
    return out[:length]


def gcm_or_poly(scheme: int) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers import aead
    except ImportError:
        raise SystemExit("tardis-read: encryption is needed: install python3-cryptography") from None
    return aead.AESGCM if scheme == 2 else aead.ChaCha20Poly1305


def decrypt(scheme: int, key: bytes, nonce: bytes, data: bytes, extra: bytes) -> bytes:
    """The data without its tag. Scheme 4 is not encrypted, but has a tag as well."""
    if len(data) < 16:
        raise Refused("encrypted data is too short")
    if scheme == 4:
        if not hmac.compare_digest(mac(key, nonce + extra + sha(data[:-16])), data[-16:]):
            raise Refused("the tag of a record is wrong: it was changed")
        return data[:-16]
    try:
        return bytes(gcm_or_poly(scheme)(key).decrypt(nonce, data, extra))
    except SystemExit:
        raise
    except Exception:  # InvalidTag, which cannot be imported without the module
        raise Refused("the tag of a record is wrong: it was changed, or the keys are not its keys") from None


def aes_ctr(key: bytes, start: bytes, data: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    return bytes(Cipher(algorithms.AES(key), modes.CTR(start)).decryptor().update(data))


def unescape(data: bytes) -> bytes:
    """Bytes behind escaped bytes."""
    if not re.fullmatch(rb"(?:[^\x00\x01./]|[\x01.][\x01\x02])*", data):
        raise Refused("a sealed name is damaged")
    pairs = {b"\x01\x01": b"\x00", b"\x01\x02": b"\x01", b".\x01": b".", b".\x02": b"/"}
    return re.sub(rb"[\x01.][\x01\x02]", lambda found: pairs[found.group()], data)


class Keys:
    """What is derived from the master keys of a client."""

    def __init__(self, masters: Dict[Tuple[int, int], bytes]) -> None:
        self.contents = {epoch: key for (purpose, epoch), key in masters.items() if purpose == 1}
        newest = {purpose: masters[purpose, max(e for p, e in masters if p == purpose)] for purpose, _ in masters}
        if not all(purpose in newest for purpose in (1, 2, 3, 4)):
            raise Refused("the key record lacks keys")
        self.digest = hkdf(newest[3], "tardis keys 1: digests", 32)
        self.names = hkdf(newest[2], "tardis keys 1: names", 64)
        entries = hkdf(newest[4], "tardis keys 1: entries", 64)
        self.entry, self.entry_sum = entries[:32], entries[32:]
        vector = mac(self.names[:32], b"\0root")  # in seals, the name of each root is the sealed name "root"
        seal = vector + aes_ctr(self.names[32:], vector, b"root")
        pairs = {0: b"\x01\x01", 1: b"\x01\x02", 46: b".\x01", 47: b".\x02"}
        self.root_name = b"".join(pairs.get(byte, bytes([byte])) for byte in seal)
        self.listings, self.places, self.sets = (
            hkdf(newest[4], "tardis keys 1: " + label, 32) for label in ("listings", "places", "sets")
        )

    def open(self, label: int, seal: bytes) -> bytes:
        plain = aes_ctr(self.names[32:], seal[:16], seal[16:]) if len(seal) >= 16 else b""
        if not hmac.compare_digest(mac(self.names[:32], bytes([label]) + plain), seal[:16]):
            raise Refused("a sealed value was changed")
        return plain

    def name(self, label: int, escaped: bytes) -> bytes:
        return self.open(label, unescape(escaped))

    def set_name(self, name: str) -> str:
        if not name.startswith("~"):
            return name
        text = name[1:] + "=" * (-len(name[1:]) % 4)
        return self.name(4, base64.urlsafe_b64decode(text)).decode("utf-8", "replace")

    def record_key(self, what: str, scheme: int, epoch: int, salt: bytes) -> bytes:
        if epoch not in self.contents:
            raise Refused(f"there is no key for epoch {epoch}")
        text = b"tardis record 1: " + what.encode() + struct.pack("<BI", scheme, epoch) + salt
        return mac32(self.contents[epoch], text)


def check_key_record(data: bytes, number: Optional[int]) -> None:
    if len(data) < 468 or len(data) > MAX_SMALL_FILE or data[:4] != b"TDK1":
        raise Refused("it is no key record")
    if zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise Refused("the checksum of the key record is wrong")
    if data[4] != 1 or data[5] != 1 or data[9] != 1 or data[10] > 1 or data[11] > 1:
        raise Refused("the key record is of a newer kind (STORE_NEWER)")
    memory = 128 * (1 << min(data[6], 40)) * data[7]
    if data[7] < 8 or not 16 * MIB <= memory <= 256 * MIB or not 1 <= data[8] or memory * data[8] > 512 * MIB:
        raise Refused("the key record has parameters out of bounds")
    if struct.unpack_from("<I", data, 76)[0] != len(data) - 468:
        raise Refused("the key record has a wrong length")
    if number is not None and struct.unpack_from("<I", data, 12)[0] != number:
        raise Refused("the key record has another number")


def unwrap_keys(data: bytes, password: str) -> Keys:
    text = unicodedata.normalize("NFC", password).encode()
    cost, block, passes = 1 << data[6], data[7], data[8]
    memory = 128 * cost * block * passes + 64 * MIB
    stretched = hashlib.scrypt(text, salt=data[32:48], n=cost, r=block, p=passes, maxmem=memory, dklen=32)
    key = hkdf(stretched, "tardis password 1: wrap keys", 32)
    try:
        plain = decrypt(2, key, data[48:60], data[464:-4], data[:464])
    except Refused:
        raise Refused("the password is wrong, or the key record was changed") from None
    masters = {}
    for at in range(0, len(plain) - 39, 40):
        if plain[at] != 5:
            masters[plain[at], struct.unpack_from("<I", plain, at + 4)[0]] = plain[at + 8 : at + 40]
    return Keys(masters)


def key_file_records(text: str, keys_id: str) -> List[bytes]:
    """The key records of one section of a key file or a sheet that was typed in."""
    lines = [line.strip() for line in text.lstrip("\ufeff").splitlines()]
    while lines and not lines[0]:
        lines.pop(0)
    if lines and lines[0] != "# tardis key file 1":
        raise Refused("it is no key file")
    records: List[str] = []
    is_ours = False
    for line in lines:
        if line.startswith("["):
            is_ours = False
        elif re.match(r"keys\s*=", line):
            is_ours = line.partition("=")[2].strip() == keys_id
            if is_ours and records:
                raise Refused("the key file has two sections of the same keys")
        elif not is_ours or not line or line.startswith("#"):
            continue
        elif re.fullmatch(r"record \d+", line):
            records.append("")
        elif not records:
            raise Refused(f"the key file has a line that is not understood: {line[:12]}…")
        else:
            data, _, total = line.partition("#")
            data, total = data.strip(), total.strip()
            if total and sha(f"{len(records[-1])} {data}".encode()).hex()[:4] != total:
                raise Refused(f"the key file has an error in the line {data[:12]}…, or one is missing before it")
            records[-1] += data
    return [base64.b64decode(record, validate=True) for record in records]


def choose_record(stored: bytes, key_file: Optional[Path]) -> bytes:
    """The record with the keys: the store's, or the one of the key file that fits it."""
    if key_file is None:
        if stored[10] == 0:
            raise Refused("the keys are not in the store: give the key file or the sheet (--keys FILE)")
        return stored
    for record in key_file_records(read_limited(key_file, MAX_KEY_FILE).decode("utf-8"), stored[16:32].hex()):
        check_key_record(record, None)
        bare = record[:10] + b"\0" + record[11:48] + bytes(12) + record[60:76] + bytes(4) + record[80:464]
        if record == stored or bare == stored[:-4]:
            return record
    raise Refused("the key file has no keys for this client (KEY_FILE_DIFFERS)")


# --- records and packs ----------------------------------------------------------------------------------------


def read_limited(path: Path, limit: int) -> bytes:
    """A plain file's bytes, of at most `limit`; links are not followed."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Refused(f"{path} is no plain file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Refused(f"{path} is too large")
    return data


class Header(NamedTuple):
    kind: int
    codec: int
    scheme: int
    epoch: int
    flags: int
    sequence: int
    decoded: int
    body: int
    index: int
    salt: bytes
    checksum: int


def parse_header(raw: bytes) -> Optional[Header]:
    """The header in 72 bytes; None if there is none, or one that must be refused."""
    if len(raw) < 72 or raw[:5] != b"TDR1\x01" or zlib.crc32(raw[:68]) != int.from_bytes(raw[68:72], "little"):
        return None
    header = Header(*struct.unpack_from("<BBBIIQQQI4x16sI", raw, 5))
    sound = 1 <= header.kind <= PARITY and header.codec <= 3 and 1 <= header.scheme <= 4 and header.flags <= 3
    sound = sound and header.index <= MAX_INDEX and header.body <= MAX_BODY and raw[44:48] == bytes(4)
    return header if sound and header.sequence < 1 << 53 and header.decoded < 1 << 53 else None


class Record:
    """The place of a record, and its header."""

    __slots__ = ("path", "at", "raw")

    def __init__(self, path: Path, at: int, raw: bytes) -> None:
        self.path, self.at, self.raw = path, at, raw

    @property
    def header(self) -> Header:
        header = parse_header(self.raw)
        if header is None:
            raise Refused("a header is damaged")
        return header

    @property
    def kind(self) -> int:
        return self.raw[5]

    @property
    def end(self) -> int:
        return self.at + 72 + self.header.index + self.header.body

    def where(self) -> str:
        return f"{self.path.name} at {self.at}"

    def read(self) -> Tuple[bytes, bytes]:
        """Index and body; the checksum was compared."""
        header = self.header
        if header.body > MAX_CONTENT * 2:
            raise Refused(f"{self.where()}: the record is too large")
        with open(self.path, "rb") as file:
            file.seek(self.at + 72)
            data = file.read(header.index + header.body)
        if len(data) < header.index + header.body:
            raise Refused(f"{self.where()}: the record is cut off")
        index, body = data[: header.index], data[header.index :]
        if zlib.crc32(index if header.flags & 1 else data) != header.checksum:
            raise Refused(f"{self.where()}: the record is damaged")
        return index, body

    def value(self) -> Any:
        """The decoded body of a listing, event, image or commit."""
        header = self.header
        if header.scheme != 1 or header.flags & 1 or header.decoded > MAX_META:
            raise Refused(f"{self.where()}: the record has a wrong form")
        return Unpacker(decode(header.codec, self.read()[1], header.decoded)).value()

    def meta(self) -> Fields:
        return Fields(self.value())

    def listing(self) -> List[Fields]:
        value = self.value()
        if not isinstance(value, list):
            raise Refused(f"{self.where()}: a listing is no list")
        return [Fields(section) for section in value]


def decode_body(record: Record, keys: Optional[Keys], limit: int) -> bytes:
    """The decoded body of a record of contents, with its seal, tags and checksums verified."""
    header = record.header
    index, body = record.read()
    if header.decoded > limit:
        raise Refused(f"{record.where()}: the record is too large")
    key = None
    if header.scheme > 1:
        if keys is None:
            raise Refused(f"{record.where()}: the record is encrypted, and there are no keys")
        key = keys.record_key("body", header.scheme, header.epoch, header.salt)
    elif keys is not None and header.kind in SEALED_KINDS:
        raise Refused(f"{record.where()}: the record is not encrypted, but the client is")
    if not header.flags & 1:
        if key is not None:
            plain = record.raw[:12] + struct.pack("<I", header.flags & ~2) + record.raw[16:64]
            body = decrypt(header.scheme, key, b"\xff" * 4 + bytes(8), body, plain + index)
        return decode(header.codec, body, header.decoded)
    if key is not None and keys is not None:
        seal_key = keys.record_key("seal", header.scheme, header.epoch, header.salt)
        text = struct.pack("<BBQ", header.kind, header.codec, header.decoded) + index[:-16]
        if not hmac.compare_digest(mac(seal_key, text), index[-16:]):
            raise Refused(f"{record.where()}: the seal of the record is wrong")
    return b"".join(decode_chunks(header, body, key))


def decode_chunks(header: Header, body: bytes, key: Optional[bytes]) -> Iterator[bytes]:
    at = number = 0
    left = header.decoded
    while left or at < len(body):
        if at + 8 > len(body):
            raise Refused("a chunked record ends too early")
        length, checksum = struct.unpack_from("<II", body, at)
        is_raw, length = length >> 31, length & 0x7FFFFFFF
        data = body[at + 8 : at + 8 + length]
        if length > MAX_CHUNK or len(data) < length or zlib.crc32(data) != checksum:
            raise Refused("a chunk is damaged")
        if key is not None:
            nonce = struct.pack("<I", number) + bytes(8)
            data = decrypt(header.scheme, key, nonce, data, struct.pack("<IB", number, is_raw))
        size = min(left, MIB)
        yield decode(0 if is_raw else header.codec, data, size)
        at, number, left = at + 8 + length, number + 1, left - size


class Pack:
    """The records of one pack, or of one commit object of a bucket."""

    def __init__(self, number: int, path: Path) -> None:
        self.number, self.path = number, path
        self.records: List[Record] = []
        self.starts: List[int] = []
        self.is_strange = False

    def scan(self, client_id: str) -> None:
        with open(self.path, "rb") as file:
            size, at = os.fstat(file.fileno()).st_size, 0
            while at < size:
                raw = os.pread(file.fileno(), 72, at)
                header = parse_header(raw)
                if header is None or at + 72 + header.index + header.body > size:
                    at = find_header(file, at + 1, size)
                    continue
                self.records.append(Record(self.path, at, raw))
                self.starts.append(at)
                if header.kind == LABEL and at == 0:
                    self.check_label(client_id)
                at += 72 + header.index + header.body

    def check_label(self, client_id: str) -> None:
        try:
            index, _ = self.records[0].read()
        except Refused:
            return
        owner, number = index[:16], int.from_bytes(index[16:24], "little")
        self.is_strange = number != self.number or (any(owner) and client_id not in ("", owner.hex()))

    def range(self, start: int, end: int) -> List[Record]:
        return self.records[bisect.bisect_left(self.starts, start) : bisect.bisect_left(self.starts, end)]


def find_header(file: BinaryIO, at: int, size: int) -> int:
    """The place of the next sound header at or behind `at`, or the file's size."""
    while at < size:
        block = os.pread(file.fileno(), MIB + 72, at)
        found = block.find(b"TDR1\x01")
        while 0 <= found < MIB:
            if parse_header(block[found : found + 72]) is not None:
                return at + found
            found = block.find(b"TDR1\x01", found + 1)
        at += MIB
    return size


class Client:
    """Where the files of one client are: its packs, objects, key record and id."""

    def __init__(self, name: str, report: Report) -> None:
        self.name, self.report = name, report
        self.packs: List[Pack] = []
        self.objects: Optional[Path] = None
        self.key_records: List[Tuple[int, bytes]] = []
        self.id = ""
        self.needs_keys = False

    def read_format(self, data: bytes) -> None:
        found = re.match(rb'(\{"format":.*),"sum":"([0-9a-f]{8})"\}\s*$', data, re.S)
        if not found or "%08x" % zlib.crc32(found.group(1) + b"}") != found.group(2).decode():
            return self.report.warn(f"{self.name}: format.json is damaged (FORMAT_DAMAGED)")
        values = Fields(json.loads(data))
        if values.number("format") != 1:
            raise Refused(f"{self.name} has a newer format (STORE_NEWER)")
        self.id, self.needs_keys = values.text("clientId"), values.text("keys") == "encryption"

    def add_key_record(self, path: Path, data: Optional[bytes] = None) -> None:
        try:
            number = int(path.stem)
            data = read_limited(path, MAX_SMALL_FILE) if data is None else data
            check_key_record(data, number)
            self.key_records.append((number, data))
        except (OSError, *DAMAGED) as error:
            self.report.warn(f"{path.name}: {error}")

    def key_record(self) -> Optional[bytes]:
        return max(self.key_records)[1] if self.key_records else None

    def keys(self, key_file: Optional[Path], password: Any) -> Optional[Keys]:
        """The keys of a client that encrypts; None for another one."""
        stored = self.key_record()
        if stored is None and self.needs_keys and key_file is not None:
            raise Refused("the client has no key record; put it into keys/00000001.key (KEYS_LOST)")
        if stored is None and self.needs_keys:
            raise Refused("the client encrypts, and its key records are missing (KEYS_LOST)")
        if stored is None or stored[11] == 0:
            return None
        return unwrap_keys(choose_record(stored, key_file), password())

    def add_pack(self, number: int, path: Path) -> None:
        if path.is_symlink() or not path.is_file():
            return self.report.warn(f"{path} is no plain file")
        pack = Pack(number, path)
        try:
            pack.scan(self.id)
        except OSError as error:
            return self.report.warn(f"{path} cannot be read: {error}")
        if pack.is_strange:
            return self.report.warn(f"{path} is a strange pack: its label names another pack or client")
        self.packs.append(pack)


def open_directory(folder: Path, report: Report) -> Client:
    """A client in the directory of a store."""
    client = Client(folder.name, report)
    try:
        client.read_format(read_limited(folder / "format.json", MAX_SMALL_FILE))
    except (OSError, *DAMAGED) as error:
        if "STORE_NEWER" in str(error):
            raise
        report.warn(f"{folder.name}: format.json: {error}")
    for place in ("packs/keys", "keys"):
        if (folder / place).is_dir():
            for path in (folder / place).glob("*.key"):
                client.add_key_record(path)
    client.objects = folder
    paths = [path for path in (folder / "packs").glob("*.pack") if path.stem.isdigit()]
    for path in sorted(paths, key=lambda path: int(path.stem)):
        client.add_pack(int(path.stem), path)
    return client


def open_bucket(folder: Path, report: Report) -> Client:
    """A client in a copy of a bucket: the newest generation of c/CLIENT."""
    client = Client(folder.name, report)
    generation, base = "g1", folder / "g1"
    for number in range(2, 10002):
        moved = moved_to(base)
        if not moved:
            break
        if not re.fullmatch(f"g{number}-[0-9a-f]{{16}}", moved):
            raise Refused(f"{base}: the log ends with a wrong name of a generation")
        generation, base = moved, folder / moved
    place = folder if generation == "g1" else base
    try:
        values = json.loads(read_limited(place / "client.json", MIB))
        files = {name: base64.b64decode(data) for name, data in values["files"].items()}
        client.read_format(files.get("format.json", b""))
        for name, data in files.items():
            if re.fullmatch(r"keys/\d{8,16}\.key", name):
                client.add_key_record(Path(name), data)
    except (OSError, AttributeError, *DAMAGED) as error:
        if "STORE_NEWER" in str(error):
            raise
        report.warn(f"{place / 'client.json'}: {error}")
    if (place / "keys").is_dir():
        for path in (place / "keys").glob("*.key"):
            client.add_key_record(path)
    for number, path in sorted(bucket_packs(base)):
        client.add_pack(number, path)
    return client


def bucket_packs(base: Path) -> Iterator[Tuple[int, Path]]:
    for path in (base / "log").iterdir():
        if path.name.isdigit():
            yield int(path.name) * 1000000, path
    if (base / "packs").is_dir():
        for path in (base / "packs").iterdir():
            found = re.fullmatch(r"(\d{1,12})-(\d{4,6})", path.name)
            if found:
                yield int(found.group(1)) * 1000000 + int(found.group(2)), path


def moved_to(base: Path) -> str:
    """The generation that the last object of a log names, or an empty text."""
    paths = sorted((base / "log").iterdir()) if (base / "log").is_dir() else []
    for path in reversed(paths):
        data = b""
        with open(path, "rb") as file:
            data = file.read(200)
        if data.startswith(b"{"):
            name = json.loads(data).get("moved", "") if len(data) < 200 else ""
            return name if isinstance(name, str) else ""
        return ""
    return ""


# --- history --------------------------------------------------------------------------------------------------


class Commit(NamedTuple):
    number: int
    previous: int
    checksum: int
    fields: Fields
    record: Record


class History:
    """The commits of a client in order, and the records that they cover."""

    def __init__(self, client: Client) -> None:
        self.client, self.report = client, client.report
        self.packs = {pack.number: pack for pack in client.packs}
        self.image: List[Record] = []
        self.meta: List[Record] = []  # listings and events, in order
        self.objects: Dict[str, int] = {}
        commits = self.find_commits()
        first = self.find_image(commits)
        self.follow(commits[first:], first > 0 or bool(self.image))
        if not commits:
            self.report.warn("no commit can be read: there is no set")

    def find_commits(self) -> List[Commit]:
        commits: List[Commit] = []
        for pack in self.client.packs:
            for record in pack.records:
                if record.kind != COMMIT:
                    continue
                try:
                    fields = record.meta()
                    number, previous = fields.number("commit"), fields.number("previous")
                except DAMAGED as error:
                    self.report.warn(f"{record.where()}: {error}")
                    continue
                while commits and commits[-1].number >= number:  # an abandoned end of the history
                    commits.pop()
                commits.append(Commit(number, previous, record.header.checksum, fields, record))
        return commits

    def covered(self, commit: Commit, is_strict: bool) -> List[Record]:
        """The records in the ranges of a commit, whose checksums are compared."""
        found: List[Record] = []
        for item in commit.fields.maps("ranges"):
            pack, start, end = self.packs.get(item.number("pack")), item.number("from"), item.number("to")
            records = pack.range(start, end) if pack else []
            total, at = 0, start
            for record in records:
                total, at = zlib.crc32(record.raw[:68], total), at if record.at != at else record.end
            if is_strict and (at != end or total != item.number("checksum")):
                self.report.warn(f"pack {item.number('pack')}: records of commit {commit.number} are missing")
            found += records
        return found

    def find_image(self, commits: List[Commit]) -> int:
        """The place of the commit with the newest whole image; 0 without one."""
        for place in range(len(commits) - 1, -1, -1):
            records = [r for r in self.covered(commits[place], False) if r.kind == IMAGE]
            records.sort(key=lambda record: record.header.sequence)
            if records and is_whole_image(records):
                self.image = records
                return place
        return 0

    def follow(self, commits: List[Commit], begins_with_image: bool) -> None:
        last: Optional[Commit] = None
        for commit in commits:
            fits = commit.number == last.number + 1 and commit.previous == last.checksum if last else (
                begins_with_image or (commit.number == 1 and commit.previous == 0)
            )
            if not fits:
                self.report.warn(f"commits before number {commit.number} are lost: older sets may lack entries")
            records = [r for r in self.covered(commit, True) if r.kind in (LISTING, EVENT)]
            end_of_image = self.image[-1].header.sequence if self.image else -1
            records = [record for record in records if record.header.sequence > end_of_image]
            self.meta += sorted(records, key=lambda record: record.header.sequence)
            for item in commit.fields.maps("objects") if "objects" in commit.fields.values else []:
                self.objects[item.bytes("digest").hex()] = item.number("bytes")
            last = commit

    def image_items(self) -> Iterator[Fields]:
        for record in self.image:
            yield from record.meta().maps("items")


def is_whole_image(records: List[Record]) -> bool:
    try:
        for piece, record in enumerate(records):
            fields = record.meta()
            if fields.number("image") != records[0].header.sequence or fields.number("piece") != piece:
                return False
            if record.header.sequence != records[0].header.sequence + piece:
                return False
        return fields.values.get("isLast") is True
    except DAMAGED:
        return False


# --- sets and entries -----------------------------------------------------------------------------------------

ROW = struct.Struct("<IHHBBHIIIQqqqQQ")
KNOWN_EVENTS = set(
    "seals set-sealed set-opened by-account set-marked set-configured setting forget-requested forget-withdrawn "
    "set-closed notes owners damage sets-deleted moved removed deleted doubtful snapshot cut sound".split()
)
KNOWN_ITEMS = set("head objects damaged roots sets config settings accounts forgets notes owners directories entries seals".split())


def parse_attributes(data: bytes) -> Dict[bytes, bytes]:
    result: Dict[bytes, bytes] = {}
    at, before = 0, None
    if len(data) > 128 * 1024 + 256:
        raise Refused("an entry has too many attributes")
    while at < len(data):
        if at + 6 > len(data):
            raise Refused("attributes are cut off")
        name_length, length = struct.unpack_from("<HI", data, at)
        name = data[at + 6 : at + 6 + name_length]
        end = at + 6 + name_length + length
        if end > len(data) or name_length > 255 or b"\0" in name or (before is not None and name <= before):
            raise Refused("attributes are damaged")
        result[name], at, before = data[end - length : end], end, name
    return result


class Row:
    """One entry of a directory, checked and, with keys, proven by its seal and opened."""

    def __init__(self, raw: bytes, keys: Optional[Keys], is_root: bool = False) -> None:
        if len(raw) < ROW.size:
            raise Refused("a row is cut off")
        (_, name_length, target_length, self.type, self.flags, self.mode, self.uid, self.gid, self.links, self.size,
         self.mtime, self.ctime, self.birth, self.inode, self.device) = ROW.unpack_from(raw)  # fmt: skip
        at = ROW.size + (32 if self.flags & 1 else 0)
        self.digest = raw[ROW.size : at]
        self.name = self.stored_name = raw[at : at + name_length]
        self.target = raw[at + name_length : at + name_length + target_length]
        rest = raw[at + name_length + target_length :]
        self.check(keys, bool(rest), len(raw) >= at + name_length + target_length)
        self.attributes = parse_attributes(rest)
        self.seal = b""
        self.root_device = ""  # that of its root
        if keys is not None:
            self.prove(keys, is_root)
        for name in () if is_root else (self.name,):
            if not 1 <= len(name) <= 4096 or name in (b".", b"..") or b"/" in name or b"\0" in name:
                raise Refused("a name is not that of an entry")
        if b"\0" in self.target:
            raise Refused("a link has a wrong target")

    def check(self, keys: Optional[Keys], has_rest: bool, is_whole: bool) -> None:
        limit = 4096 if keys is None else 8224
        is_sound = is_whole and FILE <= self.type <= BLOCK and self.size < 1 << 53 and self.mode <= 0o7777
        is_sound = is_sound and (not self.digest or self.type == FILE) and len(self.target) <= limit
        is_sound = is_sound and has_rest == bool(self.flags & ATTRIBUTES)
        has_target = self.type == LINK and not self.flags & UNREADABLE
        if not is_sound or bool(self.target) != has_target:
            raise Refused("a row is damaged")

    def prove(self, keys: Keys, is_root: bool) -> None:
        value = self.attributes.get(b"seal", b"")
        sealed = self.attributes.get(b"sealed")
        sparse = bytes([1 if self.flags & SPARSE else 0])
        unlisted = (sha(sparse + self.digest)[:16] if self.digest else ZEROS) + (sha(sealed)[:16] if sealed else ZEROS)
        name = keys.root_name if is_root else self.stored_name
        text = struct.pack("<BHIIQqqQQHH", self.type, self.mode, self.uid, self.gid, self.size, self.mtime, self.ctime,
                           self.inode, self.device, len(name), len(self.target))  # fmt: skip
        self.seal = mac(keys.entry, text + name + self.target + unlisted)
        if not hmac.compare_digest(value, self.seal + unlisted[:16]):
            raise Refused("the seal of an entry is wrong (NOT_AUTHENTIC)")
        self.name = self.name if is_root else keys.name(0, self.name)
        self.target = keys.name(1, self.target) if self.target else b""
        self.attributes = parse_attributes(keys.open(2, sealed)) if sealed else {}

    @property
    def link_key(self) -> Tuple[Any, ...]:
        """What the names of one file have in common: everything but its name and the number of its names."""
        times = self.mtime, self.ctime, self.birth
        owners = self.type, self.mode, self.uid, self.gid, self.size, self.inode, self.device
        return (self.root_device, times, owners, self.digest, self.target, tuple(self.attributes.items()))

    @property
    def modified_ns(self) -> int:
        exact = self.attributes.get(b"", b"")
        if len(exact) != 12:
            return self.mtime
        seconds, rest = struct.unpack("<qI", exact)
        return int(seconds) * 10**9 + int(rest)


def split_rows(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        length = struct.unpack_from("<I", data, at)[0] if at + 4 <= len(data) else 0
        if length < ROW.size or at + length > len(data):
            raise Refused("rows are damaged")
        yield data[at : at + length]
        at += length


def stored_name(raw: bytes) -> bytes:
    at = ROW.size + (32 if raw[9] & 1 else 0)
    return raw[at : at + struct.unpack_from("<H", raw, 4)[0]]


class BackupSet:
    def __init__(self, fields: Fields) -> None:
        self.number, self.stored_name = fields.number("set"), fields.text("name")
        self.opened_ms, self.client_ms = fields.number("openedAtMs"), fields.number("clientTimeMs")
        self.state = "unfinished"
        self.title = ""  # another name, which the user gave later
        self.roots: List[int] = []
        self.seal = b""

    def set_title(self, marks: Any) -> None:
        self.title = Fields(marks).text("title") if marks else ""


Entries = Dict[int, Dict[bytes, Tuple[bytes, int]]]


class Catalog:
    """Sets, roots and names of owners, from the newest image and the events behind it."""

    def __init__(self, history: History, keys: Optional[Keys]) -> None:
        self.history, self.keys, self.report = history, keys, history.report
        self.sets: Dict[int, BackupSet] = {}
        self.roots: Dict[int, Tuple[bytes, int]] = {}
        self.devices: Dict[int, str] = {}
        self.owners: List[Tuple[int, bool, int, bytes]] = []
        self.doubtful = 0
        for item in history.image_items():
            self.add_item(item)
        for record in history.meta:
            if record.kind != EVENT:
                continue
            try:
                self.add_event(record.meta())
            except DAMAGED as error:
                if "STORE_NEWER" in str(error):
                    raise
                self.report.warn(f"{record.where()}: {error}")

    def add_item(self, item: Fields) -> None:
        kind = item.text("type")
        if kind not in KNOWN_ITEMS:
            raise Refused(f"the image has an unknown item {kind} (STORE_NEWER)")
        if kind == "head":
            self.doubtful = max(self.doubtful, item.number("doubtfulUpTo", 0))
        elif kind == "roots":
            self.add_roots(item.maps("roots"))
        elif kind == "owners":
            self.add_owners(item)
        elif kind == "sets":
            for fields in item.maps("sets"):
                self.add_set(fields, fields.numbers("roots"))
                added = self.sets[fields.number("set")]
                added.state, added.seal = fields.text("state"), fields.values.get("seal") or b""
                added.set_title(fields.values.get("marks"))

    def add_set(self, fields: Fields, roots: List[int]) -> None:
        added = BackupSet(fields)
        added.roots = roots
        self.sets[added.number] = added

    def add_roots(self, roots: List[Fields]) -> None:
        for root in roots:
            self.roots[root.number("root")] = root.bytes("path"), root.number("directory")
            if root.values.get("device"):  # a protected root keeps its earlier one
                self.devices[root.number("root")] = root.text("device")

    def add_owners(self, fields: Fields) -> None:
        for owner in fields.maps("owners"):
            name = owner.bytes("name")
            self.owners.append((fields.number("set"), bool(owner.values.get("isGroup")), owner.number("id"), name))

    def add_event(self, event: Fields) -> None:
        kind = event.text("type")
        if kind not in KNOWN_EVENTS:
            raise Refused(f"there is an unknown event {kind} (STORE_NEWER)")
        if kind == "set-opened":
            roots = event.maps("roots")
            self.add_roots(roots)
            self.add_set(event, [root.number("root") for root in roots])
        elif kind == "set-closed" and event.number("set") in self.sets:
            self.close(self.sets[event.number("set")])
        elif kind == "set-marked" and event.number("set") in self.sets:
            self.sets[event.number("set")].set_title(event.values.get("marks"))
        elif kind == "set-sealed" and event.number("set") in self.sets:
            self.sets[event.number("set")].seal = event.bytes("seal")
        elif kind == "sets-deleted":
            for number in event.numbers("sets"):
                self.sets.pop(number, None)
        elif kind == "owners":
            self.add_owners(event)
        elif kind == "doubtful":
            self.doubtful = max(self.doubtful, event.number("upToSet"))

    def close(self, closed: BackupSet) -> None:
        closed.state = "complete"
        for other in self.sets.values():
            is_older = other.state == "unfinished" and other.number < closed.number
            if is_older and set(other.roots) <= set(closed.roots):
                other.state = "superseded"

    def listed(self) -> List[BackupSet]:
        return [self.sets[number] for number in sorted(self.sets) if self.sets[number].state != "superseded"]

    def name(self, backup: BackupSet) -> str:
        name = backup.title or backup.stored_name
        return name if self.keys is None else self.keys.set_name(name)

    def owner_names(self, number: int) -> Dict[Tuple[bool, int], bytes]:
        """The names of users and groups as of a set; opened with keys."""
        names: Dict[Tuple[bool, int], bytes] = {}
        for first, is_group, owner, name in self.owners:
            if first > number:
                continue
            if name and self.keys is not None:
                plain = self.keys.name(3, name)
                if plain[:5] != struct.pack("<BI", is_group, owner):
                    self.report.warn(f"the name of owner {owner} belongs to another number")
                    continue
                name = plain[5:]
            names[is_group, owner] = name
        return names

    def entries(self, number: int) -> Tuple[Entries, Dict[int, bytes]]:
        """What each directory has in a set, and the directories' seals."""
        entries: Entries = {0: {}}
        seals: Dict[int, bytes] = {}
        for item in self.history.image_items():
            if item.text("type") == "entries":
                add_image_entries(entries, item, number)
            elif item.text("type") == "seals":
                values = item.bytes("seals")
                spans = zip(item.numbers("directories"), item.numbers("firsts"), item.numbers("lasts"))
                for place, (directory, first, last) in enumerate(spans):
                    if first <= number and (last == 0 or last >= number):
                        seals[directory] = values[32 * place : 32 * place + 32]
        for record in self.history.meta:
            try:
                fields = record.meta() if record.kind == EVENT else None
                if fields is None:
                    add_listing(entries, record.listing(), number)
                elif fields.text("type") == "seals" and fields.number("set") <= number:
                    values = fields.bytes("seals")
                    for place, directory in enumerate(fields.numbers("directories")):
                        seals[directory] = values[32 * place : 32 * place + 32]
            except DAMAGED as error:
                self.report.warn(f"{record.where()}: {error}; sets may lack entries")
        return entries, {directory: seal for directory, seal in seals.items() if any(seal)}


def add_image_entries(entries: Entries, item: Fields, number: int) -> None:
    firsts, lasts, flags = item.numbers("firsts"), item.numbers("lasts"), item.bytes("flags")
    children = iter(item.numbers("children"))
    directory = entries.setdefault(item.number("directory"), {})
    for place, raw in enumerate(split_rows(item.bytes("rows"))):
        child = next(children, 0) if raw[8] == DIRECTORY else 0
        if firsts[place] <= number and (lasts[place] == 0 or lasts[place] >= number):
            valid = raw[9] & ~(SPARSE | CHANGED) | flags[place] & (SPARSE | CHANGED)
            directory[stored_name(raw)] = raw[:9] + bytes([valid]) + raw[10:], child


def add_listing(entries: Entries, sections: List[Fields], number: int) -> None:
    for section in sections:
        if section.number("set") > number:
            continue
        directory = entries.setdefault(section.number("directory"), {})
        if section.values.get("closed"):
            directory.clear()
        for name in section.values.get("removed") or []:
            directory.pop(name, None)
        children = iter(section.values.get("children") or [])
        for raw in split_rows(section.values.get("rows") or b""):
            child = next(children, 0) if raw[8] == DIRECTORY else 0
            directory[stored_name(raw)] = raw, child


class Entry(NamedTuple):
    path: Tuple[bytes, ...]
    row: Optional[Row]  # None: a directory above a root
    problem: str


class Tree:
    """The entries of one set below its roots, each directory once, and the proof of the set."""

    def __init__(self, catalog: Catalog, backup: BackupSet) -> None:
        self.catalog, self.backup, self.keys = catalog, backup, catalog.keys
        self.entries, self.seals = catalog.entries(backup.number)
        self.total = self.count = 0
        self.root_seals: List[Tuple[bytes, bytes]] = []
        self.is_trusting = True  # False: a directory that does not match its seal is left out

    def walk(self) -> Iterator[Entry]:
        """Every entry, a directory before its own; also checks the seals of directories."""
        self.total, self.count, self.root_seals = 0, 0, []
        seen: set[int] = set()
        for root in self.backup.roots:
            if root not in self.catalog.roots:
                yield Entry((), None, f"root {root} is unknown")
                continue
            stored, directory = self.catalog.roots[root]
            path = self.root_path(stored)
            raw, child = self.entries[0].get(b"%d" % root, (b"", 0))
            try:
                row = Row(raw, self.keys, True) if raw else None
                is_read = row is not None and (child or directory) in self.seals
                self.root_seals.append((stored, row.seal if row and is_read else b""))
                if b"/./" not in stored or row is None:  # else the directory of a single file, which is not in the set
                    yield Entry(path, row, "" if row else "the entry of the root is missing")
            except DAMAGED as error:
                yield Entry(path, None, str(error))
            place = mac(self.keys.places, b"root" + stored) if self.keys else b""
            for entry in self.below(path, child or directory, place, seen):
                if entry.row is not None:
                    entry.row.root_device = self.catalog.devices.get(root, "")
                yield entry

    def root_path(self, stored: bytes) -> Tuple[bytes, ...]:
        names = [name for name in stored.split(b"/./")[0].split(b"/") if name]
        if self.keys is not None:
            names = [self.keys.name(0, name) for name in names]
        if any(name in (b".", b"..") or b"/" in name or b"\0" in name for name in names):
            raise Refused("the path of a root is damaged")
        return tuple(names)

    def below(self, path: Tuple[bytes, ...], top: int, top_place: bytes, seen: set[int]) -> Iterator[Entry]:
        stack = [(path, top, top_place)]
        while stack:
            path, directory, place = stack.pop()
            if directory in seen or len(path) > MAX_DEPTH:
                yield Entry(path, None, "the directory occurs twice, or is too deep")
                continue
            seen.add(directory)
            rows: List[Tuple[Row, int]] = []
            for name in sorted(self.entries.get(directory, {})):
                raw, child = self.entries[directory][name]
                try:
                    rows.append((Row(raw, self.keys), child))
                except DAMAGED as error:
                    yield Entry(path + (name,), None, str(error))
            problem = self.check_directory(directory, place, [row.seal for row, _ in rows]) if self.keys else ""
            if problem:
                yield Entry(path, None, problem)
                if "NOT_AUTHENTIC" in problem and not self.is_trusting:
                    continue
            for row, child in rows:
                yield Entry(path + (row.name,), row, "")
                if row.type == DIRECTORY and child:
                    below = mac(self.keys.places, place + row.stored_name) if self.keys else b""
                    stack.append((path + (row.name,), child, below))

    def check_directory(self, directory: int, place: bytes, entries: List[bytes]) -> str:
        assert self.keys is not None
        seal = self.seals.get(directory)
        if seal is None:
            return "" if not entries else "nothing proves that its list of entries is whole"
        self.total += int.from_bytes(mac32(self.keys.sets, seal), "little")
        self.count += 1
        total = sum(int.from_bytes(mac32(self.keys.entry_sum, entry), "little") for entry in entries) % (1 << 256)
        listing = mac(self.keys.listings, total.to_bytes(32, "little") + struct.pack("<Q", len(entries)))
        if seal[:16] != place:
            return "the directory is not the one of its place (NOT_AUTHENTIC)"
        if seal[16:] == ZEROS:
            return "the client could not read all of it: its entries are proven, not their list"
        return "" if seal[16:] == listing else "entries were left out or exchanged (NOT_AUTHENTIC)"

    def prove(self) -> str:
        """After a whole walk: the reason why the seal of the set is wrong, or an empty text."""
        keys, backup = self.keys, self.backup
        if keys is None:
            return ""
        if len(backup.seal) != 40:
            return "the set has no seal"
        name = backup.stored_name.encode()
        text = struct.pack("<QqQQ", backup.number, backup.client_ms, self.count, len(name)) + name
        text += (self.total % (1 << 256)).to_bytes(32, "little") + backup.seal[:24]
        for path, seal in sorted(self.root_seals):
            text += struct.pack("<IB", len(path), 0 if seal else 1) + path + seal
        return "" if hmac.compare_digest(mac(keys.sets, text), backup.seal[24:]) else "the seal of the set is wrong"


# --- contents -------------------------------------------------------------------------------------------------

Place = Tuple[Record, int, int]  # the record, and for a frame where in it, and the size


class Contents:
    """Finds, decodes and verifies contents by their digests."""

    def __init__(self, client: Client, keys: Optional[Keys]) -> None:
        self.client, self.keys = client, keys
        self.places: Dict[bytes, Place] = {}
        self.further: Dict[bytes, List[Place]] = {}
        self.frames: OrderedDict[Record, bytes] = OrderedDict()
        self.bases: OrderedDict[bytes, BinaryIO] = OrderedDict()
        for pack in client.packs:
            with open(pack.path, "rb") as file:
                for record in pack.records:
                    if record.kind in (FRAME, CONTENT, PART, ASSEMBLY, DELTA):
                        self.add(record, os.pread(file.fileno(), record.header.index, record.at + 72))

    def add(self, record: Record, index: bytes) -> None:
        if record.kind != FRAME:
            if len(index) >= 56:
                self.add_place(index[:32], (record, 0, struct.unpack_from("<Q", index, 32)[0]))
            return
        offset = 0
        for at in range(0, len(index) - 35, 36):
            size = struct.unpack_from("<I", index, at + 32)[0]
            self.add_place(index[at : at + 32], (record, offset, size))
            offset += size

    def add_place(self, digest: bytes, place: Place) -> None:
        if digest in self.places:
            self.further.setdefault(digest, []).append(place)
        else:
            self.places[digest] = place

    def candidates(self, digest: bytes) -> List[Place]:
        """All records of a content, the best first: not from an account, whole, new."""
        places = [self.places[digest]] if digest in self.places else []
        places += self.further.get(digest, [])
        places.reverse()
        places.sort(key=lambda place: (place[0].header.flags & 2, place[0].kind == DELTA))
        if self.client.objects is not None:
            text = digest.hex()
            path = self.client.objects / text[:2] / text[2:4] / text
            try:
                fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except OSError:
                return places
            with open(fd, "rb") as file:
                raw = file.read(72)
                header = parse_header(raw)
                if header is not None and header.kind in (CONTENT, PART, DELTA, ASSEMBLY):
                    index = file.read(header.index)
                    if index[:32] == digest and len(index) >= 56:
                        places.append((Record(path, 0, raw), 0, struct.unpack_from("<Q", index, 32)[0]))
        return places

    def digest(self, plain: bytes) -> bytes:
        return mac32(self.keys.digest, plain) if self.keys else plain

    def blocks(self, digest: bytes, depth: int = 0, is_part: bool = False) -> Iterator[bytes]:
        """A content in pieces, each of which matches its digest; a damaged record is replaced by a further one."""
        problem = "is nowhere in the packs"
        for record, offset, size in self.candidates(digest):
            try:
                if record.kind == ASSEMBLY and not is_part:
                    parts = self.parts(record, digest)
                elif record.kind != ASSEMBLY:
                    data = self.piece(record, offset, size, digest, depth)
                    parts = []
                else:
                    continue
            except (OSError, *DAMAGED) as error:
                problem = str(error)
                continue
            if record.kind != ASSEMBLY:
                yield data
            for part, length in parts:
                for block in self.blocks(part, depth, True):
                    if len(block) != length:
                        raise Refused("a part has another length than the list of parts says")
                    yield block
            return
        raise Refused(f"content {digest.hex()[:16]}: {problem}")

    def parts(self, record: Record, digest: bytes) -> List[Tuple[bytes, int]]:
        index, body = record.read()
        if len(body) % 40 or len(body) > 40 * MAX_EXTENTS or record.header.codec:
            raise Refused("a list of parts is damaged")
        if self.digest(hashlib.new("sha512_256", body).digest()) != digest:
            raise Refused("a list of parts does not match its digest")
        return [struct.unpack_from("<32sQ", body, at) for at in range(0, len(body), 40)]  # type: ignore

    def piece(self, record: Record, offset: int, size: int, digest: bytes, depth: int) -> bytes:
        if size > MAX_CONTENT:
            raise Refused("a content is larger than a record may be")
        if record.kind == FRAME:
            data = self.frame(record)[offset : offset + size]
        elif record.kind == DELTA:
            data = self.patched(record, size, depth)
        else:
            data = decode_body(record, self.keys, MAX_CONTENT)
        if len(data) != size or self.digest(sha(data)) != digest:
            raise Refused(f"{record.where()}: a content does not match its digest")
        return data

    def frame(self, record: Record) -> bytes:
        if record not in self.frames:
            self.frames[record] = decode_body(record, self.keys, MAX_PIECE)
            if len(self.frames) > FRAMES_KEPT:
                self.frames.popitem(last=False)
        self.frames.move_to_end(record)
        return self.frames[record]

    def patched(self, record: Record, size: int, depth: int) -> bytes:
        if depth >= MAX_CHAIN:
            raise Refused("a chain of deltas is too long")
        index, _ = record.read()
        if len(index) < 96:
            raise Refused("the index of a delta is too short")
        delta = decode_body(record, self.keys, MAX_CONTENT + 32 * MAX_COMMANDS)
        return patch(delta, self.basis(index[56:88], depth + 1), size)

    def basis(self, digest: bytes, depth: int) -> BinaryIO:
        """A whole content in an unnamed file; the newest few are kept."""
        if digest not in self.bases:
            file = tempfile.TemporaryFile()
            for block in self.blocks(digest, depth):
                file.write(block)
            file.flush()
            self.bases[digest] = file  # type: ignore
            if len(self.bases) > BASES_KEPT:
                self.bases.popitem(last=False)
        self.bases.move_to_end(digest)
        return self.bases[digest]


def patch(delta: bytes, basis: BinaryIO, size: int) -> bytes:
    """The result of a delta of librsync, which is `size` bytes long."""
    if delta[:4] != b"rs\x026":
        raise Refused("a delta has no magic number")
    out, at, fd = bytearray(), 4, basis.fileno()
    for _ in range(64 * MAX_COMMANDS):
        op = delta[at] if at < len(delta) else 0
        at += 1
        if op == 0:
            return bytes(out)
        if op < 0x45:
            width = 0 if op <= 0x40 else 1 << (op - 0x41)
            count = int.from_bytes(delta[at : at + width], "big") if width else op
            at += width
            piece = delta[at : at + count]
            at += count
        else:
            place_width, width = 1 << ((op - 0x45) >> 2), 1 << ((op - 0x45) & 3)
            if op > 0x54:
                raise Refused("a delta has an unknown command")
            place = int.from_bytes(delta[at : at + place_width], "big")
            at += place_width
            count = int.from_bytes(delta[at : at + width], "big")
            at += width
            piece = os.pread(fd, count, place) if count <= size and place < 1 << 62 else b""
        if len(piece) != count or len(out) + count > size:
            raise Refused("a delta is damaged, or too long")
        out += piece
    raise Refused("a delta has too many commands")


class Stream:
    """Reads an exact number of bytes from blocks."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self.blocks, self.rest = blocks, b""

    def pieces(self, count: int) -> Iterator[bytes]:
        while count > 0:
            if not self.rest:
                self.rest = next(self.blocks, b"")
                if not self.rest:
                    raise Refused("a content ends too early")
            piece, self.rest = self.rest[:count], self.rest[count:]
            count -= len(piece)
            yield piece

    def exactly(self, count: int) -> bytes:
        return b"".join(self.pieces(count))


# --- restoring ------------------------------------------------------------------------------------------------


def set_flags(path: bytes, flags: int) -> None:
    """Sets the flags of an inode (chattr) that a store may have, beside those that it has."""
    if flags & ~USED_FLAGS:
        raise Refused("unknown flags of an inode")
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        present = struct.unpack("l", fcntl.ioctl(fd, GET_FLAGS, bytes(struct.calcsize("l"))))[0]
        fcntl.ioctl(fd, SET_FLAGS, struct.pack("l", present & ~USED_FLAGS | flags))
    finally:
        os.close(fd)


class Restorer:
    """Writes entries beneath a new directory; no link is followed, and nothing that exists is replaced."""

    def __init__(self, target: Path, contents: Contents, report: Report, owners: Dict[Tuple[bool, int], bytes]) -> None:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise Refused(f"{target} is not empty: give a new directory")
        self.top = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        self.contents, self.report, self.owners = contents, report, owners
        self.linked: Dict[Tuple[Any, ...], Tuple[bytes, ...]] = {}
        self.directories: Dict[Tuple[bytes, ...], Row] = {}
        self.is_root = os.geteuid() == 0
        self.ids: Dict[Tuple[bool, int], int] = {}
        self.count = self.bytes = 0

    def folder(self, path: Tuple[bytes, ...]) -> int:
        """A new descriptor of a directory beneath the target, which is made where it is missing."""
        fd = os.dup(self.top)
        for name in path:
            try:
                try:
                    os.mkdir(name, dir_fd=fd)
                except FileExistsError:
                    pass
                below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
            finally:
                os.close(fd)
            fd = below
        return fd

    def restore(self, entry: Entry) -> None:
        label = "/" + shown(b"/".join(entry.path))
        if entry.problem:
            return self.report.warn(f"{label}: {entry.problem}")
        row = entry.row
        if row is None:
            return
        self.count += 1
        try:
            if row.flags & UNREADABLE:
                raise Refused("the client could not read it")
            fd = self.folder(entry.path[:-1])
            try:
                if row.type == DIRECTORY and entry.path:
                    self.make_directory(fd, entry.path[-1])
                elif row.type != DIRECTORY:
                    self.make(fd, entry.path, row)
            finally:
                os.close(fd)
            if row.type == DIRECTORY:
                self.directories[entry.path] = row
        except (OSError, *DAMAGED) as error:
            self.report.warn(f"{label}: {error}")

    def make_directory(self, folder: int, name: bytes) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=folder)
        except FileExistsError:  # two roots may share the directories above them
            if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise

    def make(self, folder: int, path: Tuple[bytes, ...], row: Row) -> None:
        name = path[-1]
        key = row.link_key
        if row.links > 1 and key in self.linked:
            other = self.linked[key]
            source = self.folder(other[:-1])
            try:
                return os.link(other[-1], name, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
            finally:
                os.close(source)
        if row.type == FILE:
            self.make_file(folder, name, row)
        elif row.type == LINK:
            os.symlink(row.target, name, dir_fd=folder)
        elif row.type in (CHARACTER, BLOCK):
            kind = stat.S_IFCHR if row.type == CHARACTER else stat.S_IFBLK
            os.mknod(name, kind | 0o600, row.device, dir_fd=folder)
        else:
            os.mknod(name, (stat.S_IFIFO if row.type == FIFO else stat.S_IFSOCK) | 0o600, dir_fd=folder)
        if row.links > 1:
            self.linked[key] = path
        self.metadata(b"/proc/self/fd/%d/%s" % (folder, name), row)

    def make_file(self, folder: int, name: bytes, row: Row) -> None:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        try:
            if row.digest:
                stream = Stream(self.contents.blocks(row.digest))
                self.write(fd, stream, row)
            elif row.size:
                raise Refused("its content was not saved")
        except BaseException:
            os.close(fd)
            os.unlink(name, dir_fd=folder)
            raise
        self.bytes += row.size
        os.close(fd)

    def write(self, fd: int, stream: Stream, row: Row) -> None:
        extents, end, size = [(0, row.size)], 0, row.size
        if row.flags & SPARSE:
            size, count = struct.unpack("<QQ", stream.exactly(16))
            if size != row.size or count > MAX_EXTENTS:
                raise Refused("the sparse form of a file is damaged")
            extents = list(struct.iter_unpack("<QQ", stream.exactly(16 * count)))  # type: ignore
        for place, length in extents:
            if place < end or length == 0 or place + length > size:
                raise Refused("the sparse form of a file is damaged")
            end = os.lseek(fd, place, os.SEEK_SET)
            for piece in stream.pieces(length):
                view = memoryview(piece)
                while view:
                    view = view[os.write(fd, view) :]
            end = place + length
        if stream.rest or next(stream.blocks, b""):
            raise Refused("the content is longer than the entry says")
        os.ftruncate(fd, size)

    def owner(self, is_group: bool, number: int) -> int:
        """The number here of the name that an owner had, or the same number."""
        if (is_group, number) not in self.ids:
            found, name = number, self.owners.get((is_group, number), b"").decode("utf-8", "surrogateescape")
            try:
                if name:
                    found = grp.getgrnam(name).gr_gid if is_group else pwd.getpwnam(name).pw_uid
            except (KeyError, ValueError, UnicodeError):
                pass
            self.ids[is_group, number] = found
        return self.ids[is_group, number]

    def metadata(self, path: bytes, row: Row) -> None:
        """Owner, permissions, attributes and times, in this order; what the system refuses is named."""
        mode, problems = row.mode, []
        steps: List[Tuple[str, Any]] = []
        if self.is_root:
            uid, gid = self.owner(False, row.uid), self.owner(True, row.gid)
            steps.append(("owner", lambda: os.chown(path, uid, gid, follow_symlinks=False)))
        elif row.uid != os.geteuid():
            mode &= 0o1777
        if row.type != LINK:
            steps.append(("permissions", lambda: os.chmod(path, mode)))
        for name, value in row.attributes.items():
            if name not in (b"", b"flags") and (self.is_root or name.startswith((b"user.", b"system."))):
                steps.append((shown(name), lambda n=name, v=value: os.setxattr(path, n, v, follow_symlinks=False)))
        if b"flags" in row.attributes and row.type in (FILE, DIRECTORY):
            flags = int.from_bytes(row.attributes[b"flags"], "little")
            steps.append(("flags", lambda: set_flags(path, flags)))
        times = (row.modified_ns, row.modified_ns)
        before_flags = -1 if steps and steps[-1][0] == "flags" else len(steps)  # immutable files take no times
        steps.insert(before_flags, ("times", lambda: os.utime(path, ns=times, follow_symlinks=False)))
        for what, step in steps:
            try:
                step()
            except (OSError, OverflowError) as error:
                problems.append(f"{what} ({error})")
                if what == "owner":
                    mode &= 0o1777
        if problems:
            raise Refused("not set: " + ", ".join(problems))

    def finish(self) -> None:
        """The metadata of directories, the deepest first, since their entries change their times."""
        for path, row in sorted(self.directories.items(), key=lambda item: -len(item[0])):
            try:
                fd = self.folder(path)
                try:
                    self.metadata(b"/proc/self/fd/%d/." % fd, row)
                finally:
                    os.close(fd)
            except (OSError, *DAMAGED) as error:
                self.report.warn(f"/{shown(b'/'.join(path))}: {error}")


# --- the command ----------------------------------------------------------------------------------------------


def open_client(store: Path, name: str, report: Report) -> Client:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", name):
        raise Refused("this is no name of a client")
    if (store / "c" / name).is_dir():
        return open_bucket(store / "c" / name, report)
    if (store / name / "packs").is_dir() or (store / name / "format.json").exists():
        return open_directory(store / name, report)
    raise Refused(f"{store} has no client {name}")


def client_names(store: Path) -> List[str]:
    base = store / "c" if (store / "c").is_dir() else store
    found = [path.name for path in base.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return sorted(name for name in found if base != store or (store / name / "packs").is_dir())


def choose_set(catalog: Catalog, wanted: str) -> BackupSet:
    listed = catalog.listed()
    if wanted == "newest":
        listed = [backup for backup in listed if backup.state == "complete"][-1:]
    else:
        listed = [b for b in listed if str(b.number) == wanted] or [b for b in listed if catalog.name(b) == wanted]
    if not listed:
        raise Refused(f"there is no set {wanted}")
    return listed[-1]


def list_sets(catalog: Catalog) -> None:
    for backup in catalog.listed():
        date = datetime.datetime.fromtimestamp(backup.opened_ms / 1000, datetime.timezone.utc)
        doubt = "  may lack entries" if backup.number <= catalog.doubtful else ""
        name = shown(catalog.name(backup).encode("utf-8", "replace"))
        print(f"{backup.number:5}  {date:%Y-%m-%d %H:%M:%S}Z  {backup.state:10}  {name}{doubt}")


def restore_set(client: Client, catalog: Catalog, args: argparse.Namespace, report: Report) -> None:
    backup = choose_set(catalog, args.set)
    tree = Tree(catalog, backup)
    if backup.number <= catalog.doubtful:
        report.warn(f"set {backup.number} may lack entries, or show older ones")
    if catalog.keys is not None and backup.state == "complete":
        for _ in tree.walk():
            pass
        problem = tree.prove()
        if problem and not args.allow_unproven:
            raise Refused(f"set {backup.number}: {problem} (NOT_AUTHENTIC); --allow-unproven restores what is left")
        if problem:
            report.warn(f"set {backup.number}: {problem}")
    tree.is_trusting = args.allow_unproven or catalog.keys is None
    owners = {} if args.numeric_ids else catalog.owner_names(backup.number)
    restorer = Restorer(Path(args.target), Contents(client, catalog.keys), report, owners)
    only = tuple(name for name in os.fsencode(args.only).split(b"/") if name)
    for entry in tree.walk():
        if entry.path[: len(only)] == only or (entry.problem and not only):
            restorer.restore(entry)
    restorer.finish()
    print(f"set {backup.number}: {restorer.count} entries, {restorer.bytes} bytes", end="")
    print(f"; {report.count} problems" if report.count else "")


def runs_in(path: Path) -> Iterator[Dict[str, Any]]:
    """The records of one object of the journal; what is damaged is left out."""
    data = b""
    if path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_RUNS:
        try:
            decoder = zlib.decompressobj(31)
            data = decoder.decompress(path.read_bytes(), 2 * MAX_RUNS)
            data = data if decoder.eof else b""
        except (OSError, zlib.error):
            data = b""
    for line in data.split(b"\n"):
        try:
            run = json.loads(line)
            if len(line.decode("utf-8")) <= MAX_RUN_LINE and re.fullmatch("[0-9a-f]{16}", run["id"]):
                if {"kind", "way", "end", "by", "machine"} <= run.keys() and run["beganMs"] >= 0 <= run["endedMs"]:
                    yield run
        except (AttributeError, RecursionError, *DAMAGED):
            continue


def in_order(runs: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """The records in their order; one that came late is behind the last one that did not, and ended before it."""
    placed = [run for run in runs if run.get("isLate") is not True]
    for run in (one for one in runs if one.get("isLate") is True):
        before = [at for at, other in enumerate(placed) if other["endedMs"] <= run["endedMs"]]
        placed.insert(before[-1] + 1 if before else 0, run)
    return placed


def list_runs(folder: Path, keys: Optional[Keys]) -> None:
    """Prints the records of a journal as lines of JSON, in its order; sealed words are opened with the keys."""
    chosen: Dict[str, Dict[str, Any]] = {}
    paths = sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
    for path in (one for one in paths if re.fullmatch(r"\d{10}-\d{4}-[0-9a-f]{8}\.(run|page)", one.name)):
        for run in runs_in(path):
            weight = (run["way"] != "server", run["end"] != "cut")
            known = chosen.get(run["id"])
            if known is None or weight > (known["way"] != "server", known["end"] != "cut"):
                chosen[run["id"]] = run
    for run in in_order(list(chosen.values())):
        if keys is not None and "words" in run:
            try:
                words = run.pop("words")
                run.update({"words": keys.set_name(words)} if words.startswith("~") else {})
            except (AttributeError, *DAMAGED):
                pass  # these keys have not sealed it
        print(json.dumps(run, ensure_ascii=True))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Lists and restores the sets of a Tardis store, without Tardis.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (("list", "list sets"), ("restore", "restore sets"), ("runs", "list what was done, as JSON")):
        command = commands.add_parser(name, help=what)
        command.add_argument("store", help="directory of the store, or of a copy of a bucket's objects")
        command.add_argument("client", nargs="?" if name == "list" else None, help="name of the client")
        command.add_argument("-F", "--password-file", help="file whose first line is the password")
        command.add_argument("--keys", help="key file, or a printed sheet that was typed in")
        if name == "restore":
            command.add_argument("set", help="number or name of a set, or: newest")
            command.add_argument("target", help="new directory to restore into")
            command.add_argument("--only", default="", help="restore only this path and what is below it")
            command.add_argument("--numeric-ids", action="store_true", help="owners by number, not by name")
            command.add_argument("--allow-unproven", action="store_true", help="also what seals do not prove")
    return parser.parse_args()


def password(args: argparse.Namespace) -> str:
    if args.password_file is None:
        return getpass.getpass("Password: ")
    text = read_limited(Path(args.password_file), MAX_SMALL_FILE).decode("utf-8-sig")
    return text.split("\n")[0].rstrip("\r")


def run(args: argparse.Namespace, report: Report) -> None:
    store = Path(args.store)
    if args.client is None:
        print("\n".join(client_names(store)))
        return
    client = open_client(store, args.client, report)
    if args.command == "runs":
        opens = args.password_file is not None
        keys = client.keys(Path(args.keys) if args.keys else None, lambda: password(args)) if opens else None
        return list_runs(store / ("c" if (store / "c" / args.client).is_dir() else "") / args.client / "runs", keys)
    keys = client.keys(Path(args.keys) if args.keys else None, lambda: password(args))
    catalog = Catalog(History(client), keys)
    if args.command == "list":
        list_sets(catalog)
    else:
        restore_set(client, catalog, args, report)


def main() -> int:
    args, report = parse_arguments(), Report()
    try:
        run(args, report)
    except (OSError, *DAMAGED) as error:
        print(f"tardis-read: {error}", file=sys.stderr)
        return 1
    return 3 if report.count else 0


if __name__ == "__main__":
    sys.exit(main())
