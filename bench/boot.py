"""./dev bench boot: guests that boot from a store 20 ms away, with and without the boot trace of their image.

A boot is what a guest reads until it is up, and nothing else: here guests are emulated, and minutes of their processor's
time would hide what is measured. CHUNKS places on a disk, in each a few reads of 4 to 64 KiB, one after the other as
boot loaders and init systems read, in an order that the seed gives. Every launch is cold: a new disk server, an empty
slot cache, and packs whose every read takes LATENCY longer (bench/slow_store.cc, which counts them as well).

The trace is not made up: the first launch's touches are asked of its disk server, and later launches are given them, as
the daemon does it. Eight guests share the slot cache of their host, and each has its own disk server.
"""
import concurrent.futures
import random
import statistics
import struct
import sys
import time

sys.path.append(sys.path.pop(0))  # the client library is called nbd, and so is a benchmark beside this one
import nbd

from report import Report
from servers import BUILD, MIB, Kiln, Workplace, disks

LATENCY = 20  # ms
CHUNK = 512 << 10
SIZE = 1024 * MIB
AREA = 512 * MIB
CHUNKS = 240  # 120 MiB, as much as a Linux guest reads to its login prompt
GUESTS = 8
ROUNDS = 3


def boot_reads(seed):
    """[(offset, bytes)]: runs of neighbouring chunks, as files lie, and a jump to the next."""
    order = random.Random(seed)
    reads, seen = [], set()
    while len(seen) < CHUNKS:
        first = order.randrange(AREA // CHUNK)
        for chunk in range(first, min(first + order.randrange(1, 9), AREA // CHUNK)):
            seen.add(chunk)
            for _ in range(order.randrange(1, 4)):
                size = order.choice([4, 8, 16, 64]) << 10
                reads.append((chunk * CHUNK + order.randrange((CHUNK - size) // 4096) * 4096, size))
    return reads


READS = boot_reads(1)


class Launch:
    """A guest with its disk server. Guests of one host are given the same slots."""

    def __init__(self, place, name, store, root, slots, counter):
        self.kiln = Kiln(place, name, "cache=64M", f"slots={slots}")
        self.kiln.store.rmdir()
        self.kiln.store = store
        self.kiln.environment = {"LD_PRELOAD": BUILD / "lib/kiln-bench-slow-store.so",
                                 "KILN_SLOW_STORE_MS": LATENCY, "KILN_SLOW_STORE_COUNT": counter}
        self.volume = "vol-0123456789abcdef0"
        self.kiln.volume(self.volume, SIZE, root)
        self.kiln.start()

    def boot(self, trace):
        """Seconds from opening the volume to the last read."""
        began = time.monotonic()
        self.kiln.open(self.volume)
        if trace:
            self.kiln.call("prefetch", volume=self.volume, chunks=trace, bytes_per_second=0)
        client = nbd.NBD()
        client.connect_uri(self.kiln.uri(self.volume))
        for offset, size in READS:
            client.pread(size, offset)
        client.shutdown()
        return time.monotonic() - began

    def touches(self):
        text = self.kiln.call("launch_touches", volume=self.volume)["touches"]
        return [int(touch.split("@")[0]) for touch in text.split()]

    def end(self):
        self.kiln.place.stop(self.kiln.process)


class Bench:
    def __init__(self, place):
        self.place = place
        self.store = place.path / "store"
        self.root = disks("disk", self.store, SIZE, AREA, 1)["root"]
        self.counter = place.path / "counter"
        self.host = 0

    def boots(self, guests, trace=None):
        """([seconds of each guest], bytes read of packs, what the first of them touched), on a host that has nothing."""
        self.host += 1
        self.counter.write_bytes(bytes(16))
        slots = self.place.path / f"slots-{self.host}"
        slots.mkdir()
        launches = [Launch(self.place, f"host-{self.host}-{i}", self.store, self.root, slots, self.counter)
                    for i in range(guests)]
        with concurrent.futures.ThreadPoolExecutor(guests) as at_once:
            seconds = list(at_once.map(lambda launch: launch.boot(trace), launches))
        touched = launches[0].touches()
        for launch in launches:
            launch.end()
        return seconds, struct.unpack("<QQ", self.counter.read_bytes())[1], touched


def main():
    report = Report("boot")
    with Workplace() as place:
        bench = Bench(place)
        trace = bench.boots(1)[2]
        alone, alone_traced, crowd, crowd_traced = [], [], [], []
        for _ in range(ROUNDS):
            alone.append(bench.boots(1))
            alone_traced.append(bench.boots(1, trace))
            crowd.append(bench.boots(GUESTS))
            crowd_traced.append(bench.boots(GUESTS, trace))

        def slowest(rounds):
            return statistics.median(max(seconds) for seconds, _, _ in rounds)

        def mib(rounds):
            return statistics.median(read for _, read, _ in rounds) / MIB

        report.add("boot's reads, 1 guest, with the trace", "s", slowest(alone_traced), "without", slowest(alone),
                   "<= 0.333")
        report.add("boot's reads, 8 guests, the slowest", "s", slowest(crowd_traced), "without", slowest(crowd),
                   "<= 0.333")
        report.add("read of packs, 8 guests without the trace", "MiB", mib(crowd), "1 guest", mib(alone), "<= 1.1")
        report.add("read of packs, 8 guests with the trace", "MiB", mib(crowd_traced), "1 guest without", mib(alone),
                   "<= 1.1")
        report.add("read of packs, 1 guest with the trace", "MiB", mib(alone_traced), "without", mib(alone))
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
