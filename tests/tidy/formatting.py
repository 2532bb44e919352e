"""How sources look is clang-format's business."""
import subprocess

from source import ROOT, cxx_files


def check_clang_format():
    """every source is as clang-format writes it; ./dev check --fix --all does"""
    done = subprocess.run(["clang-format-14", "--dry-run", "-Werror", *map(str, cxx_files())], cwd=ROOT,
                          capture_output=True, text=True)
    found = [line for line in done.stderr.splitlines() if "error:" in line]
    yield from (line.removeprefix(f"{ROOT}/") for line in found)
    if done.returncode != 0 and not found:
        yield done.stderr.strip() or f"clang-format-14 ended with {done.returncode}"
