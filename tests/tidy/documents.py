"""Documents that stay true: links lead somewhere, every folder has its line, commands exist."""
import re

from includes import folders
from source import ROOT, line_number, project_files, relative, text


def documents():
    return [path for path in project_files() if path.suffix == ".md"]


def check_links():
    """every relative link leads to a file"""
    for path in documents():
        for match in re.finditer(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text(path)):
            target = match.group(1)
            if re.match(r"[a-z]+:", target):
                continue
            if not (path.parent / target).exists():
                yield f"{relative(path)}:{line_number(text(path), match.start())}: {target} is not there"


def check_every_folder_has_a_line():
    """src/README.md has a line for every folder of src/"""
    page = text(ROOT / "src/README.md")
    for name in folders():
        if not re.search(rf"^\|\s*`{name}/`", page, re.MULTILINE):
            yield f"src/README.md: has no line for {name}/"


def check_commands_exist():
    """documents name commands of ./dev that exist"""
    commands = set(re.findall(r"[a-z0-9]+", re.search(r"^  (deps \|.*)\)$", text(ROOT / "dev"), re.MULTILINE).group(1)))
    for path in documents():
        for match in re.finditer(r"\./dev ([a-z0-9]+)", text(path)):
            if match.group(1) not in commands | {"help"}:
                yield f"{relative(path)}:{line_number(text(path), match.start())}: ./dev {match.group(1)} is not a command"


def check_decisions_are_listed():
    """docs/decisions/README.md lists every decision"""
    index = ROOT / "docs/decisions/README.md"
    for path in sorted((ROOT / "docs/decisions").glob("[0-9]*.md")):
        if not index.exists() or path.name not in text(index):
            yield f"docs/decisions/README.md: does not list {path.name}"
