# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the rounds say: medians, ratios within rounds, tables and graphs."""
import json
import os
import shutil
import statistics
import subprocess


def percentile(values, percent):
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def compare(a, b):
    """The median of a to that of b in the same round, over all rounds."""
    ratios = [statistics.median(x) / max(statistics.median(y), 1)
              for x, y in zip(a.rounds, b.rounds)]
    return {"median": statistics.median(ratios),
            "p10": percentile(ratios, 10), "p90": percentile(ratios, 90)}


def above(a, b):
    """By how much the median of a is above that of b in the same round."""
    values = [statistics.median(x) - statistics.median(y)
              for x, y in zip(a.rounds, b.rounds)]
    return {"median": statistics.median(values),
            "p10": percentile(values, 10), "p90": percentile(values, 90)}


def summarise(row, contestants):
    by_label = {c.label: c for c in contestants}
    result = {key: row[key] for key in ("name", "says", "means", "graph")
              if key in row}
    result["unit"] = row.get("unit", "ns")
    result["contestants"] = []
    for c in contestants:
        values = [value for numbers in c.rounds for value in numbers]
        result["contestants"].append({
            "label": c.label, "x": c.entry.get("x"),
            "series": c.entry.get("series", c.label),
            "syncs": c.entry.get("syncs", ""),
            "median": statistics.median(values),
            "p99": percentile(values, 99),
            "rounds": len(c.rounds), "samples": len(values)})
    result["ratios"] = []
    for goal in row.get("goals", []):
        a, b = by_label.get(goal["of"]), by_label.get(goal.get("against"))
        if a and "below" in goal:
            value = statistics.median(v for r in a.rounds for v in r)
            result["ratios"].append(dict(goal, value=value,
                                         reached=value <= goal["below"]))
        elif a and b and "above" in goal:
            value = above(a, b)
            result["ratios"].append(dict(
                goal, difference=value,
                reached=value["median"] <= goal["above"]))
        elif a and b:
            ratio = compare(a, b)
            wanted = goal.get("at_most")
            result["ratios"].append(dict(
                goal, ratio=ratio,
                reached=None if wanted is None
                else ratio["median"] <= wanted))
    return result


# ---- where it was measured ----

def first_line(command):
    try:
        out = subprocess.run(command, capture_output=True, text=True,
                             check=True).stdout
        return out.strip().split("\n")[0] if out.strip() else ""
    except (OSError, subprocess.CalledProcessError):
        return ""


def package(name):
    return first_line(["dpkg-query", "-W", "-f", "${Version}", name])


def cpu_model():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return os.uname().machine


def memory_gib():
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return round(pages / (1 << 30), 1)


def commit_of(source):
    git = ["git", "-C", source]
    commit = first_line(git + ["rev-parse", "--short=12", "HEAD"])
    if commit and first_line(git + ["status", "--porcelain", "--", ":/lib",
                                    ":/base", ":/bench"]):
        commit += " and changes that are not committed"
    return commit or "unknown"


PEERS = {
    "containerd": "golang-github-containerd-containerd-dev",
    "bolt": "golang-github-coreos-bbolt-dev",
    "go": "golang-go", "runc": "runc", "crun": "crun", "podman": "podman",
    "buildah": "buildah", "umoci": "umoci", "tar": "tar",
    "coreutils": "coreutils",
}


def machine(directory, source):
    words = first_line(["findmnt", "-no", "FSTYPE,OPTIONS,SOURCE", "-T",
                        directory]).split()
    versions = {name: package(of) for name, of in PEERS.items()}
    return {
        "cpu": cpu_model(), "cores": os.cpu_count(),
        "memory_gib": memory_gib(), "kernel": os.uname().release,
        "fs": words[0] if words else "", "device": words[-1] if words else "",
        "mount_options": words[1] if len(words) > 1 else "",
        "shale": commit_of(source), "load_before": os.getloadavg()[0],
        "versions": {k: v for k, v in versions.items() if v},
    }


# ---- tables ----

def human(value, unit):
    if unit == "KiB":
        return f"{value / 1024:.1f} MiB"
    if value < 0:
        return "-" + human(-value, unit)
    for size, name in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if value >= size:
            scaled = value / size
            digits = 0 if scaled >= 100 else 1 if scaled >= 10 else 2
            return f"{scaled:.{digits}f} {name}"
    return f"{value:.0f} ns"


def verdict(goal, unit):
    word = {True: "reached", False: "**not reached**", None: ""}
    if "below" in goal:
        return (f"{human(goal['value'], unit)}, wanted "
                f"{human(goal['below'], unit)}: {word[goal['reached']]}")
    if "above" in goal:
        d = {k: human(v, unit) for k, v in goal["difference"].items()}
        return (f"{d['median']} above {goal['against']} ({d['p10']} to "
                f"{d['p90']}), wanted {human(goal['above'], unit)}: "
                f"{word[goal['reached']]}")
    ratio = goal["ratio"]
    text = (f"{ratio['median']:.2f} of {goal['against']} "
            f"({ratio['p10']:.2f} to {ratio['p90']:.2f})")
    if goal["reached"] is None:
        return text
    return f"{text}, wanted {goal['at_most']:g}: {word[goal['reached']]}"


def lines_of(result):
    unit = result["unit"]
    for i, c in enumerate(result["contestants"]):
        goals = [verdict(g, unit) for g in result["ratios"]
                 if g["of"] == c["label"]]
        yield [result["says"] if i == 0 else "", c["label"],
               human(c["median"], unit),
               human(c["p99"], unit) if c["samples"] > 20 else "",
               "; ".join(goals), c["syncs"]]


def graph_lines(result):
    series = list(dict.fromkeys(c["series"] for c in result["contestants"]))
    xs = sorted({c["x"] for c in result["contestants"]})
    found = {(c["series"], c["x"]): c for c in result["contestants"]}
    yield [result["graph"]["x"]] + series
    for x in xs:
        yield [f"{x:,}"] + [
            human(found[s, x]["median"], result["unit"])
            if (s, x) in found else "" for s in series]


def markdown(lines):
    lines = list(lines)
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def about(m):
    versions = ", ".join(f"{k} {v}" for k, v in m["versions"].items())
    return (f"shale at {m['shale']}; {versions}.\n"
            f"{m['cpu']}, {m['cores']} cores, {m['memory_gib']} GiB; Linux "
            f"{m['kernel']}; {m['fs']} ({m['mount_options']}) on "
            f"{m['device']}; load {m['load_before']:.1f} before, "
            f"{m.get('load_after', 0):.1f} after.")


def table(m, results, notes):
    rows = [r for r in results if "graph" not in r]
    head = ["what", "who", "median", "p99", "ratio (10th to 90th percentile)",
            "what is on disk when the call returns"]
    parts = [about(m)]
    if rows:
        parts.append(markdown([head] + [line for r in rows
                                        for line in lines_of(r)]))
    parts += [f"{r['says']}: {r['means']}" for r in results if "means" in r]
    for r in results:
        if "graph" not in r:
            continue
        parts.append(f"{r['says']}:\n\n" + markdown(graph_lines(r)))
        goals = [f"{g['of']}: {verdict(g, r['unit'])}" for g in r["ratios"]]
        if goals:
            parts.append("\n".join("- " + goal for goal in goals))
    parts += list(notes)
    return "\n\n".join(parts) + "\n"


# ---- graphs ----

def write_graph(out, result):
    """One file of columns, and gnuplot's picture of it."""
    graph, path = result["graph"], os.path.join(out, result["name"])
    scale = 1000 if result["unit"] == "ns" else 1
    lines = list(graph_lines(result))
    found = {(c["series"], c["x"]): c["median"] / scale
             for c in result["contestants"]}
    with open(path + ".dat", "w", encoding="utf-8") as file:
        print("\t".join(f'"{word}"' for word in lines[0]), file=file)
        for x in sorted({c["x"] for c in result["contestants"]}):
            print(x, *(found.get((s, x), "?") for s in lines[0][1:]),
                  sep="\t", file=file)
    if not shutil.which("gnuplot"):
        return
    subprocess.run(
        ["gnuplot", "-e", f"data='{path}.dat'; pic='{path}.svg'; "
         f"head='{result['says']}'; xname='{graph['x']}'; "
         f"yname='{graph.get('y', 'µs')}'; series={len(lines[0]) - 1}; "
         f"logarithmic={int(graph.get('log', True))}",
         os.path.join(os.path.dirname(os.path.realpath(__file__)),
                      "draw.gp")], check=False)


def write(out, m, results, notes):
    for result in results:
        if "graph" in result:
            write_graph(out, result)
    with open(os.path.join(out, "bench.json"), "w", encoding="utf-8") as file:
        json.dump({"machine": m, "rows": results, "notes": notes}, file,
                  indent=1, ensure_ascii=False)
        file.write("\n")
    with open(os.path.join(out, "bench.md"), "w", encoding="utf-8") as file:
        file.write(table(m, results, notes))
