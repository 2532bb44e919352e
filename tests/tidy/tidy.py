#!/usr/bin/env python3
"""tidy.py [--results FILE] [CHECK...]: the rules of CONTRIBUTING.md that a program can check.

A check is a generator named check_*, in one of the modules below; its first documentation line is the rule, and each
thing it yields is a breach. Prints every check, and writes a JUnit file for the count at the end of ./dev test.
"""
import argparse
import sys
import time
import xml.etree.ElementTree as ElementTree

import banned
import documents
import formatting
import headers
import includes
import lengths

MODULES = (includes, lengths, banned, documents, headers, formatting)


def checks():
    for module in MODULES:
        for name, function in vars(module).items():
            if name.startswith("check_") and function.__module__ == module.__name__:
                yield f"{module.__name__}.{name.removeprefix('check_')}", function


def main():
    parser = argparse.ArgumentParser(description="check the rules of CONTRIBUTING.md")
    parser.add_argument("--results", help="write a JUnit file here")
    parser.add_argument("checks", nargs="*", help="names of checks, such as lengths.file_length (default: all)")
    arguments = parser.parse_args()
    suite = ElementTree.Element("testsuite", name="tidy")
    failed = 0
    for name, function in checks():
        if arguments.checks and name not in arguments.checks:
            continue
        began = time.monotonic()
        try:
            breaches = list(function())
        except Exception as error:  # a check that cannot run is a failed check, and the others still run
            breaches = [f"the check itself failed: {type(error).__name__}: {error}"]
        case = ElementTree.SubElement(suite, "testcase", classname="tidy", name=name,
                                      time=f"{time.monotonic() - began:.2f}")
        print(f"{'FAIL' if breaches else 'ok  '} {name}: {(function.__doc__ or name).splitlines()[0]}")
        for breach in breaches:
            print(f"     {breach}")
        if breaches:
            failed += 1
            ElementTree.SubElement(case, "failure", message=breaches[0]).text = "\n".join(breaches)
    if arguments.results:
        ElementTree.ElementTree(suite).write(arguments.results, encoding="utf-8", xml_declaration=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
