"""./dev bench store: how much six images of one server take, and how fast they come and go, beside what people use.

The images (bench/images) are made once and kept in build/bench/images. Sizes are what each store takes on disk after all
six, with all of its metadata. Times are medians of ROUNDS, taken in turns, with the images in the page cache.
"""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

from report import RESULTS, Report
from servers import BUILD, Workplace

NAMES = ["v1", "v2", "v3", "v4", "r1", "r2"]
IMAGES = RESULTS / "images"
ROUNDS = 5
MIB = 1 << 20


def ours(*words):
    done = subprocess.run([BUILD / "bin/kiln-bench-store", *map(str, words)], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


class Kiln:
    name = "kiln"

    def put(self, store, image):
        self.last = ours("put", store, image)

    def get(self, store, image, out):
        ours("get", store, self.last["root"], self.last["size"], out)


class Restic:
    name = "restic"

    def run(self, store, *words):
        environment = {**os.environ, "RESTIC_PASSWORD": "-", "RESTIC_REPOSITORY": str(store)}
        subprocess.run(["restic", "-q", "--no-cache", *words], check=True, env=environment)

    def put(self, store, image):
        if not (store / "config").exists():
            self.run(store, "init", "--repository-version", "2")
        self.run(store, "backup", image)


class Borg:
    name = "borg"

    def put(self, store, image):
        home = store.parent / "borg-home"
        environment = {**os.environ, "BORG_BASE_DIR": str(home), "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}
        if not (store / "config").exists():
            subprocess.run(["borg", "init", "-e", "none", store], check=True, env=environment)
        subprocess.run(["borg", "create", "--sparse", "--compression", "zstd,1", f"{store}::{image.stem}", image],
                       check=True, env=environment)


class Casync:
    name = "casync"

    def put(self, store, image):
        store.mkdir(exist_ok=True)
        subprocess.run(["casync", "make", f"--store={store}/store.castr", store / f"{image.stem}.caibx", image],
                       check=True, stdout=subprocess.DEVNULL)


class Qcow2:
    name = "qemu-img -c zstd"

    def put(self, store, image):
        store.mkdir(exist_ok=True)
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-c", "-O", "qcow2", "-o", "compression_type=zstd", image,
                        store / f"{image.stem}.qcow2"], check=True)

    def get(self, store, image, out):
        subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", store / f"{image.stem}.qcow2", out],
                       check=True)


def size_of(directory):
    return sum(path.lstat().st_blocks * 512 for path in directory.rglob("*"))


def seconds(work, *arguments):
    os.sync()  # or who syncs waits for what the one before left unwritten
    start = time.monotonic()
    work(*arguments)
    return time.monotonic() - start


def sizes(report, place, images):
    taken = {}
    for tool in (Kiln(), Restic(), Borg(), Casync(), Qcow2()):
        store = place.path / f"all-{tool.name.split()[0]}"
        for image in images:
            tool.put(store, image)
        taken[tool.name] = size_of(store) / MIB
        if tool.name != "kiln":
            shutil.rmtree(store)
    for peer in ("restic", "borg", "casync", "qemu-img -c zstd"):
        report.add("stored after all six images", "MiB", taken["kiln"], peer, taken[peer],
                   "<= 256" if peer == "restic" else None, goal_on="ours")


def ingest(report, place, image):
    tools = [Kiln(), Restic(), Qcow2()]
    times = {tool.name: [] for tool in tools}
    for turn in range(ROUNDS):
        for tool in tools[turn % 3:] + tools[:turn % 3]:
            store = place.path / f"one-{tool.name.split()[0]}-{turn}"
            if tool.name == "restic":
                tool.run(store, "init", "--repository-version", "2")
            times[tool.name].append(seconds(tool.put, store, image))
    for peer, goal in (("restic", "<= 0.25"), ("qemu-img -c zstd", "<= 0.667")):
        report.add("ingest of v1", "s", statistics.median(times["kiln"]), peer, statistics.median(times[peer]), goal)
    return {tool.name: (tool, place.path / f"one-{tool.name.split()[0]}-0") for tool in tools}


def restore(report, place, image, stored):
    times = {"kiln": [], "qemu-img -c zstd": []}
    for turn in range(ROUNDS):
        for name in sorted(times, reverse=turn % 2 == 1):
            tool, store = stored[name]
            out = place.path / "out.raw"
            times[name].append(seconds(tool.get, store, image, out))
            if turn == 0:
                subprocess.run(["cmp", image, out], check=True)
            out.unlink()
    report.add("restore of v1 to raw", "s", statistics.median(times["kiln"]), "qemu-img convert",
               statistics.median(times["qemu-img -c zstd"]), "<= 1.0")


def encryption(report, place, image):
    """What keys cost, in processor time of the whole program, beside the same without."""
    cpu = {(mode, what): [] for mode in ("put", "put-encrypted") for what in ("in", "out")}
    for turn in range(ROUNDS):
        for mode in sorted(("put", "put-encrypted"), reverse=turn % 2 == 1):
            store, out = place.path / f"{mode}-{turn}", place.path / "out.raw"
            made = ours(mode, store, image)
            cpu[mode, "in"].append(made["cpu"])
            cpu[mode, "out"].append(ours("get", store, made["root"], made["size"], out)["cpu"])
            if turn == 0:
                subprocess.run(["cmp", image, out], check=True)
            out.unlink()
            shutil.rmtree(store)
    for what, metric in (("in", "ingest of v1 encrypted, processor"), ("out", "read of v1 encrypted, processor")):
        report.add(metric, "s", statistics.median(cpu["put-encrypted", what]), "not encrypted",
                   statistics.median(cpu["put", what]), "<= 1.3")


def main():
    if not all((IMAGES / f"{name}.raw").exists() for name in NAMES):
        subprocess.run([pathlib.Path(__file__).parent / "images", IMAGES], check=True)
    images = [IMAGES / f"{name}.raw" for name in NAMES]
    report = Report("store")
    with Workplace() as place:
        for image in images:
            subprocess.run(["cat", image], check=True, stdout=subprocess.DEVNULL)
        sizes(report, place, images)
        store = place.path / "all-kiln"
        r1 = ours("put", store, images[4])
        rates = ours("reads", store, r1["root"], r1["size"])
        report.add("chunk read from the store, r1", "MB/s", rates["referring"], "chunk without bases", rates["plain"],
                   ">= 0.7")
        stored = ingest(report, place, images[0])
        restore(report, place, images[0], stored)
        encryption(report, place, images[0])
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
