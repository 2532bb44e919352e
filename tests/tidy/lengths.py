"""Files and functions that a reader can take in. Tables (files named *_table.*) are exempt."""
import re

from source import cxx_files, code, line_number, project_files, relative, text

FILE_LINES = 600
FUNCTION_LINES = 60
LINE_COLUMNS = 120
CHECKED_ENDINGS = {".h", ".cc", ".py", ".sh", ".ts", ".cmake"}


def is_table(path):
    return path.stem.endswith("_table")


def check_file_length():
    """no file is longer than 600 lines"""
    for path in project_files():
        lines = text(path).count("\n")
        if path.suffix in CHECKED_ENDINGS and not is_table(path) and lines > FILE_LINES:
            yield f"{relative(path)}: {lines} lines, {FILE_LINES} is the limit"


def check_line_length():
    """no line of code is longer than 120 columns"""
    for path in cxx_files():
        for number, line in enumerate(text(path).splitlines(), 1):
            if len(line) > LINE_COLUMNS and "http" not in line and not is_table(path):
                yield f"{relative(path)}:{number}: {len(line)} columns"


# What stands before the brace that opens a function's body: a parameter list, then qualifiers.
FUNCTION_HEAD = re.compile(
    r"\)\s*(?:const|noexcept|override|final|mutable|volatile|&|&&|->\s*[\w:<>,*&\s\[\]]+|[A-Z_]{3,}(?:\([^()]*\))?|\s)*$")
NOT_FUNCTIONS = re.compile(r"\b(?:if|for|while|switch|catch|namespace|enum|union|struct|class)\b[^;{}]*$")
INITIALISERS = re.compile(r"\)\s*(?:noexcept\s*)?:\s*[\w:<>]+\s*[({]")


def functions(content):
    """Yields (first line, number of lines, head) of function bodies outside of other functions."""
    depth_in_function, stack, segment_start = 0, [], 0
    for match in re.finditer(r"[{};]", content):
        token, position = match.group(), match.start()
        if token == "{":
            head = content[segment_start:position]
            opens = depth_in_function == 0 and is_function(head)
            stack.append((opens, segment_start, head))
            depth_in_function += 1 if opens or depth_in_function else 0
        elif token == "}" and stack:
            opened, start, head = stack.pop()
            if depth_in_function:
                depth_in_function -= 1
            if opened:
                first = line_number(content, start + len(head) - len(head.lstrip()))
                yield first, line_number(content, position) - first + 1, " ".join(head.split())
        if token != "{" or depth_in_function == 0 or stack[-1][0]:
            segment_start = match.end()


def is_function(head):
    head = re.sub(r"^\s*#[^\n]*$", "", head, flags=re.MULTILINE)
    if "=" in head.split("(")[0] and "operator" not in head:
        return False
    if NOT_FUNCTIONS.search(head.split(")")[-1]) or re.match(r"\s*(?:namespace|enum|union)\b", head):
        return False
    return bool(FUNCTION_HEAD.search(head) or INITIALISERS.search(head))


def check_function_length():
    """no function is longer than 60 lines"""
    for path in cxx_files():
        if is_table(path):
            continue
        for first, lines, head in functions(code(path)):
            if lines > FUNCTION_LINES:
                yield f"{relative(path)}:{first}: {lines} lines: {head[:80]}"
