"""What every benchmark prints and keeps: a table, and build/bench/NAME.json with the same rows.

A row is {"metric", "unit", "ours", "peer", "peer_value", "ratio", "goal", "holds"}; ratio is ours / peer_value and
null without a peer. A goal is "<operator> <number>" and is about the ratio where there is one, else about ours;
add(goal_on="ours") makes it about ours although there is a peer. A row without a goal only informs: holds is null.
"""
import json
import operator
import pathlib

OPERATORS = {">=": operator.ge, "<=": operator.le, "==": operator.eq}
RESULTS = pathlib.Path(__file__).resolve().parent.parent / "build" / "bench"


def holds(goal, value):
    sign, number = goal.split()[:2]
    return OPERATORS[sign](value, float(number))


def shown(value):
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


class Report:
    def __init__(self, name):
        self.name = name
        self.rows = []

    def add(self, metric, unit, ours, peer=None, peer_value=None, goal=None, goal_on=None, ratio=None):
        """ratio is given where it is better known than by dividing: the median of the ratios of single rounds, say."""
        if ratio is None and peer_value:
            ratio = ours / peer_value
        value = ours if goal_on == "ours" or ratio is None else ratio
        self.rows.append({"metric": metric, "unit": unit, "ours": ours, "peer": peer, "peer_value": peer_value,
                          "ratio": ratio, "goal": goal, "holds": holds(goal, value) if goal else None})

    def finish(self):
        """Prints the table, writes the file, and returns the exit status: 1 when a goal does not hold."""
        head = ["metric", "unit", "ours", "peer", "its value", "ratio", "goal", "holds"]
        lines = [head] + [[shown(row["metric"]), row["unit"], shown(row["ours"]), row["peer"] or "",
                           shown(row["peer_value"]), shown(row["ratio"] and float(row["ratio"])), row["goal"] or "",
                           {True: "yes", False: "NO", None: ""}[row["holds"]]] for row in self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        for line in lines:
            print("  ".join(cell.ljust(width) if i in (0, 1, 3, 6) else cell.rjust(width)
                            for i, (cell, width) in enumerate(zip(line, widths))).rstrip())
        RESULTS.mkdir(parents=True, exist_ok=True)
        path = RESULTS / f"{self.name}.json"
        path.write_text(json.dumps(self.rows, indent=1) + "\n")
        missed = [row["metric"] for row in self.rows if row["holds"] is False]
        print(f"{path}: " + (f"{len(missed)} goals do not hold: {'; '.join(missed)}" if missed else "every goal holds"))
        return 1 if missed else 0
