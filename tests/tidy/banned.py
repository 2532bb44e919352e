"""Calls and words that the style guide rules out, each with the reason that is printed when one is found."""
import re

from source import ROOT, code, cxx_files, is_for_tests, library_files, line_number, project_files, relative, text


def matches(paths, pattern, reason, exempt=(), read=code):
    compiled = re.compile(pattern, re.MULTILINE)
    for path in paths:
        if relative(path).startswith(tuple(exempt)) and exempt:
            continue
        content = read(path)
        for match in compiled.finditer(content):
            found = " ".join(match.group().split())
            yield f"{relative(path)}:{line_number(content, match.start())}: {found}: {reason}"


def headers():
    return [path for path in library_files() if path.suffix == ".h"]


def check_no_detached_threads():
    """no thread is detached"""
    yield from matches(cxx_files(), r"\.\s*detach\s*\(\s*\)", "work that outlives its caller is a job")


SLEEP = re.compile(r"(?<![\w.>])(?:::)?(?:sleep|usleep|nanosleep)\s*\(|sleep_for\s*\(|sleep_until\s*\(")


def check_no_sleeps():
    """nothing sleeps for a fixed time"""
    # Looking again until a deadline is how one waits for another process, so a sleep next to a deadline is fine.
    for path in cxx_files():
        content = code(path)
        for match in SLEEP.finditer(content):
            around = content[max(0, match.start() - 600):match.end() + 200]
            line = content[content.rfind("\n", 0, match.start()) + 1:match.start()]
            waits = re.search(r"deadline|limit", around) or re.search(r"while \((?!true|1\))", line)
            if not relative(path).startswith("src/base/clock") and not waits:
                yield f"{relative(path)}:{line_number(content, match.start())}: wait for the condition, with a deadline"


def check_no_shell():
    """no command line goes through a shell"""
    yield from matches(cxx_files(), r"(?<![\w.>])(?:std::|::)?(?:system|popen)\s*\(", "use base/process.h")


def check_no_using_namespace_in_headers():
    """no header says using namespace"""
    yield from matches(headers(), r"\busing\s+namespace\b", "it would leak into every file that includes the header")


def check_no_printing():
    """libraries do not print"""
    libraries = [path for path in library_files() if not relative(path).startswith(("src/cli/", "src/daemon/"))
                 and not is_for_tests(path)]
    yield from matches(libraries, r"\bstd::(?:cout|cerr)\b|(?<![\w.>:])(?:std::)?f?printf\s*\(|\bputs\s*\(",
                       "log it with base/log.h, or return it")


def check_no_bare_new():
    """no bare new or delete"""
    yield from bare_new()


NEW = re.compile(r"\bnew\s+(?:\([^)]*\)\s*)?[A-Za-z_:]|\bdelete\b\s*(?:\[\s*\])?\s*[A-Za-z_*(]")
OWNED = re.compile(r"(?:unique_ptr|shared_ptr)<[^;]*>\s*(?:\w+\s*)?[({]\s*$|\breset\(\s*$")


def bare_new():
    for path in cxx_files():
        content = code(path)
        for match in NEW.finditer(content):
            before = content[max(0, match.start() - 120):match.start()]
            if OWNED.search(before) or before.rstrip().endswith(("=", "operator")) and match.group().startswith("delete"):
                continue
            yield f"{relative(path)}:{line_number(content, match.start())}: bare {match.group().split()[0]}: " \
                  "let unique_ptr own it"


def check_close_only_in_fd():
    """descriptors are closed by base::Fd alone"""
    libraries = [path for path in library_files() if not is_for_tests(path)]
    yield from matches(libraries, r"(?<!\w)::close\s*\(", "let base::Fd own it",
                       exempt=("src/base/fd", "src/base/process"))


def check_qemu_img_formats():
    """qemu-img is always told the format of what it reads"""
    # Arguments may be spread over lines; the command runs up to the end of its statement.
    for path in library_files():
        content = text(path)
        for match in re.finditer(r'"qemu-img"[^;]*;', content):
            if '"-f"' not in match.group() and "is_safe_to_probe" not in match.group() and '"--version"' not in match.group():
                yield f"{relative(path)}:{line_number(content, match.start())}: qemu-img without -f guesses formats"


def check_no_unfinished_marks():
    """nothing is left to do later in a comment"""
    marks = "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"])
    paths = [path for path in project_files() if path.suffix != ".json"]
    yield from matches(paths, rf"\b(?:{marks})\b", "do it, or state the limit under docs/", read=text)


def check_no_commented_out_code():
    """no code is commented out"""
    yield from matches(cxx_files(), r"^\s*//\s*(?:if \(.*\) \{|return [^.]*;|[\w:<>]+ \w+ = [^.]*;|#include .*)$",
                       "delete it", read=text)


def check_lock_file_names_no_host():
    """package-lock.json records what is installed, not where one machine got it"""
    lock = ROOT / "tests/e2e/package-lock.json"
    if not lock.exists() or '"integrity"' not in text(lock):
        yield "tests/e2e/package-lock.json: has no integrity sums"
    elif re.search(r'"resolved"\s*:|"(?:registry|_resolved)"', text(lock)):
        yield "tests/e2e/package-lock.json: write it with npm install --omit-lockfile-registry-resolved"
    for path in project_files():
        if path.name in (".npmrc", "pip.conf", "sources.list"):
            yield f"{relative(path)}: the project configures no package registry"
