"""./dev bench nbd: our plugin beside nbdkit's file plugin on a raw file, its memory plugin, qemu-nbd on a qcow2 file.

Each measurement goes through its servers in turns, ROUNDS times, so that whatever else the machine does meets all of
them; what is shown is the median of each, and the ratio is the median of the ratios of the rounds. The area that is
read fits the memory that our process may use for decoded chunks, CACHE; the peers have the page cache. Three states of
the volume are measured: over a snapshot that is stored, over a cut whose upload has not begun, and the same while the
upload runs, with which all servers then share the processor.

The client has a processor of its own, as a guest that waits has; the servers have the others. Where both take turns on
the same ones it is the scheduler that is measured: two equal servers differed by a third (docs/decisions/0002).
"""
import os
import statistics
import subprocess
import sys
import threading

from report import Report
from servers import MIB, Kiln, Workplace, disks, fio

ROUNDS = 7
SECONDS = 1
SIZE = 1024 * MIB
AREA = 192 * MIB
CACHE = "256M"
FLUSH_EVERY = 32
VOLUME, SNAPSHOT = "vol-0123456789abcdef0", "snap-0123456789abcdef0"

READS = [("random read 4k QD1", "iops", ("randread", "4k", 1)),
         ("random read 4k QD16", "iops", ("randread", "4k", 16)),
         ("sequential read 1M", "MB/s", ("read", "1M", 4))]
WRITE = ("random write 4k QD16, flush every 32", "iops", ("randwrite", "4k", 16))


def value(result, unit):
    return result["iops"] if unit == "iops" else result["bw_bytes"] / 1e6


def in_turns(servers, unit, load, *more, area=AREA, rounds=ROUNDS, seconds=SECONDS):
    """{name: [a value for each round]}; each round begins with another server."""
    names = list(servers)
    values = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names):] + names[:turn % len(names)]:
            os.sync()  # or who flushes waits for what the one before left unwritten
            values[name].append(value(fio(servers[name], *load, area, seconds, *more), unit))
    return values


def add(report, metric, unit, values, peer, goal=None):
    ratio = statistics.median(ours / theirs for ours, theirs in zip(values["kiln"], values[peer]))
    report.add(metric, unit, statistics.median(values["kiln"]), peer, statistics.median(values[peer]), goal,
               ratio=ratio)


def reads(report, state, servers):
    for metric, unit, load in READS:
        values = in_turns(servers, unit, load)
        sequential = load[0] == "read"
        add(report, f"{metric}, {state}", unit, values, "raw", ">= 2.0" if sequential else ">= 1.0")
        if "memory" in servers:
            add(report, f"{metric}, {state}", unit, values, "memory", ">= 0.9" if sequential else None)
        if "qcow2" in servers:
            add(report, f"{metric}, {state}", unit, values, "qcow2")


def writes(report, state, servers):
    metric, unit, load = WRITE
    values = in_turns(servers, unit, load, f"--fsync={FLUSH_EVERY}", seconds=2 * SECONDS)
    for peer in servers:
        if peer not in ("kiln", "memory"):
            add(report, f"{metric}, {state}", unit, values, peer, ">= 1.0" if peer == "raw" else None)


def fill(uri):
    """Writes every byte of the area once, so that what follows is not the first touch."""
    fio(uri, "write", "1M", 4, AREA, None, "--end_fsync=1")


def first_touch(report, place, kiln):
    """Each round writes to a volume, and to a sparse file, that nobody has written to."""
    metric, unit, load = WRITE
    values = {"kiln": [], "raw": []}
    for turn in range(ROUNDS):
        kiln.volume(f"vol-{turn:017x}", SIZE)
        kiln.open(f"vol-{turn:017x}")
        path = place.path / f"first{turn}"
        with open(path, "wb") as file:
            file.truncate(SIZE)
        servers = {"kiln": kiln.uri(f"vol-{turn:017x}"), "raw": place.nbdkit(f"first-raw{turn}", "file", path)}
        order = list(servers) if turn % 2 else list(reversed(servers))
        for name in order:
            values[name].append(value(fio(servers[name], *load, AREA, SECONDS, f"--fsync={FLUSH_EVERY}"), unit))
        place.stop(place.processes[-1])
        path.unlink()
        kiln.call("close", volume=f"vol-{turn:017x}")
    add(report, f"{metric}, first touch", unit, values, "raw")


def slots(report, place, kiln, root):
    """What chunks kept decoded on the host's disk give the next guest, and what they cost one that is warm."""
    directory = place.path / "slots"
    metric, unit, load = READS[1]
    first = {"with": [], "without": []}
    warm = {"with": [], "without": []}
    for turn in range(ROUNDS + 1):
        for name in sorted(first, reverse=turn % 2 == 1):
            guest = Kiln(place, f"{name}{turn}", f"cache={CACHE}", *([f"slots={directory}"] if name == "with" else []))
            guest.store.rmdir()
            guest.store.symlink_to(kiln.store)
            guest.volume(VOLUME, SIZE, root)
            guest.start()
            guest.open(VOLUME)
            read = fio(guest.uri(VOLUME), "read", "1M", 4, AREA)
            if turn > 0:  # the first of all fills the slots
                first[name].append(value(read, "MB/s"))
                warm[name].append(value(fio(guest.uri(VOLUME), *load, AREA, SECONDS), unit))
            place.stop(guest.process)
    for what, values, what_unit, goal in (("first read of all by a host's second guest, slots", first, "MB/s", None),
                                          (f"{metric}, warm, slots", warm, unit, ">= 0.95")):
        ratio = statistics.median(ours / theirs for ours, theirs in zip(values["with"], values["without"]))
        report.add(what, what_unit, statistics.median(values["with"]), "no slots",
                   statistics.median(values["without"]), goal, ratio=ratio)


class Uploads:
    """Uploads the cut again and again, each time into an empty store, until the `with` block ends."""

    def __init__(self, kiln, volume, snapshot):
        self.kiln, self.volume, self.snapshot = kiln, volume, snapshot

    def __enter__(self):
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()

    def run(self):
        scratch = self.kiln.path / "scratch"
        while not self.stopping.is_set():
            disks("copy", scratch, self.kiln.path / "volumes" / self.volume, self.snapshot)
            subprocess.run(["rm", "-r", str(scratch)], check=True)


def main():
    report = Report("nbd")
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) > 1:
        os.sched_setaffinity(0, processors[:1])
    with Workplace(processors[1:]) as place:
        raw, overlay, base = (place.path / name for name in ("raw", "overlay.qcow2", "base"))
        kiln = Kiln(place, "kiln", f"cache={CACHE}")
        root = disks("disk", kiln.store, SIZE, AREA, 1)["root"]
        kiln.volume(VOLUME, SIZE, root)
        kiln.start()
        kiln.open(VOLUME)
        for path in (raw, base):
            subprocess.run(["nbdcopy", kiln.uri(VOLUME), path], check=True)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base, overlay], check=True)
        servers = {"kiln": kiln.uri(VOLUME), "raw": place.nbdkit("raw", "file", raw),
                   "memory": place.nbdkit("memory", "memory", str(SIZE)),
                   "qcow2": place.qemu_nbd("qcow2", overlay, "qcow2")}
        subprocess.run(["nbdcopy", servers["raw"], servers["memory"]], check=True)

        reads(report, "stored base", servers)
        slots(report, place, kiln, root)
        first_touch(report, place, kiln)
        for name in ("kiln", "raw", "qcow2"):
            fill(servers[name])
        writes(report, "steady", servers)
        reads(report, "own writes", {name: servers[name] for name in ("kiln", "raw", "memory")})

        del servers["qcow2"]
        kiln.seal(VOLUME, SNAPSHOT)
        kiln.call("sealed", volume=VOLUME, snapshot=SNAPSHOT)
        reads(report, "after a snapshot", servers)
        with Uploads(kiln, VOLUME, SNAPSHOT):
            reads(report, "mid-upload", servers)
            fill(servers["kiln"])
            writes(report, "mid-upload", servers)
        report.add("resident memory after all this", "MiB", kiln.resident_kib() / 1024)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
