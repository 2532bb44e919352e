"""./dev bench copy: what a copy between regions moves, and how fast a first one is beside an import of the same image.

Daemons on the fake host, on loopback, with the images of bench store. The first copy of v1 goes into a region that is
empty: over HTTP from another daemon, and from a region of the same one; beside them the same image is imported. Each
takes ROUNDS turns, into a region of its own every time. Then v3 is brought to a daemon that reaches its source through a
counter, and v4 after it; what v4 adds is counted in the image files, by their chunks' digests.
"""
import hashlib
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import threading

from daemons import Daemon
from report import Report
from servers import MIB, Workplace
from store import IMAGES, NAMES

CHUNK = 512 << 10
ROUNDS = 3
FAR = "far-north-1"


class Counter:
    """A way to a port that counts the bytes that come back."""

    def __init__(self, port):
        self.target, self.passed, self.lock = port, 0, threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self.carry, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.carry, args=(server, client, True), daemon=True).start()

    def carry(self, source, sink, counted):
        try:
            while piece := source.recv(1 << 18):
                if counted:
                    with self.lock:
                        self.passed += len(piece)
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other side is gone, and the daemon asks again


def chunks_of(image):
    """The digests of an image's chunks that are not zeros, and how many there are."""
    digests, count = set(), 0
    zeros = bytes(CHUNK)
    with open(image, "rb") as file:
        size, at = os.fstat(file.fileno()).st_size, 0
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA) // CHUNK * CHUNK
            except OSError:
                break
            chunk = os.pread(file.fileno(), CHUNK, at).ljust(CHUNK, b"\0")
            if chunk != zeros:
                digests.add(hashlib.sha256(chunk).digest())
                count += 1
            at += CHUNK
    return digests, count


def speed(report, place, far, image, snapshot):
    turns = [str(turn) for turn in range(ROUNDS)]
    near = Daemon(place, "near", [f"{kind}-{turn}" for kind in ("import", "http", "inside") for turn in turns],
                  (FAR, far.port))
    times = {"import": [], "http": [], "inside": []}
    imported = None
    for turn in range(ROUNDS):
        kinds = list(times)
        # What a copy from a neighbour copies is there after the first import.
        for kind in kinds if turn == 0 else kinds[turn % 3:] + kinds[:turn % 3]:
            region = f"{kind}-{turn}"
            if kind == "import":
                source, took = near.import_image(image, region)
                imported = imported or (source, region)
            elif kind == "http":
                took = near.copy(snapshot, FAR, region)
            else:
                took = near.copy(imported[0], imported[1], region)
            times[kind].append(took)
    count = chunks_of(image)[1]
    rate = {kind: count * CHUNK / 1e6 / statistics.median(took) for kind, took in times.items()}
    report.add("first copy of v1 over HTTP", "MB/s", rate["http"], "import of v1", rate["import"], ">= 0.7")
    report.add("first copy of v1 from a neighbour", "MB/s", rate["inside"], "import of v1", rate["import"], ">= 0.7")
    near.stop()


def moved(report, place, far, v3, v4):
    counter = Counter(far.port)
    near = Daemon(place, "counted", ["near-1"], (FAR, counter.port))
    snapshots = {image.stem: far.import_image(image, FAR)[0] for image in (v3, v4)}
    near.copy(snapshots["v3"], FAR, "near-1")
    report.add("first copy of v3, over the wire", "MiB", counter.passed / MIB)
    before = counter.passed
    near.copy(snapshots["v4"], FAR, "near-1")
    added = len(chunks_of(v4)[0] - chunks_of(v3)[0]) * CHUNK
    report.add("v4 after v3, over the wire", "MiB", (counter.passed - before) / MIB, "chunks that v4 adds", added / MIB,
               "<= 1.05")
    before, blocks = counter.passed, far.blocks_given()
    near.copy(snapshots["v4"], FAR, "near-1")
    report.add("v4 again, blocks", "blocks", far.blocks_given() - blocks, goal="== 0")
    report.add("v4 again, its list over the wire", "MiB", (counter.passed - before) / MIB)


def main():
    if not all((IMAGES / f"{name}.raw").exists() for name in NAMES):
        subprocess.run([pathlib.Path(__file__).parent / "images", IMAGES], check=True)
    v1, v3, v4 = (IMAGES / f"{name}.raw" for name in ("v1", "v3", "v4"))
    report = Report("copy")
    with Workplace() as place:
        far = Daemon(place, "far", [FAR])
        subprocess.run(["cat", v1], check=True, stdout=subprocess.DEVNULL)
        speed(report, place, far, v1, far.import_image(v1, FAR)[0])
        moved(report, place, far, v3, v4)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
