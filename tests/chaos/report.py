"""The table of faults and what came of them."""
import json
from collections import Counter
from statistics import median

from check import Row

COLUMNS = ("fault", "played", "accepted", "refused", "late", "lost", "dup", "order", "unnamed",
           "named", "told", "again", "gone", "healed")
WORDS = """played: times; accepted, refused: pushes that began from this fault to the next; late:
their deliveries over 1 s; lost, dup, order: broken promises to clients of version 2 in timelines,
and in durable history; unnamed: missed elsewhere by somebody connected all the time, without any
reason; named: the same with one; told: gone with Redis' data, and the client was told to reload;
again: repeated after a reload; gone: from durable history, with NATS' data; healed: seconds after
the fault of the last push that was refused or late, median / most."""


def save(path, rows, broken):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"broken": broken, "rows": {n: vars(r) for n, r in rows.items()}}))


def load(path):
    """(rows, broken)"""
    saved, rows = json.loads(path.read_text()), {}
    for name, values in saved["rows"].items():
        rows[name] = Row()
        vars(rows[name]).update(values)
        rows[name].named = Counter(values["named"])
    return rows, saved["broken"]


def table(rows):
    lines = [COLUMNS]
    for name in sorted(rows):
        row = rows[name]
        healed = f"{median(row.healed):.1f} / {max(row.healed):.1f}" if row.healed else "-"
        lines.append((name, row.played, row.accepted, row.refused, row.late, row.lost, row.repeated,
                      row.disorder, row.unnamed, sum(row.named.values()), row.told, row.again,
                      row.gone, healed))
    columns = list(zip(*[[str(cell) for cell in line] for line in lines]))
    widths = [max(len(cell) for cell in column) for column in columns]
    text = []
    for line in lines:
        cells = [str(cell) for cell in line]
        text.append("  ".join([cells[0].ljust(widths[0])] +
                              [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:])]))
    return "\n".join(text)


def reasons(rows):
    total = {}
    for row in rows.values():
        for name, count in row.named.items():
            total[name] = total.get(name, 0) + count
    return "\n".join(f"  {count:7d}  {name}" for name, count in sorted(total.items()))


def show(title, rows, broken, extra=()):
    print(f"\n== {title}\n{table(rows)}")
    if any(row.named for row in rows.values()):
        print(f"missed elsewhere, by named reason:\n{reasons(rows)}")
    for line in extra:
        print(line)
    for line in broken[:20]:
        print(f"  BROKEN {line}")
    if len(broken) > 20:
        print(f"  ... and {len(broken) - 20} more")
