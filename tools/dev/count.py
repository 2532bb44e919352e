#!/usr/bin/env python3
"""count.py RESULTS: adds up the JUnit files that the stages of ./dev test left, and prints the line that ends it.

Failures and the reasons of skips come above that line. Exits with 1 when anything failed or a stage left no results.
"""
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree


def cases_of(path):
    """Yields (name, outcome, detail) for every test case of a JUnit file."""
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        yield path.name, "failed", f"its results cannot be read: {error}"
        return
    suites = {case: suite for suite in root.iter("testsuite") for case in suite}
    for case in root.iter("testcase"):
        # Node's reporter calls every class "test" and names the suite around it instead.
        of = case.get("classname") if case.get("classname") != "test" else suites.get(case, {}).get("name")
        name = ": ".join(part for part in (of, case.get("name")) if part)
        failure = case.find("failure") if case.find("failure") is not None else case.find("error")
        skipped = case.find("skipped")
        if failure is not None:
            yield name, "failed", (failure.get("message") or failure.text or "").strip()
        elif skipped is not None or case.get("status") == "notrun" or case.get("result") == "skipped":
            reason = "" if skipped is None else (skipped.get("message") or skipped.text or "")
            yield name, "skipped", reason.strip()
        else:
            yield name, "passed", ""


def unit_cases(results):
    """Cases of the unit tests; a program that ended without results, or badly with good ones, is one failure."""
    programs = {}
    for path in sorted((results / "unit").glob("*.xml")):
        programs[path.stem] = list(cases_of(path))
        yield from programs[path.stem]
    ctest = results / "ctest.xml"
    if not ctest.exists():
        yield "unit tests", "failed", "ctest left no results"
        return
    for name, outcome, detail in cases_of(ctest):
        cases = programs.get(f"{name}_test") or programs.get(name)
        if outcome == "failed" and not any(case[1] == "failed" for case in cases or []):
            yield name, "failed", (detail or "the program ended before its results were written").splitlines()[-1]
        elif cases is None and outcome == "passed":
            yield name, "passed", ""


def reason(detail):
    """The first line that says something: gtest puts the place in the source on a line of its own above it."""
    lines = [line.strip() for line in detail.splitlines() if line.strip()]
    saying = [line for line in lines if not re.fullmatch(r"\S+\.cc:\d+", line) and line != "Skipped"]
    return " | ".join((saying or lines or ["no reason given"])[:2])


def main():
    results = pathlib.Path(sys.argv[1])
    cases = []
    failed_stage = results / "failed"
    if failed_stage.exists():
        cases.append(("build", "failed", failed_stage.read_text().strip()))
    else:
        cases.extend(unit_cases(results))
    for stage in ("tidy", "e2e"):
        path = results / f"{stage}.xml"
        if path.exists():
            cases.extend(cases_of(path))
        else:
            cases.append((stage, "failed", "the stage left no results"))
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for name, outcome, detail in cases:
        count[outcome] += 1
        if outcome != "passed":
            print(f"{outcome}: {name}: {reason(detail)}")
    ending = f", {count['skipped']} skipped" if count["skipped"] else ""
    print(f"{count['passed']} passed, {count['failed']} failed{ending}")
    return 1 if count["failed"] else 0


sys.exit(main())
