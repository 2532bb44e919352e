"""Daemons that are measured: on the fake host, on loopback, with data and configuration of their own."""
import hashlib
import hmac
import re
import subprocess
import time
import urllib.parse
import urllib.request

from servers import BUILD

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
    """Serves when it is made. source: the name and the port of a region elsewhere that copies may come from."""

    def __init__(self, place, name, regions, source=None):
        self.place, self.path = place, place.path / name
        self.path.mkdir()
        self.data, self.log = self.path / "data", self.path / "kilnd.log"
        text = "".join(f'[[region]]\nname = "{region}"\n' for region in regions)
        text += f'[[account]]\nid = "123456789012"\naccess_key = "{ACCESS_KEY}"\n'
        text += f'secret_key = "{SECRET}"\n'
        if source:
            text += f'[[remote_region]]\nname = "{source[0]}"\nendpoint = "http://127.0.0.1:{source[1]}"\n'
            text += f'[[remote_region.key]]\naccount = "123456789012"\naccess_key = "{ACCESS_KEY}"\n'
            text += f'secret_key = "{SECRET}"\n'
        (self.path / "kiln.toml").write_text(text)
        self.start()

    def start(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [BUILD / "bin/kilnd", "--config", self.path / "kiln.toml", "--data", self.data, "--port", "0",
                 "--hypervisor", "fake"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.place.processes.append(self.process)
        deadline = time.monotonic() + 30
        while not (ready := re.search(r"ready at http://127\.0\.0\.1:(\d+)", self.log.read_text())):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"kilnd does not serve: {self.log.read_text()}")
            time.sleep(0.01)
        self.port = int(ready[1])

    def stop(self):
        self.place.stop(self.process)

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
