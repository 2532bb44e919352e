"""./dev bench write_path: what designs of a write path cost on this machine's disk, without a server around them.

Each design is given the same load, FLUSH_EVERY random writes of 4 KiB and then a flush, in turns with the others, on
new files every round. "in place" is what a raw disk does that was written before; it cannot be cut or tell what changed.
The figures are the ground of docs/decisions/write-path.md and have no goals.
"""
import os
import random
import statistics
import sys
import time

from report import Report
from servers import MIB, Workplace

ROUNDS = 7
FLUSHES = 60
FLUSH_EVERY = 32
AREA = 256 * MIB
UNIT, COPY_UP = 4096, 512 << 10


class Files:
    def __init__(self, directory):
        self.data = os.open(directory / "data", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        self.log = os.open(directory / "log", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.ftruncate(self.data, AREA)
        self.log_end = 0

    def close(self):
        os.close(self.data)
        os.close(self.log)

    def append(self, content):
        os.pwrite(self.log, content, self.log_end)
        self.log_end += len(content)


class InPlace(Files):
    """Every block was written before."""

    def prepare(self):
        for at in range(0, AREA, MIB):
            os.pwrite(self.data, bytes([1]) * MIB, at)
        os.fdatasync(self.data)

    def write(self, offset, content):
        os.pwrite(self.data, content, offset)

    def flush(self):
        os.fdatasync(self.data)


class Sparse(InPlace):
    """The same on a sparse file: what a raw disk does on first touch."""

    def prepare(self):
        os.fdatasync(self.data)


class MapLog(Sparse):
    """Ours on first touch: a sparse file at the disk's offsets, 32 bytes in a log for each write, two syncs a flush."""

    def write(self, offset, content):
        os.pwrite(self.data, content, offset)
        self.append(bytes(32))

    def flush(self):
        os.fdatasync(self.data)
        self.append(bytes(32))
        os.fdatasync(self.log)


class AppendLog(Sparse):
    """Data and records in one log, as LSVD does: one sync a flush; where a block lies must be looked up in memory."""

    def write(self, offset, content):
        self.append(bytes(32) + content)

    def flush(self):
        os.fdatasync(self.log)


class CopyUp(MapLog):
    """First touch copies the whole chunk of 512 KiB, so that the map has one entry a chunk."""

    def prepare(self):
        super().prepare()
        self.chunk, self.touched = bytes([2]) * COPY_UP, set()

    def write(self, offset, content):
        if offset // COPY_UP in self.touched:
            return os.pwrite(self.data, content, offset)
        self.touched.add(offset // COPY_UP)
        os.pwrite(self.data, self.chunk, offset // COPY_UP * COPY_UP)
        self.append(bytes(32))
        return None


DESIGNS = {"in place": InPlace, "sparse file, no map": Sparse, "map log, first touch": MapLog,
           "append log": AppendLog, "copy-up of 512 KiB": CopyUp}


def run(design, directory, turn):
    files = design(directory)
    files.prepare()
    offsets = random.Random(turn)
    content = offsets.randbytes(UNIT)
    flushes = []
    began = time.monotonic()
    for _ in range(FLUSHES):
        for _ in range(FLUSH_EVERY):
            files.write(offsets.randrange(AREA // UNIT) * UNIT, content)
        at = time.monotonic()
        files.flush()
        flushes.append(time.monotonic() - at)
    took = time.monotonic() - began
    files.close()
    return FLUSHES * FLUSH_EVERY / took, statistics.median(flushes) * 1e3


def main():
    report = Report("write_path")
    results = {name: [] for name in DESIGNS}
    with Workplace() as place:
        for turn in range(ROUNDS):
            names = list(DESIGNS)
            for name in names[turn % len(names):] + names[:turn % len(names)]:
                results[name].append(run(DESIGNS[name], place.path, turn))
    base = results["sparse file, no map"]
    for name, values in results.items():
        ratio = statistics.median(ours[0] / theirs[0] for ours, theirs in zip(values, base))
        report.add(f"random write 4k, flush every {FLUSH_EVERY}: {name}", "iops",
                   statistics.median(value[0] for value in values), "sparse file, no map",
                   statistics.median(value[0] for value in base), ratio=ratio)
        report.add(f"one flush: {name}", "ms", statistics.median(value[1] for value in values))
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
