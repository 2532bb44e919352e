"""Folders are layers: what a folder may include is what its CMakeLists.txt lists, and lists only point down."""
import functools
import re

from source import ROOT, cxx_files, is_for_tests, library_files, own_includes, relative

# The arrows of ARCHITECTURE.md. A folder uses folders of lower levels only.
LEVELS = {
    "base": 0,
    "wire": 1, "http": 1, "catalog": 1, "blocks": 1, "images": 1, "keys": 1, "policy": 1, "hypervisor": 1,
    "jobs": 2, "scanner": 2, "stores": 2,
    "control": 3,
    "services": 4, "remote": 4, "nbd": 4,
    "daemon": 5, "cli": 5,
}
KEYWORDS = {"USES", "LIBS", "OUTSIDE", "TEST_USES"}


@functools.cache
def folders():
    """{folder: {keyword: [words]}} as its kiln_folder() call says."""
    found = {}
    for path in sorted((ROOT / "src").glob("*/CMakeLists.txt")):
        content = re.sub(r"#[^\n]*", "", path.read_text())
        for call in re.finditer(r"kiln_folder\(([^)]*)\)", content):
            name, *words = call.group(1).split()
            lists, keyword = {key: [] for key in KEYWORDS}, None
            for word in words:
                if word in KEYWORDS:
                    keyword = word
                elif keyword:
                    lists[keyword].append(word)
            found[name] = lists
    return found


def check_levels_point_down():
    """each folder's USES names lower levels only"""
    for name, lists in folders().items():
        if name not in LEVELS:
            yield f"src/{name}: has no level in tests/tidy/includes.py"
            continue
        for used in lists["USES"]:
            if LEVELS.get(used, 99) >= LEVELS[name]:
                yield f"src/{name}/CMakeLists.txt: {name} (level {LEVELS[name]}) must not use {used}"


def check_includes_are_listed():
    """a file includes only its own folder and those its CMakeLists.txt lists"""
    for path in library_files():
        folder = path.relative_to(ROOT / "src").parts[0]
        lists = folders().get(folder)
        if lists is None:
            continue
        allowed = {folder, *lists["USES"]}
        if is_for_tests(path):
            allowed |= set(lists["TEST_USES"])
        for line, included in own_includes(path):
            if not (ROOT / "src" / included).exists():
                yield f"{relative(path)}:{line}: includes \"{included}\", which is no path from src/"
            elif included.split("/")[0] not in allowed:
                yield f"{relative(path)}:{line}: src/{folder} does not list {included.split('/')[0]} under USES"


def check_includes_have_no_cycle():
    """headers do not include each other in a circle"""
    edges = {relative(path)[4:]: [included for _, included in own_includes(path)] for path in library_files()}
    state = {}

    def visit(name, trail):
        state[name] = "open"
        for included in edges.get(name, []):
            if state.get(included) == "open":
                cycle = trail[trail.index(included):] + [included]
                yield "src: " + " includes ".join(cycle)
            elif included not in state:
                yield from visit(included, trail + [included])
        state[name] = "done"

    for name in edges:
        if name not in state:
            yield from visit(name, [name])


def check_own_header_comes_first():
    """x.cc includes x.h before anything else, which proves that x.h compiles alone"""
    for path in library_files():
        header = path.with_suffix(".h")
        if path.suffix != ".cc" or not header.exists():
            continue
        content = path.read_text()
        first = re.search(r'^#include\s+([<"][^>"]+[>"])', content, re.MULTILINE)
        wanted = f'"{relative(header)[4:]}"'
        if first is None or first.group(1) != wanted:
            yield f"{relative(path)}: the first include is not {wanted}"


def check_pragma_once():
    """every header says #pragma once"""
    for path in cxx_files():
        if path.suffix == ".h" and "#pragma once" not in path.read_text():
            yield f"{relative(path)}: has no #pragma once"
