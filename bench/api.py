"""./dev bench api: what a call costs, with few images and with a million, and how many of them a kilnd takes in a second.

Every figure stands beside the same load on a bare server of ours that answers hello: what signing, the client and the
network cost already. Load and server share the machine. Images beyond the first are put into the catalog directly;
latencies are medians of ROUNDS turns, which catalogs that are compared take in turns.
"""
import json
import re
import statistics
import subprocess
import sys

from daemons import ACCESS_KEY, SECRET, Daemon, first
from report import Report
from servers import BUILD, MIB, Workplace

PROGRAM = BUILD / "bin/kiln-bench-api"
REGION = "here-1"
ROUNDS = 5
VERSION = "&Version=2016-11-15"


def load(port, connections, count, *forms):
    """forms: "service Action=..&..", taken in turns. How long the calls took, in ms, and how many there were a second."""
    done = subprocess.run(
        [PROGRAM, "load", f"http://127.0.0.1:{port}", REGION, ACCESS_KEY, SECRET, str(connections), str(count)],
        input="".join(f"{form}{VERSION if form.startswith('ec2 ') else ''}\n" for form in forms), text=True, check=True,
        stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def alternating(connections, count, *loads):
    """The median p50 of each load (a port and its forms)."""
    times = [[] for _ in loads]
    for turn in range(ROUNDS):
        for i in range(len(loads)):
            which = (i + turn) % len(loads)
            port, forms = loads[which]
            done = load(port, connections, count, *forms)
            if done["errors"]:
                raise RuntimeError(f"{done['errors']} errors in {forms[0]}")
            times[which].append(done["p50"])
    return [statistics.median(of) for of in times]


def resident(daemon):
    status = open(f"/proc/{daemon.process.pid}/status").read()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024 / MIB


def daemon_with(place, name, images):
    """A kilnd that has so many images: one imported, the others copies of its rows."""
    daemon = Daemon(place, name, [REGION])
    raw = place.path / f"{name}.raw"
    raw.write_bytes(b"kiln" * (MIB // 4))
    daemon.snapshot, _ = daemon.import_image(raw, REGION)
    if images > 1:
        daemon.stop()
        subprocess.run([PROGRAM, "fill", daemon.data / "catalog.db", str(images - 1)], check=True)
        daemon.start()
    return daemon


def some_ids(daemon):
    return re.findall(r"<imageId>(ami-[0-9a-f]+)<", daemon.ec2(REGION, "DescribeImages", MaxResults=50))


def by_id(daemon):
    return daemon.port, [f"ec2 Action=DescribeImages&ImageId.1={image}" for image in some_ids(daemon)]


def page(daemon, second=False):
    form = "ec2 Action=DescribeImages&MaxResults=1000"
    if second:
        token = first("nextToken", daemon.ec2(REGION, "DescribeImages", MaxResults=1000))
        form += f"&NextToken={token.replace('+', '%2B').replace('/', '%2F').replace('=', '%3D')}"
    return daemon.port, [form]


def registering(daemon):
    return (f"ec2 Action=RegisterImage&Name=registered-{{n}}&Architecture=x86_64&RootDeviceName=/dev/xvda"
            f"&BlockDeviceMapping.1.DeviceName=/dev/xvda&BlockDeviceMapping.1.Ebs.SnapshotId={daemon.snapshot}")


def small(report, place, hello):
    daemon = daemon_with(place, "thousands", 2000)
    one, bare = alternating(1, 2000, by_id(daemon), (hello, ["ec2 Action=DescribeImages"]))
    report.add("one of 2,000 images by id, p50", "ms", one, "hello", bare, "<= 1", goal_on="ours")
    everything = (daemon.port, ["ec2 Action=DescribeImages"])
    whole, bare = alternating(1, 20, everything, (hello, ["ec2 Action=DescribeImages"]))
    report.add("all 2,000 images, p50", "ms", whole, "hello", bare, "<= 60", goal_on="ours")
    report.add("memory of kilnd, 2,000 images", "MiB", resident(daemon))
    daemon.stop()


def register(report, place, hello):
    daemon = daemon_with(place, "registering", 1)
    done = load(daemon.port, 16, 10_000, registering(daemon))
    if done["errors"]:
        raise RuntimeError("images were not registered")
    bare = load(hello, 16, 10_000, registering(daemon))
    report.add("registered, 16 connections", "1/s", done["rate"], "hello", bare["rate"], ">= 2000", goal_on="ours")
    report.add("registered, p99", "ms", done["p99"], "hello", bare["p99"])
    daemon.stop()


def large(report, place):
    few, many = daemon_with(place, "few", 1000), daemon_with(place, "many", 1_000_000)
    peer = "of 1,000"
    of_many, of_few = alternating(1, 2000, by_id(many), by_id(few))
    report.add("one of 1,000,000 images by id, p50", "ms", of_many, peer, of_few, "<= 1.5")
    of_many, second, of_few = alternating(1, 20, page(many), page(many, second=True), page(few))
    report.add("the first 1,000 of 1,000,000 images, p50", "ms", of_many, peer, of_few, "<= 1.5")
    report.add("the next 1,000, p50", "ms", second, peer, of_few, "<= 1.5")
    report.add("memory of kilnd, 1,000,000 images", "MiB", resident(many), peer, resident(few))
    few.stop()
    many.stop()


def mixed(report, place, hello):
    daemon = daemon_with(place, "mixed", 2000)
    images = some_ids(daemon)
    forms = [
        registering(daemon), "sts Action=GetCallerIdentity&Version=2011-06-15", "ec2 Action=DescribeRegions",
        *(f"ec2 Action=DescribeImages&ImageId.1={image}" for image in images[:6]),
        *(f"ec2 Action=CreateTags&ResourceId.1={image}&Tag.1.Key=n&Tag.1.Value={{n}}" for image in images[:3]),
        *(f"ec2 Action=DeleteTags&ResourceId.1={image}&Tag.1.Key=n" for image in images[:2]),
        "ec2 Action=DescribeImages&MaxResults=100", "ec2 Action=DescribeTags&MaxResults=50",
        f"ec2 Action=ModifyImageAttribute&ImageId={images[7]}&LaunchPermission.Add.1.UserId=210987654321",
        f"ec2 Action=DescribeImageAttribute&ImageId={images[7]}&Attribute=launchPermission",
        f"ec2 Action=DescribeSnapshots&SnapshotId.1={daemon.snapshot}", "ec2 Action=DescribeInstances",
    ]
    done = load(daemon.port, 64, 20_000, *forms)
    bare = load(hello, 64, 20_000, *forms)
    report.add("mixed calls, 64 connections: errors", "", done["errors"], goal="== 0")
    report.add("mixed calls, 64 connections", "1/s", done["rate"], "hello", bare["rate"])
    report.add("mixed calls, p99", "ms", done["p99"], "hello", bare["p99"])
    report.add("memory of kilnd after them", "MiB", resident(daemon))
    daemon.stop()


def main():
    report = Report("api")
    with Workplace() as place:
        hello = subprocess.Popen([PROGRAM, "hello"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        place.processes.append(hello)
        port = int(hello.stdout.readline())
        small(report, place, port)
        register(report, place, port)
        mixed(report, place, port)
        large(report, place)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
