"""Every header compiles alone.

A header that its own x.cc includes first is proved by the build. The others are compiled here, and a result is kept
under build/ by the contents of all that the header includes, so that only what changed costs time.
"""
import concurrent.futures
import hashlib
import os
import subprocess

from includes import folders
from source import ROOT, is_for_tests, library_files, own_includes, relative

CACHE = ROOT / "build" / "tidy"
FLAGS = ["-std=c++20", "-fsyntax-only", "-x", "c++", "-Wno-pragma-once-outside-header", "-Isrc",
         "-DSPDLOG_COMPILED_LIB", "-DSPDLOG_FMT_EXTERNAL"]


def reached(path, seen):
    if path not in seen and path.exists():
        seen.add(path)
        for _, included in own_includes(path):
            reached(ROOT / "src" / included, seen)
    return seen


def key(path):
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for part in sorted(reached(path, set())):
        digest.update(str(part).encode() + b"\0" + part.read_bytes())
    return digest.hexdigest()


def compile_alone(path):
    result = CACHE / key(path)
    if result.exists():
        return None
    command = [os.environ.get("CXX", "g++"), *FLAGS, relative(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    if done.returncode == 0:
        CACHE.mkdir(parents=True, exist_ok=True)
        result.touch()
        return None
    errors = [line for line in done.stderr.splitlines() if "error:" in line]
    return f"{relative(path)}: {errors[0] if errors else done.stderr.strip()}"


def check_headers_compile_alone():
    """every header compiles alone"""
    alone = [path for path in library_files()
             if path.suffix == ".h" and not is_for_tests(path) and not path.with_suffix(".cc").exists()
             and path.relative_to(ROOT / "src").parts[0] in folders()]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from (fault for fault in pool.map(compile_alone, alone) if fault)
