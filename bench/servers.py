"""The disk servers that are measured, ours and the peers, and the load of fio on them.

Everything lies in one temporary directory, on one file system, and ends with the `with` block that opened it.
"""
import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "release"
MIB = 1 << 20


def disks(*words):
    """Runs kiln-bench-disks (bench/disks.cc) and returns what it answers."""
    done = subprocess.run([BUILD / "bin/kiln-bench-disks", *map(str, words)], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout or b"{}")


class Workplace:
    """A directory and the processes that serve from it, on these processors when they are named."""

    def __init__(self, processors=()):
        self.bound = ["taskset", "-c", ",".join(map(str, processors))] if processors else []

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="kiln-bench-"))
        self.processes = []
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()
        shutil.rmtree(self.path)

    def start(self, *command):
        log = open(self.path / f"log-{len(self.processes)}", "wb")
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def stop(self, process):
        process.terminate()
        process.wait()
        self.processes.remove(process)

    def serve(self, name, *command):
        """Starts a server that listens on the socket name.sock and returns its URI when it does."""
        path = self.path / f"{name}.sock"
        process = self.start(*self.bound, *command)
        deadline = time.monotonic() + 20
        while not path.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not serve; its output is in {self.path}")
            time.sleep(0.01)
        return f"nbd+unix:///?socket={path}"

    def nbdkit(self, name, *plugin, environment=None):
        assigned = [f"{key}={value}" for key, value in (environment or {}).items()]
        return self.serve(name, "env", *assigned, "nbdkit", "-f", "-t", "16", "-U", self.path / f"{name}.sock", *plugin)

    def qemu_nbd(self, name, path, image_format):
        return self.serve(name, "qemu-nbd", "--persistent", "--shared=16", f"--format={image_format}",
                          "--cache=writeback", f"--socket={self.path / name}.sock", path)


class Kiln:
    """Our plugin over a store and volumes of its own."""

    def __init__(self, place, name, *parameters):
        self.place, self.name = place, name
        self.path = place.path / name
        self.store = self.path / "store"
        for directory in ("volumes", "store"):
            (self.path / directory).mkdir(parents=True)
        self.parameters = parameters
        self.environment = {}

    def start(self):
        plugin = BUILD / "lib/nbdkit-kiln-plugin.so"
        self.place.nbdkit(self.name, plugin, f"volumes={self.path / 'volumes'}", f"store={self.store}",
                          f"control={self.path / 'ctl.sock'}", *self.parameters, environment=self.environment)
        self.process = self.place.processes[-1]
        deadline = time.monotonic() + 20
        while True:
            try:
                return self.call("hello")
            except (FileNotFoundError, ConnectionRefusedError):  # not there yet, or nobody listens yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def volume(self, name, size, root="-", base_size=None):
        disks("volume", self.path / "volumes" / name, size, root, 0 if root == "-" else base_size or size)

    def uri(self, volume):
        return f"nbd+unix:///{volume}?socket={self.place.path / self.name}.sock"

    def call(self, call, **members):
        """One call of the control protocol (docs/formats/control-protocol.md)."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(600)  # a cut is durable when the disk has taken all that the guest wrote
            connection.connect(str(self.path / "ctl.sock"))
            connection.sendall(json.dumps({"v": 1, "call": call, **members}).encode() + b"\n")
            answer = json.loads(connection.makefile().readline())
        if not answer.pop("ok"):
            raise RuntimeError(f"{call}: {answer}")
        return answer

    def open(self, volume):
        self.call("open", volume=volume, epoch=1, keys="")

    def seal(self, volume, snapshot):
        return self.call("seal", cuts=[{"volume": volume, "snapshot": snapshot}])

    def resident_kib(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1])
        return 0


def fio_command(uri, rw, bs, depth, size, seconds=None, *more):
    time_limit = ["--time_based", f"--runtime={seconds}"] if seconds else []
    return ["fio", "--name=load", "--ioengine=nbd", f"--uri={uri}", f"--rw={rw}", f"--bs={bs}", f"--iodepth={depth}",
            f"--size={size}", "--randrepeat=0", "--output-format=json", *time_limit, *more]


def fio(*arguments):
    """Runs one job and returns its statistics of reads or of writes, whichever there were."""
    done = subprocess.run(fio_command(*arguments), check=True, stdout=subprocess.PIPE, cwd=tempfile.gettempdir())
    return fio_result(done.stdout.decode())


def fio_result(text):
    job = json.loads(text[text.index("{"):])["jobs"][0]
    return job["read"] if job["read"]["total_ios"] else job["write"]
