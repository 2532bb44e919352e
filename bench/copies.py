"""./dev bench copy: what a copy between regions moves, and how fast a first one is beside an import of the same image.

Daemons on the fake host, on loopback, with the images of bench store. The first copy of v1 goes into a region that is
empty: over HTTP from another daemon, and from a region of the same one; beside them the same image is imported. Each
takes ROUNDS turns, into a region of its own every time. Then v3 is brought to a daemon that reaches its source through a
counter, and v4 after it; what v4 adds is counted in the image files, by their chunks' digests.
"""
import hashlib
import hmac
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

from report import RESULTS, Report
from servers import BUILD, MIB, Workplace
from store import IMAGES, NAMES

CHUNK = 512 << 10
ROUNDS = 3
FAR = "far-north-1"
ACCESS_KEY, SECRET = "AKIABENCHBENCHBENCH1", "bench-secret"


def ec2(port, region, action, **parameters):
    """One signed call of the EC2 API; the answer's XML."""
    body = urllib.parse.urlencode({"Action": action, "Version": "2016-11-15", **parameters}).encode()
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{stamp[:8]}/{region}/ec2/aws4_request"
    canonical = (f"POST\n/\n\nhost:127.0.0.1:{port}\nx-amz-date:{stamp}\n\nhost;x-amz-date\n"
                 + hashlib.sha256(body).hexdigest())
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", body, {
        "X-Amz-Date": stamp, "Content-Type": "application/x-www-form-urlencoded",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders=host;x-amz-date, "
                         f"Signature={signature}"})
    with urllib.request.urlopen(request) as answer:
        return answer.read().decode()


def first(tag, xml):
    found = re.search(f"<{tag}>([^<]*)</{tag}>", xml)
    return found and found[1]


class Daemon:
    def __init__(self, place, name, regions, source_port=None):
        self.path = place.path / name
        self.path.mkdir()
        self.data, self.log = self.path / "data", self.path / "kilnd.log"
        text = "".join(f'[[region]]\nname = "{region}"\n' for region in regions)
        text += f'[[account]]\nid = "123456789012"\naccess_key = "{ACCESS_KEY}"\n'
        text += f'secret_key = "{SECRET}"\n'
        if source_port:
            text += f'[[remote_region]]\nname = "{FAR}"\nendpoint = "http://127.0.0.1:{source_port}"\n'
            text += f'[[remote_region.key]]\naccount = "123456789012"\naccess_key = "{ACCESS_KEY}"\n'
            text += f'secret_key = "{SECRET}"\n'
        (self.path / "kiln.toml").write_text(text)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [BUILD / "bin/kilnd", "--config", self.path / "kiln.toml", "--data", self.data, "--port", "0",
                 "--hypervisor", "fake"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        place.processes.append(self.process)
        deadline = time.monotonic() + 30
        while not (ready := re.search(r"ready at http://127\.0\.0\.1:(\d+)", self.log.read_text())):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"kilnd does not serve: {self.log.read_text()}")
            time.sleep(0.01)
        self.port = int(ready[1])

    def ec2(self, region, action, **parameters):
        return ec2(self.port, region, action, **parameters)

    def import_image(self, image, region):
        """The snapshot's id, and the seconds that it took."""
        name = f"image-{image.stem}"
        start = time.monotonic()
        subprocess.run([BUILD / "bin/kiln", "import", image, "--name", name, "--region", region, "--data",
                        self.data], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        took = time.monotonic() - start
        found = self.ec2(region, "DescribeImages", **{"Filter.1.Name": "name", "Filter.1.Value.1": name})
        return first("snapshotId", found), took

    def copy(self, snapshot, source, region):
        """The seconds from the request until the copy is completed."""
        start = time.monotonic()
        made = first("snapshotId", self.ec2(region, "CopySnapshot", SourceRegion=source, SourceSnapshotId=snapshot))
        while True:
            seen = self.ec2(region, "DescribeSnapshots", **{"SnapshotId.1": made})
            if first("status", seen) == "completed":
                return time.monotonic() - start
            if first("status", seen) == "error":
                raise RuntimeError(first("statusMessage", seen))
            time.sleep(0.02)

    def blocks_given(self):
        return self.log.read_text().count("ebs:GetSnapshotBlock ok")


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
    near = Daemon(place, "near", [f"{kind}-{turn}" for kind in ("import", "http", "inside") for turn in turns], far.port)
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
    place.stop(near.process)


def moved(report, place, far, v3, v4):
    counter = Counter(far.port)
    near = Daemon(place, "counted", ["near-1"], counter.port)
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
