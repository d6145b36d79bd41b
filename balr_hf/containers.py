"""Whether a file of sound is whole, as far as its container tells: stated lengths, and checksums.

FFmpeg plays what there is. A file that was cut, or changed by a faulty disk, would pass for a shorter or another
recording. What each container tells is in docs/data-formats.md.
"""

import hashlib
import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from av import AudioFrame
    from av.audio.stream import AudioStream

# Programs that write to a pipe state 0 for the length of the samples, or nearly one of these: the largest numbers with
# and without a sign, and what SoX takes for them in an AIFF file.
_PLACEHOLDERS, _NEARLY = (2**31, 2**32, 0x7F000000), 2**16
# What lengths of chunks of 64 bits and of EBML elements say if they are not known.
_UNKNOWN_64 = {2**64 - 1, 2**63 - 1}
# The share of the samples that may lack: programs differ in how they count headers and the last block.
TOLERANCE = 0.001

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_GUIDS = {
    "riff": bytes.fromhex("726966662E91CF11A5D628DB04C10000"),
    "data": bytes.fromhex("64617461F3ACD3118CD100C04F8EDB8A"),
    "asf": bytes.fromhex("3026B2758E66CF11A6D900AA0062CE6C"),
    "asf data": bytes.fromhex("3626B2758E66CF11A6D900AA0062CE6C"),
}


class DamageError(ValueError):
    """A file is not whole; the message says why."""


def refuse_damaged(file: BinaryIO) -> float:
    """Raise an error if a container states more than there is, or a checksum does not fit; the file is rewound.

    Args:
        file: at its start.

    Returns:
        how many seconds of sound there must be at least, by the positions that an Ogg stream states; else 0.

    Raises:
        DamageError: it is cut or damaged.
    """
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(40)
    file.seek(0)
    check = _check_for(head)
    if check is None:
        return 0.0
    seconds = check(file, end)
    file.seek(0)
    return seconds or 0.0


def _check_for(head: bytes) -> Callable[[BinaryIO, int], float | None] | None:
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _check_wav
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _check_aiff
    if head[:4] == b".snd":
        return _check_au
    if head[:4] == b"caff":
        return _check_caf
    if head[:16] == _GUIDS["riff"]:
        return _check_w64
    if head[:4] == b"OggS":
        return _check_ogg
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _check_matroska
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return _check_mp4
    if head[:7] == b"NIST_1A":
        return _check_sphere
    if head[:16] == _GUIDS["asf"]:
        return _check_asf
    return None


def _is_known(size: int) -> bool:
    """Whether the length that a header states is meant, and no placeholder of a program that did not know it."""
    return size > 0 and all(abs(size - one) > _NEARLY for one in _PLACEHOLDERS)


def _refuse_cut(held: int, stated: int) -> None:
    if held < (1 - TOLERANCE) * stated:
        raise DamageError(f"truncated: {max(0, held)} of {stated} bytes")


def _check_wav(file: BinaryIO, end: int) -> None:
    file.seek(12)
    stated: int | None = None  # in the chunk ds64, which files of more than 4 GiB have
    while len(chunk := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", chunk)
        if name == b"ds64":
            stated = struct.unpack("<8xQ", file.read(16))[0]
            file.seek(size - 16 + size % 2, io.SEEK_CUR)
            continue
        if name == b"data":
            known = stated if size == 0xFFFFFFFF else size if _is_known(size) else None
            if known is not None and known not in _UNKNOWN_64:
                _refuse_cut(end - file.tell(), known)
            return
        file.seek(size + size % 2, io.SEEK_CUR)


def _check_aiff(file: BinaryIO, end: int) -> None:
    file.seek(12)
    while len(chunk := file.read(8)) == 8:
        name, size = struct.unpack(">4sI", chunk)
        if name == b"SSND":
            if _is_known(size):
                _refuse_cut(end - file.tell(), size)
            return
        file.seek(size + size % 2, io.SEEK_CUR)


def _check_au(file: BinaryIO, end: int) -> None:
    offset, size = struct.unpack(">II", file.read(12)[4:].ljust(8, b"\0"))
    if _is_known(size):
        _refuse_cut(end - offset, size)


def _check_caf(file: BinaryIO, end: int) -> None:
    file.seek(8)
    while len(chunk := file.read(12)) == 12:
        name, size = struct.unpack(">4sq", chunk)
        if name == b"data" and size < 0:  # it goes on to the end
            return
        if size < 0 or (name == b"data" and size > end - file.tell()):
            _refuse_cut(end - file.tell(), size)
            return
        file.seek(size, io.SEEK_CUR)


def _check_w64(file: BinaryIO, end: int) -> None:
    file.seek(40)
    while len(chunk := file.read(24)) == 24:
        size = struct.unpack("<16xQ", chunk)[0]
        if chunk[:16] == _GUIDS["data"]:
            if 24 <= size < 2**62:
                _refuse_cut(end - file.tell(), size - 24)
            return
        file.seek(max(0, (size + 7) // 8 * 8 - 24), io.SEEK_CUR)


def _check_sphere(file: BinaryIO, end: int) -> None:
    lines = file.read(1024).split(b"\n")
    try:
        start = int(lines[1])
        values = dict(line.split(maxsplit=2)[::2] for line in lines[2:] if len(line.split(maxsplit=2)) == 3)
        size = int(values[b"sample_count"]) * int(values[b"channel_count"]) * int(values[b"sample_n_bytes"])
    except (IndexError, KeyError, ValueError):
        return
    if b"," not in values.get(b"sample_coding", b""):  # pcm,embedded-shorten-v2.00 and the like are compressed
        _refuse_cut(end - start, size)


def _check_asf(file: BinaryIO, end: int) -> None:
    place = 0
    while len(head := file.read(24)) == 24:
        size = int.from_bytes(head[16:], "little")
        if head[:16] == _GUIDS["asf data"]:
            if 24 <= size < 2**62:  # 0 where it was broadcast
                _refuse_cut(end - place, size)
            return
        if size < 24:
            return
        place += size
        file.seek(place)


@dataclass
class _Link:
    """What the pages of one stream of an Ogg file tell; `rate` is 0 for those that are no sound.

    Attributes:
        following: the number of the next page.
        rate: of the positions, in Hz.
        is_opus: whether it is Opus.
        skipped: how many samples at the start are not played.
        first: the position at which the sound begins, or of the end of the first page where only a decoder knows.
        last: the position of the end of the last page.
        unfinished: whether its last packet goes on in another page.
        ended: whether a page is marked as the last one.
    """

    following: int
    rate: int = 0
    is_opus: bool = False
    skipped: int = 0
    first: int | None = None
    last: int = 0
    unfinished: bool = False
    ended: bool = False

    @property
    def seconds(self) -> float:
        """How long the sound is at least."""
        return 0.0 if self.first is None else max(0, self.last - self.first - self.skipped) / self.rate


def _check_ogg(file: BinaryIO, end: int) -> float:
    """Each page has a checksum, a number and a position; the last one of a stream is marked.

    Recorders of streams begin at any position. How much sound of Vorbis, FLAC or Speex the first page holds is not
    looked at, so that it is not counted.
    """
    links: dict[int, _Link] = {}
    groups: list[list[_Link]] = []  # streams that play at once; each group plays after the one before
    starting = False
    place = 0
    while len(head := file.read(27)) == 27 and head[:4] == b"OggS":
        position, serial, number, crc, count = struct.unpack("<6xqIIIB", head)
        lacing = file.read(count)
        size = sum(lacing)
        body = file.read(size)
        if len(lacing) < count or len(body) < size:
            raise DamageError(
                f"truncated: the last page of the Ogg stream lacks {count + size - len(lacing + body)} bytes"
            )
        if _ogg_crc(head[:22] + bytes(4) + head[26:] + lacing + body) != crc:
            raise DamageError(f"damaged: the checksum of the Ogg page at byte {place:,} does not fit")
        is_first, is_last = bool(head[5] & 2), bool(head[5] & 4)
        if is_first or serial not in links:
            links[serial] = link = _Link(number, *(_ogg_sound(body) if is_first else ()))
            groups += [] if starting and is_first else [[]]
            groups[-1].append(link)
        link, starting = links[serial], is_first
        if number != link.following:
            raise DamageError(f"damaged: Ogg pages lack before the one at byte {place:,}")
        link.following = (number + 1) % 2**32
        link.unfinished = bool(lacing) and lacing[-1] == 255
        link.ended = link.ended or is_last
        if link.rate and position > 0:
            if link.first is None:
                link.first = position - (_opus_samples(lacing, body) if link.is_opus else 0)
                if is_last:  # its position is where the sound is cut off, which may be within its packets
                    link.first = max(0, link.first)
            link.last = position
        place += 27 + count + size
    if head and not head.startswith(b"OggS"[: len(head)]) and head.strip(b"\0"):
        raise DamageError(f"damaged: no Ogg page at byte {place:,}")
    if head and head.startswith(b"OggS"[: len(head)]):
        raise DamageError("truncated: the file ends within the header of an Ogg page")
    streams = [link for group in groups for link in group]
    if any(link.unfinished for link in streams):
        raise DamageError("truncated: the last packet of the Ogg stream goes on in a page that lacks")
    if any(link.rate and not link.ended for link in streams):
        raise DamageError(
            "truncated: no page is marked as the last one of the Ogg stream; if its recorder never marks one, "
            "ffmpeg -i OLD -c copy NEW writes the mark"
        )
    return sum(min((link.seconds for link in group if link.rate), default=0.0) for group in groups)


def _ogg_sound(packet: bytes) -> tuple[int, bool, int]:
    """The rate of the positions, whether it is Opus, and how many samples are not played, by the first packet."""
    if packet[:8] == b"OpusHead" and len(packet) >= 19:
        return 48_000, True, int.from_bytes(packet[10:12], "little")
    for name, place in ((b"\x01vorbis", 12), (b"Speex   ", 36)):
        if packet.startswith(name):
            return int.from_bytes(packet[place : place + 4], "little"), False, 0
    if packet[:5] == b"\x7fFLAC" and len(packet) >= 30:  # STREAMINFO begins at 17, the rate 10 bytes later
        return int.from_bytes(packet[27:30], "big") >> 4, False, 0
    return 0, False, 0


def _opus_samples(lacing: bytes, body: bytes) -> int:
    """How many samples of 48 kHz the packets that end in a page have (RFC 6716, section 3.1)."""
    samples = start = stop = 0
    for length in lacing:
        stop += length
        if length == 255:
            continue
        packet, start = body[start:stop], stop
        if packet:
            mode = packet[0] >> 3
            longest = 120 << (mode & 3) if mode >= 16 else 480 << (mode & 1) if mode >= 12 else 0
            frame = longest or (480, 960, 1920, 2880)[mode & 3]
            frames = (1, 2, 2, packet[1] & 63 if len(packet) > 1 else 0)[packet[0] & 3]
            samples += frame * frames
    return samples


def _ogg_crc(content: bytes) -> int:
    """CRC-32 with the polynomial 0x04C11DB7 from the highest bit on, as zlib computes it from the lowest bit on."""
    low = zlib.crc32(content.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(low.to_bytes(4, "little").translate(_REVERSED), "big")


def _check_matroska(file: BinaryIO, end: int) -> None:
    """The segment and the clusters in it state their lengths, unless they were streamed; some have a CRC-32."""
    while True:
        place = file.tell()
        element, size = _ebml_number(file, False), _ebml_number(file, True)
        if element is None or size is None:
            return
        if size < 0:
            if element not in (0x18538067, 0x1F43B675):  # only a segment and a cluster can be of unknown length
                return
            continue
        if file.tell() + size > end:
            raise DamageError(f"truncated: an element of {size} bytes, of which {end - file.tell()} are there")
        if element in (0x18538067,):  # the segment: its children are checked
            continue
        start = file.tell()
        head = file.read(min(6, size))
        if head[:2] == b"\xbf\x84" and len(head) == 6 and element != 0x1A45DFA3:
            crc = 0
            left = size - 6
            while left:
                part = file.read(min(left, 2**20))
                crc, left = zlib.crc32(part, crc), left - len(part)
            if crc != int.from_bytes(head[2:], "little"):
                raise DamageError(f"damaged: the checksum of the element at byte {place:,} does not fit")
        file.seek(start + size)


def _ebml_number(file: BinaryIO, is_size: bool) -> int | None:
    """An EBML id or size; -1 for a size that is not known, and None where there is none."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    content = first + file.read(length - 1)
    if len(content) < length:
        return None
    value = int.from_bytes(content, "big")
    if not is_size:
        return value
    value &= (1 << 7 * length) - 1
    return -1 if value == (1 << 7 * length) - 1 else value


def _check_mp4(file: BinaryIO, end: int) -> None:
    while len(head := file.read(8)) == 8:
        size, name = struct.unpack(">I4s", head)
        start = file.tell() - 8
        if size == 1:
            size = struct.unpack(">Q", file.read(8).ljust(8, b"\0"))[0]
        if size == 0 or not name.isascii():  # it goes on to the end, or it is no box
            return
        if start + size > end and name in (b"mdat", b"moov", b"moof"):
            raise DamageError(f"truncated: a box {name.decode()} of {size} bytes, of which {end - start} are there")
        file.seek(start + max(8, size))


class Contents:
    """Compares what was decoded with what a FLAC, MP3, MP4 or Ogg file tells of it.

    A FLAC file has the MD5 sum of its samples, and each of its frames a checksum, as some MP3 frames have. The header
    that encoders write into the first MP3 frame (Xing, Info, VBRI) counts frames and bytes. An MP4 file has the
    duration of each track, an Ogg stream positions.

    Args:
        checks: whether the decoder is to look at the checksums of the frames.
        digest: the MD5 sum that a FLAC file states.
        bits: its bits per sample.
        frames: how many frames an MP3 file states.
        end: when an MP4 file states that its sound ends, in seconds.
        least: how many seconds of sound an Ogg file must have, from [`refuse_damaged`].

    Attributes:
        checks: as above.
    """

    def __init__(
        self,
        checks: bool = False,
        digest: bytes = b"",
        bits: int = 0,
        frames: int = 0,
        end: float = 0.0,
        least: float = 0.0,
    ):
        self.checks, self.digest, self.bits, self.frames, self.end, self.least = (
            checks,
            digest,
            bits,
            frames,
            end,
            least,
        )
        self._place: int | None = None
        self._base: Fraction | None = None  # how many samples there are in a unit of the frames' times
        self._packets = 0
        self._last: AudioFrame | None = None
        self._md5 = hashlib.md5(usedforsecurity=False)

    @classmethod
    def of(cls, file: BinaryIO, format_name: str, stream: "AudioStream", least: float = 0.0) -> "Contents":
        """What a file tells; its place stays as it is.

        Args:
            file: the file.
            format_name: what FFmpeg calls its format.
            stream: of its sound.
            least: from [`refuse_damaged`].

        Raises:
            DamageError: an MP3 file has fewer bytes than its first frame states.
        """
        place = file.tell()
        file.seek(0)
        head = file.read(10)
        if head[:3] == b"ID3" and len(head) == 10:
            file.seek(10 + sum((byte & 127) << 7 * shift for shift, byte in enumerate(reversed(head[6:]))))
            start = file.tell()
        else:
            start = 0
        file.seek(start)
        head = file.read(4096)
        size = file.seek(0, io.SEEK_END)
        file.seek(place)
        name = stream.codec_context.name
        if name == "flac" and head[:4] == b"fLaC" and len(head) >= 42:
            bits = ((head[20] & 1) << 4 | head[21] >> 4) + 1
            return cls(True, head[26:42].strip(b"\0") and head[26:42], bits)
        if name.startswith("mp3"):
            frames, stated = _stated_by_mp3(head) if format_name == "mp3" else (0, 0)
            if size < stated:  # some encoders count the tag before the first frame, too
                raise DamageError(f"truncated: {size} of {stated} bytes of MP3")
            return cls(True, frames=frames)
        end = 0.0
        if format_name.startswith("mov") and stream.duration and stream.time_base:
            end = float(((stream.start_time or 0) + stream.duration) * stream.time_base)
        return cls(name in ("wavpack", "tta"), end=end, least=least)

    def add_packet(self, size: int) -> None:
        """Take the next packet of the file, of so many bytes."""
        self._packets += size > 0

    def add(self, frame: "AudioFrame", samples: np.ndarray) -> None:
        """Take the next frame that was decoded, and its samples, `(channels, samples)`."""
        self._last = frame
        if not self.bits:
            return
        # FFmpeg leaves out a frame of FLAC whose checksum does not fit, and goes on after it.
        if frame.pts is not None and frame.time_base is not None:
            if self._base is None:
                self._base = frame.time_base * frame.sample_rate
            start = round(frame.pts * self._base.numerator / self._base.denominator)
            if self._place is not None and start > self._place + 1:
                seconds = self._place / frame.sample_rate
                raise DamageError(f"damaged: the checksum of a FLAC frame after {seconds:.2f} s does not fit")
            self._place = start + frame.samples
        if not self.digest:
            return
        width, unused = -(-self.bits // 8), 8 * samples.itemsize - self.bits
        shifted = np.right_shift(samples, unused) if unused else samples
        content = shifted.T.astype(samples.dtype.newbyteorder("<"), copy=False).reshape(-1)
        if width < content.itemsize:
            content = content.view(np.uint8).reshape(-1, content.itemsize)[:, :width]
        self._md5.update(np.ascontiguousarray(content).data)

    def check(self, decoded: int) -> None:
        """Compare, after the last of `decoded` samples.

        Raises:
            DamageError: the samples are not those that the file was made of, or some lack.
        """
        if self.digest and self._md5.digest() != self.digest:
            raise DamageError("damaged: the samples are not those of which the FLAC file states the MD5 sum")
        # Some encoders count the frame that states the number, too.
        if self._packets < self.frames - 1:
            raise DamageError(f"truncated or damaged: {self._packets} of {self.frames} frames of MP3")
        last = self._last
        if last is None:
            return
        two_frames = 2 * last.samples / last.sample_rate  # programs differ in what they state of the last ones
        if self.end and last.pts is not None and last.time_base is not None:
            found = float(last.pts * last.time_base) + last.samples / last.sample_rate
            if found < (1 - TOLERANCE) * self.end - two_frames:
                raise DamageError(f"truncated: the sound ends after {found:.2f} of {self.end:.2f} s")
        seconds = decoded / last.sample_rate
        if seconds < (1 - TOLERANCE) * self.least - two_frames:
            raise DamageError(
                f"damaged: {seconds:.2f} s of sound, but the positions in the Ogg stream are {self.least:.2f} s apart"
            )


def _stated_by_mp3(head: bytes) -> tuple[int, int]:
    """How many frames follow the first one of an MP3 file, and how many bytes there are with it; 0 if it says not."""
    for start in range(len(head) - 200):
        if head[start] == 0xFF and head[start + 1] & 0xE6 == 0xE2:  # layer III
            newest, mono = head[start + 1] & 0x18 == 0x18, head[start + 3] >> 6 == 3
            place = start + 4 + ((17 if mono else 32) if newest else (9 if mono else 17))
            if head[place : place + 4] in (b"Xing", b"Info"):
                flags, place = head[place + 7], place + 8
                numbers = [0, 0]
                for bit in (0, 1):
                    if flags >> bit & 1:
                        numbers[bit] = int.from_bytes(head[place : place + 4], "big")
                        place += 4
                return numbers[0], numbers[1]
            if head[start + 36 : start + 40] == b"VBRI":
                size, frames = struct.unpack(">II", head[start + 46 : start + 54])
                return frames, size
            return 0, 0
    return 0, 0
