"""./dev bench snapshot: what a snapshot costs the guest and the host, and that none of it depends on the disk's size.

A guest writes 4 KiB at random all over its disk, WRITES a second at depth 16, while the disk is cut again and again. Of
each cut we take how long its caller waited, and the longest that any write took which was in flight within WINDOW of
its start. The same windows without a cut, between the others, say what this machine does to such a guest anyway. The
peer takes its snapshots as a user of QEMU does: qemu-storage-daemon puts a qcow2 overlay, made before, on top of the
chain (blockdev-snapshot).

A cut is then made the volume's base without being stored: latencies are what is measured, not content.
"""
import itertools
import json
import math
import resource
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import time

from report import Report
from servers import MIB, Kiln, Workplace, disks, fio, fio_command

GIB, TIB = 1 << 30, 1 << 40
ROUNDS = 3
CUTS = 120
PEER_CUTS = 40
PAUSE = 0.25
WINDOW = 0.1
WRITES = 1000
MOST_SECONDS = 180
CACHE = 64 * MIB


def name(kind, number):
    return f"{kind}-{number:017x}"


def p99(values):
    return sorted(values)[math.ceil(len(values) * 0.99) - 1]


class Load:
    """fio's random writes until the `with` block ends; afterwards `writes` is [(start, end, ms)], in time.time()."""

    def __init__(self, place, uri, size):
        self.log = place.path / "writes"
        self.command = [*fio_command(uri, "randwrite", "4k", 16, size, 3600), f"--rate_iops={WRITES}", "--norandommap",
                        "--random_generator=tausworthe64", f"--write_lat_log={self.log}", "--log_unix_epoch=1",
                        "--disable_clat=1", "--disable_slat=1"]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, cwd=self.log.parent)
        time.sleep(1)  # fio has written for a while before anything is measured
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.writes = []
        path = self.log.with_name(self.log.name + "_lat.1.log")
        with open(path) as lines:
            for line in lines:
                end, nanoseconds, _ = line.split(",", 2)
                self.writes.append((int(end) / 1e3 - int(nanoseconds) / 1e9, int(end) / 1e3, int(nanoseconds) / 1e6))
        path.unlink()

    def longest(self, windows):
        """Of each window [(start, end)], in ascending order, the longest write in ms that was in flight within it."""
        found = [0.0] * len(windows)
        first = 0
        for start, end, milliseconds in sorted(self.writes, key=lambda write: write[1]):
            while first < len(windows) and windows[first][1] < start:
                first += 1
            for i in range(first, len(windows)):
                if windows[i][0] > end:
                    break
                if start <= windows[i][1]:
                    found[i] = max(found[i], milliseconds)
        return found


def cut_again_and_again(load, cuts, cut, after):
    """Calls cut(i), timed, and after(i). Returns ([ms of each call], its windows, windows without a cut).

    Fewer cuts are made when a disk that is slow at random writes takes all of MOST_SECONDS to make them durable.
    """
    took, windows, quiet = [], [], []
    until = time.monotonic() + MOST_SECONDS
    for i in range(cuts):
        if time.monotonic() > until:
            break
        quiet.append((time.time(), time.time() + WINDOW))
        time.sleep(WINDOW + 0.02)
        began = time.time()
        cut(i)
        took.append((time.time() - began) * 1e3)
        windows.append((began, max(time.time(), began + WINDOW)))
        time.sleep(PAUSE)
        after(i)
        time.sleep(WINDOW)
    return took, windows, quiet


def cuts_of_kiln(place, kiln, volume, size, root):
    snapshots = itertools.count()
    made = {}

    def cut(i):
        made[i] = kiln.seal(volume, name("snap", next(snapshots)))["sealed"][0]

    def after(i):
        kiln.call("rebase", volume=volume, generation=made[i]["generation"],
                  base={"root": root, "size_bytes": size})

    with Load(place, kiln.uri(volume), size) as load:
        took, windows, quiet = cut_again_and_again(load, CUTS, cut, after)
    return took, load.longest(windows), load.longest(quiet), len(load.writes)


class StorageDaemon:
    """qemu-storage-daemon: one qcow2 disk as an export, its snapshots as overlays."""

    def __init__(self, place, label, size):
        self.place, self.label = place, label
        self.images = [self.create(0, size)]
        self.socket = place.path / f"{label}.sock"
        qmp = place.path / f"{label}.qmp"
        self.process = place.start(
            "qemu-storage-daemon", "--blockdev", f"driver=file,node-name=file0,filename={self.images[0]}",
            "--blockdev", "driver=qcow2,node-name=disk0,file=file0",
            "--chardev", f"socket,id=qmp,path={qmp},server=on,wait=off", "--monitor", "chardev=qmp",
            "--nbd-server", f"addr.type=unix,addr.path={self.socket}",
            "--export", "type=nbd,id=disk,node-name=disk0,name=disk,writable=on")
        self.size = size
        deadline = time.monotonic() + 20
        while not (self.socket.exists() and qmp.exists()) and time.monotonic() < deadline:
            time.sleep(0.01)
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(str(qmp))
        self.answers = self.connection.makefile()
        self.answers.readline()
        self.ask("qmp_capabilities")

    def create(self, number, size):
        path = self.place.path / f"{self.label}-{number}.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, str(size)], check=True)
        return path

    def ask(self, execute, **arguments):
        self.connection.sendall(json.dumps({"execute": execute, "arguments": arguments}).encode() + b"\n")
        for line in self.answers:
            answer = json.loads(line)
            if "error" in answer:
                raise RuntimeError(f"{execute}: {answer['error']}")
            if "return" in answer:
                return answer["return"]
        raise RuntimeError(f"{execute}: no answer")

    def prepare(self, i):
        path = self.create(i + 1, self.size)
        self.ask("blockdev-add", **{"node-name": f"disk{i + 1}", "driver": "qcow2", "backing": None,
                                    "file": {"driver": "file", "filename": str(path)}})

    def cut(self, i):
        self.ask("blockdev-snapshot", node=f"disk{i}", overlay=f"disk{i + 1}")


def cuts_of_qemu(place, label, size):
    daemon = StorageDaemon(place, label, size)
    daemon.prepare(0)
    with Load(place, f"nbd+unix:///disk?socket={daemon.socket}", size) as load:
        took, windows, quiet = cut_again_and_again(load, PEER_CUTS, daemon.cut, lambda i: daemon.prepare(i + 1))
    place.stop(daemon.process)
    for path in place.path.glob(f"{label}-*.qcow2"):
        path.unlink()
    return took, load.longest(windows), load.longest(quiet), len(load.writes)


def cuts(report, place, kiln):
    medians = {}
    for label, size in (("1 GiB", GIB), ("16 TiB", 16 * TIB)):
        volume = name("vol", size)
        root = disks("disk", kiln.store, size, 8 * MIB, size)["root"]
        kiln.volume(volume, size, root)
        kiln.open(volume)
        took, stalls, quiet, writes = cuts_of_kiln(place, kiln, volume, size, root)
        kiln.call("close", volume=volume)
        their_took, their_stalls, their_quiet, their_writes = cuts_of_qemu(place, f"qsd-{label[:2].strip()}", size)
        where = f"of {label}, {len(took)} cuts"
        report.add(f"the cut's answer {where}, p99", "ms", p99(took), "blockdev-snapshot", p99(their_took), "<= 50",
                   goal_on="ours")
        report.add(f"the cut's answer {where}, median", "ms", statistics.median(took), "blockdev-snapshot",
                   statistics.median(their_took))
        report.add(f"longest write around the cut {where}, p99", "ms", p99(stalls), "blockdev-snapshot",
                   p99(their_stalls), "<= 10", goal_on="ours")
        report.add(f"longest write around the cut {where}, median", "ms", statistics.median(stalls),
                   "blockdev-snapshot", statistics.median(their_stalls))
        report.add(f"longest write without a cut, {label}, p99", "ms", p99(quiet), "blockdev-snapshot",
                   p99(their_quiet))
        report.add(f"writes during all that, {label}", "", writes, "blockdev-snapshot", their_writes)
        medians[label] = statistics.median(took)
    report.add("median answer, 16 TiB over 1 GiB", "times", medians["16 TiB"] / medians["1 GiB"], goal="<= 1.2")


def processor_seconds():
    """Of all programs that were run and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def uploads(report, place, kiln):
    """1 GiB of data that half compresses, stored as the daemon's job does, beside a compressed qcow2 of the same."""
    volume, size = name("vol", 7), 2 * GIB
    kiln.volume(volume, size)
    kiln.open(volume)
    fio(kiln.uri(volume), "write", "1M", 4, GIB, None, "--end_fsync=1", "--refill_buffers",
        "--buffer_compress_percentage=50", "--buffer_compress_chunk=4k")
    raw = place.path / "raw"
    subprocess.run(["nbdcopy", kiln.uri(volume), raw], check=True)
    kiln.seal(volume, name("snap", 7))
    kiln.call("sealed", volume=volume, snapshot=name("snap", 7))
    directory = kiln.path / "volumes" / volume
    seconds = {"kiln": [], "qemu": []}
    processor = {"kiln": [], "qemu": []}
    for turn in range(ROUNDS):
        scratch = place.path / f"scratch{turn}"
        used = processor_seconds()
        stored = disks("upload", scratch, directory, name("snap", 7))
        seconds["kiln"].append(stored["seconds"])
        processor["kiln"].append(processor_seconds() - used)
        shutil.rmtree(scratch)
        used = processor_seconds()
        began = time.monotonic()
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", "-o", "compression_type=zstd", raw,
                        place.path / "peer.qcow2"], check=True)
        subprocess.run(["sync", place.path / "peer.qcow2"], check=True)
        seconds["qemu"].append(time.monotonic() - began)
        processor["qemu"].append(processor_seconds() - used)
    raw.unlink()
    # On a machine with other work this is what the upload itself takes; divided by two it is its time on two idle cores.
    report.add("1 GiB of changes stored, processor time", "s", statistics.median(processor["kiln"]),
               "qemu-img convert -c zstd", statistics.median(processor["qemu"]))
    ours, theirs = (statistics.median(seconds[key]) for key in ("kiln", "qemu"))
    report.add("1 GiB of changes stored", "s", ours, "qemu-img convert -c zstd", theirs, "<= 4", goal_on="ours")
    report.add("1 GiB of changes stored", "MiB/s", 1024 / ours, "qemu-img convert -c zstd", 1024 / theirs)
    report.add("1 GiB of changes takes", "MiB", stored["stored_bytes"] / MIB, "qemu-img convert -c zstd",
               (place.path / "peer.qcow2").stat().st_blocks * 512 / MIB)

    stored = disks("upload", kiln.store, directory, name("snap", 7))
    kiln.call("rebase", volume=volume, generation=stored["generation"],
              base={"root": stored["root"], "size_bytes": size})
    began = time.monotonic()
    kiln.seal(volume, name("snap", 8))
    kiln.call("sealed", volume=volume, snapshot=name("snap", 8))
    again = disks("upload", kiln.store, directory, name("snap", 8))
    report.add("a snapshot without a change", "s", time.monotonic() - began, goal="<= 1")
    report.add("a snapshot without a change stores", "bytes", again["stored_bytes"], goal="== 0")
    if again["root"] != stored["root"]:
        raise RuntimeError("a snapshot without a change has another root")
    kiln.call("close", volume=volume)


def first_read(path, export, length=4096):
    """Connects as QEMU does and reads the first bytes of the export (NBD, fixed newstyle)."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        stream = connection.makefile("rb")
        stream.read(18)  # NBDMAGIC, IHAVEOPT, flags
        connection.sendall(struct.pack(">I", 3))
        name_bytes = export.encode()
        go = struct.pack(">I", len(name_bytes)) + name_bytes + struct.pack(">H", 0)
        connection.sendall(b"IHAVEOPT" + struct.pack(">II", 7, len(go)) + go)
        while True:
            _, _, kind, size = struct.unpack(">QIII", stream.read(20))
            stream.read(size)
            if kind == 1:  # ACK
                break
            if kind & 1 << 31:
                raise RuntimeError(f"export {export} is refused")
        connection.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 0, 1, 0, length))
        _, error, _ = struct.unpack(">IIQ", stream.read(16))
        if error or len(stream.read(length)) != length:
            raise RuntimeError(f"reading {export}: error {error}")


def large_disks(report, place, kiln):
    size = 64 * TIB
    before = disks("sparse", kiln.store, size, 1, "-")["root"]
    after = disks("sparse", kiln.store, size, 2, before)["root"]
    found = [disks("diff", kiln.store, before, after) for _ in range(10 * ROUNDS)]
    if any(diff["changed"] != 1 for diff in found):
        raise RuntimeError("one chunk was changed, and not one is listed")
    report.add("one changed block of 64 TiB found, node reads", "", max(diff["node_reads"] for diff in found),
               goal="<= 6")
    report.add(f"one changed block of 64 TiB found, by a new process, median of {len(found)}", "ms",
               statistics.median(diff["seconds"] for diff in found) * 1e3, goal="<= 20")
    times = {"64 TiB": [], "1 GiB": []}
    roots = {"64 TiB": (size, after), "1 GiB": (GIB, disks("disk", kiln.store, GIB, 8 * MIB, 77)["root"])}
    for turn in range(10 * ROUNDS):
        for label, (bytes_, root) in roots.items():
            volume = name("vol", (turn + 1) * 1000 + len(label))
            made = disks("volume", kiln.path / "volumes" / volume, bytes_, root, bytes_)
            began = time.monotonic()
            kiln.open(volume)
            first_read(place.path / f"{kiln.name}.sock", volume)
            times[label].append((made["seconds"] + time.monotonic() - began) * 1e3)
            kiln.call("close", volume=volume)
    for label, values in times.items():
        report.add(f"volume from a snapshot of {label}, made, opened, first read, p99 of {len(values)}", "ms",
                   p99(values), goal="<= 100")
        report.add(f"volume from a snapshot of {label}, made, opened, first read, median", "ms",
                   statistics.median(values))


def memory(report, place):
    """A disk server of its own: idle with one open volume, then with 100 GiB of it dirty in its map, the cache full."""
    kiln = Kiln(place, "memory", f"cache={CACHE}")
    size = 100 * GIB
    root = disks("disk", kiln.store, size, CACHE * 2, 5)["root"]
    kiln.volume(name("vol", 5), size, root)
    kiln.start()
    kiln.open(name("vol", 5))
    first_read(place.path / "memory.sock", name("vol", 5))
    report.add("memory of a disk server, idle", "MiB", kiln.resident_kib() / 1024, goal="<= 40")
    fio(kiln.uri(name("vol", 5)), "read", "1M", 4, CACHE * 2)
    # Every second unit is written to by trimming it: the map is as full as 100 GiB can make it, and the disk is not.
    fio(kiln.uri(name("vol", 5)), "trim:64k", "64k", 16, size)
    fio(kiln.uri(name("vol", 5)), "randwrite", "4k", 16, GIB, 5)
    report.add("memory of a disk server, 100 GiB dirty, cache of 64 MiB", "MiB", kiln.resident_kib() / 1024,
               goal=f"<= {64 + 10 + CACHE // MIB}")


def main():
    report = Report("snapshot")
    with Workplace() as place:
        kiln = Kiln(place, "kiln", f"cache={CACHE}")
        disks("disk", kiln.store, GIB, 8 * MIB, 1)
        kiln.start()
        cuts(report, place, kiln)
        uploads(report, place, kiln)
        large_disks(report, place, kiln)
        memory(report, place)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
