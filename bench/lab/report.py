"""An experiment's result: one JSON file, and one page that a person can read without anything else.

    report = Report("fanout", "Fan-out against the floor")
    report.table("ratios", [{"members": 10_000, "ratio": 0.9}])
    report.check("ratio at 10,000", 0.9, at_least=0.85)
    report.save(conditions(place))
"""
import json
import time
from html import escape

from place import folder
from plot import svg

STYLE = """body{font:14px/1.45 sans-serif;margin:2em auto;max-width:60em;padding:0 1em}
table{border-collapse:collapse;margin:.6em 0 1.6em}th{background:#f6f8fa}
td,th{border:1px solid #d0d7de;padding:.25em .6em;text-align:right}
th,td:first-child{text-align:left}.ok{color:#1a7f37}.missed{color:#cf222e}
h2{margin-top:1.8em;font-size:1.15em}code,pre{font-size:12px}"""


def cell(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else str(value)


def flat(row):
    """{"cpu": {"s": 1}} -> {"cpu s": 1}: nested results become columns."""
    out = {}
    for name, value in row.items():
        if isinstance(value, dict):
            out.update({f"{name} {inner}": v for inner, v in flat(value).items()})
        else:
            out[name] = value
    return out


def html_table(rows):
    rows = [flat(row) for row in rows]
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell(row.get(n)))}</td>" for n in names) + "</tr>"
                   for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


class Report:
    def __init__(self, name, title):
        self.name, self.title = name, title
        self.data = {"experiment": name, "title": title, "checks": [], "tables": {}, "plots": {},
                     "notes": []}
        self.pictures = []

    def table(self, title, rows):
        self.data["tables"][title] = rows
        for row in rows:
            print(f"  {title}: " + "  ".join(f"{k} {cell(v)}" for k, v in flat(row).items()),
                  flush=True)

    def plot(self, title, series, x, y, log_x=False, phases=()):
        """series: {name: [(x, y)]}."""
        self.data["plots"][title] = {"x": x, "y": y, "series": series, "phases": list(phases)}
        self.pictures.append((title, svg(series, x, y, log_x, phases)))

    def note(self, text):
        self.data["notes"].append(text)
        print(f"  note: {text}", flush=True)

    def check(self, what, value, at_least=None, at_most=None):
        """One line of "done when": measured, limit, reached."""
        ok = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
        limit = f"≥ {cell(at_least)}" if at_least is not None else f"≤ {cell(at_most)}"
        self.data["checks"].append({"what": what, "measured": value, "limit": limit, "reached": ok})
        print(f"  {'reached' if ok else 'MISSED '}  {what}: {cell(value)} ({limit})", flush=True)
        return ok

    def series(self, sampler):
        """The plots every run has: CPU, memory, kernel memory over time."""
        rows, kinds = sampler.rows, []
        for row in rows:
            kinds += [k for k, v in row.items() if isinstance(v, dict) and "anon" in v
                      and k not in kinds]
        self.data["samples"], self.data["phases"] = rows, sampler.marks

        def of(kind, what, scale=1):
            return [(row["t"], row[kind][what] / scale) for row in rows
                    if what in row.get(kind, {})]
        for title, what, unit, scale in (("CPU", "cores", "cores", 1),
                                         ("memory of the processes", "anon", "MB", 1e6),
                                         ("context switches", "switches", "per second", 1)):
            self.plot(title, {k: of(k, what, scale) for k in kinds if of(k, what, scale)},
                      "seconds", unit, phases=sampler.marks)
        self.plot("kernel memory", {"slab": of("kernel", "slab", 1e6),
                                    "socket buffers": of("kernel", "tcp_buffers", 1e6)},
                  "seconds", "MB", phases=sampler.marks)

    def page(self):
        checks = "".join(
            f"<tr><td>{escape(c['what'])}</td><td>{cell(c['measured'])}</td>"
            f"<td>{escape(c['limit'])}</td><td class=\"{'ok' if c['reached'] else 'missed'}\">"
            f"{'reached' if c['reached'] else 'missed'}</td></tr>" for c in self.data["checks"])
        parts = [f"<h1>{escape(self.title)}</h1>"]
        if checks:
            parts.append("<table><tr><th>what</th><th>measured</th><th>limit</th><th></th></tr>"
                         f"{checks}</table>")
        parts += [f"<p>{escape(note)}</p>" for note in self.data["notes"]]
        parts += [f"<h2>{escape(t)}</h2>{html_table(rows)}"
                  for t, rows in self.data["tables"].items() if rows]
        parts += [f"<h2>{escape(t)}</h2>{picture}" for t, picture in self.pictures if picture]
        told = json.dumps(self.data.get("conditions", {}), indent=1, ensure_ascii=False)
        parts.append(f"<h2>conditions</h2><pre>{escape(told)}</pre>")
        return (f'<!doctype html><html lang="en"><meta charset="utf-8"><title>'
                f"{escape(self.title)}</title><style>{STYLE}</style>{''.join(parts)}</html>\n")

    def save(self, conditions):
        """Writes both; answers whether every check was reached."""
        self.data["conditions"] = conditions
        base = folder(self.name) / time.strftime("%Y%m%d-%H%M%S")
        base.with_suffix(".json").write_text(json.dumps(self.data, indent=1) + "\n")
        base.with_suffix(".html").write_text(self.page())
        print(f"  written: {base}.json and .html", flush=True)
        return all(check["reached"] for check in self.data["checks"])
