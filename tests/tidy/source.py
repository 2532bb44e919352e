"""The sources as the checks see them: which files there are, and their code without comments and strings."""
import functools
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE_ENDINGS = {".h", ".cc"}
TEXT_ENDINGS = {".h", ".cc", ".sh", ".py", ".ts", ".cmake", ".md", ".sql", ".json", ".toml", ".txt", ""}


@functools.cache
def project_files():
    """Files that are in the repository or would be: tracked, or neither tracked nor ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = (ROOT / name for name in sorted(set(listed.split("\0"))) if name)
    return [path for path in paths if path.is_file() and not path.is_symlink()]


@functools.cache
def cxx_files():
    return [path for path in project_files() if path.suffix in SOURCE_ENDINGS]


@functools.cache
def library_files():
    return [path for path in cxx_files() if path.is_relative_to(ROOT / "src")]


def is_for_tests(path):
    return path.stem.endswith(("_test", "_testing", "_fixture"))


@functools.cache
def text(path):
    return path.read_text(encoding="utf-8", errors="replace")


def relative(path):
    return str(path.relative_to(ROOT))


TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)"""
    r"""|(?P<raw>R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)")"""
    r"""|(?P<string>"(?:\\.|[^"\\\n])*")"""
    r"""|(?P<char>(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+')""",
    re.DOTALL | re.VERBOSE)


@functools.cache
def code(path):
    """The file's code with comments blanked and string contents emptied; lines keep their numbers."""
    def blank(match):
        kept = "\n" * match.group().count("\n")
        if match.group("comment") is not None:
            return kept
        if match.group("char") is not None:
            return "'c'"
        return '"' + kept + '"'
    return TOKEN.sub(blank, text(path))


def line_number(content, position):
    return content.count("\n", 0, position) + 1


INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.MULTILINE)


@functools.cache
def own_includes(path):
    """[(line, included path as written)] of the quoted includes."""
    content = text(path)
    return [(line_number(content, match.start()), match.group(1)) for match in INCLUDE.finditer(content)]
