# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rows: the operations of a store, against containerd's overlay snapshotter
in its own process, and against the floor."""

NEEDS = ("apt install golang-go golang-github-containerd-containerd-dev, "
         "then make bench-build")

LAYER = "prepare, remove: nothing; commit: files, facts, names"
ALL = "everything"
BOLT = "the database, twice a change; no file"
NOTHING = "nothing"


def shale(durability="layer", label=None, **args):
    return {"label": label or ("shale" if durability == "layer"
                               else f"shale, {durability}"),
            "program": "shale", "args": dict(args, durability=durability),
            "syncs": {"layer": LAYER, "all": ALL, "none": NOTHING}[durability]}


def containerd(label="containerd", **args):
    return {"label": label, "program": "containerd", "args": args,
            "syncs": NOTHING if "nosync" in args else BOLT, "needs": NEEDS}


def floor(durability="layer", syncs=NOTHING, **args):
    return {"label": "floor" if durability == "layer"
            else f"floor, {durability}", "program": "floor",
            "args": dict(args, durability=durability),
            "syncs": ALL if durability == "all" else syncs}


LOOKING = ("stat", "walk", "chain", "usage", "memory", "mounts")


def goal(at_most, of="shale", against="containerd"):
    return {"of": of, "against": against, "at_most": at_most}


def beside(of, against):
    """A ratio without a goal."""
    return {"of": of, "against": against}


def cycle(name, says, default, equal, mode=None, **args):
    own = dict(args)
    peer = {"threads": args.get("threads", args.get("processes", 1))}
    return {
        "name": name, "row": "cycle", "says": says, "count": 160,
        "contestants": [
            shale(**own), shale("all", **own), containerd(**peer),
            containerd("containerd, NoSync", nosync=1, **peer),
            floor(), floor("all")],
        "goals": [goal(default), goal(equal, of="shale, all"),
                  beside("shale", "floor"),
                  beside("shale, all", "floor, all")],
    }


def at_sizes(name, row, says, goals, count=20, small=100, large=10000, **more):
    """The same in a small and in a large store, in the same rounds."""
    entries = []
    for size in (small, large):
        for make in (shale, containerd):
            entry = make(size=size)
            entry["place"] = entry["label"]
            entry["label"] += f", {size:,}"
            entries.append(entry)
    return dict({"name": name, "row": row, "says": says, "count": count,
                 "stores": "full", "contestants": entries, "goals": goals},
                **more)


def growth(name, row, says, sizes, key="size", count=10, **more):
    """A graph: the cost against a number."""
    entries = []
    for size in sizes:
        for make in (shale, containerd):
            entry = make(**{key: size})
            entry["place"] = entry["series"] = entry["label"]
            entry["x"] = size
            entry["label"] += f", {size:,}"
            entries.append(entry)
    return dict({"name": name, "row": row, "says": says, "count": count,
                 "stores": "full", "quick": False, "contestants": entries},
                **more)


SIZES = [100, 1000, 10000, 100000]


def sized(op, says, x="snapshots in the store", flat=True, **more):
    goals = [goal(1.5, "shale, 100,000", "shale, 100")] if flat else []
    return growth(f"growth-{op}", op, says, SIZES,
                  graph={"x": x}, goals=goals, **more)


def threads_graph():
    entries = []
    for n in range(1, 9):
        for entry in (shale(threads=n), shale("all", threads=n),
                      containerd(threads=n)):
            entry["series"] = entry["label"]
            entry["x"] = n
            entry["label"] += f", {n}"
            entries.append(entry)
    return {"name": "threads", "row": "cycle", "count": 160, "quick": False,
            "says": "prepare, mounts and remove by threads: time a cycle",
            "contestants": entries,
            "graph": {"x": "threads", "log": False}}


ROWS = [
    cycle("cycle", "prepare + mounts + remove", 0.2, 1, threads=1),
    cycle("cycle-threads", "the same by 8 threads, a cycle", 0.125, 0.4,
          threads=8),
    cycle("cycle-processes", "by 8 processes, a cycle", 0.125, 0.4,
          processes=8),
    {"name": "commit", "row": "commit", "count": 10,
     "says": "commit of an empty active",
     "contestants": [shale(), containerd(),
                     containerd("containerd, NoSync", nosync=1),
                     floor(syncs="facts and name")],
     "goals": [goal(0.5), beside("shale", "floor")],
     "means": "shale has synced the layer, its facts and its name; containerd "
              "its database alone."},
    {"name": "commit-files", "row": "commit-files", "rounds": 9,
     "says": "10,000 files of 4 KiB written and committed",
     "contestants": [shale(files=10000), containerd(files=10000),
                     floor(files=10000, syncs="the files")],
     "goals": [goal(1.3, against="floor"), beside("shale", "containerd")],
     "means": "after shale's commit and after the floor's syncfs a power cut "
              "takes nothing; after containerd's it may take every file."},
    {"name": "stat", "row": "stat", "count": 20, "stores": "full",
     "says": "stat among 10,000, warm handle",
     "contestants": [shale(size=10000), containerd(size=10000)],
     "goals": [goal(0.1)]},
    {"name": "walk", "row": "walk", "count": 5, "stores": "full",
     "says": "walk of 10,000, warm handle",
     "contestants": [shale(size=10000), containerd(size=10000)],
     "goals": [goal(0.1)]},
    {"name": "walk-label", "row": "walk-label", "count": 5, "stores": "full",
     "says": "walk of 10,000 for a label, warm handle",
     "contestants": [shale(size=10000), containerd(size=10000)],
     "goals": [goal(0.1)],
     "means": "containerd filters in the snapshotter, shale's caller in the "
              "callback."},
    {"name": "walk-new", "row": "walk-new", "count": 2, "stores": "full",
     "says": "a process that opens, walks 10,000 and exits",
     "contestants": [shale(size=10000), containerd(size=10000)],
     "goals": [goal(2)]},
    {"name": "walk-cold", "row": "walk-new", "count": 1, "stores": "full",
     "says": "the same after drop_caches", "cold": True, "rounds": 5,
     "contestants": [shale(size=10000), containerd(size=10000)],
     "goals": [beside("shale", "containerd")]},
] + [
    {"name": f"chain-{n}", "row": "chain", "count": 10, "stores": "chains",
     "says": f"mounts of {n} layers, warm handle (nothing is mounted)",
     "contestants": [shale(layers=n), containerd(layers=n)],
     "goals": [goal(0.1)]} for n in (10, 120, 500)
] + [
    {"name": f"chain-new-{n}", "row": "chain-new", "count": 10,
     "stores": "chains", "says": f"mounts of {n} layers, first in a handle",
     "contestants": [shale(layers=n), containerd(layers=n)],
     "goals": [goal(1)],
     "means": "containerd opens its database at the first call."}
    for n in (10, 120, 500)
] + [
    at_sizes("remove", "remove", "remove of an empty active in a store of N",
             [goal(1.5, "shale, 10,000", "shale, 100"),
              goal(0.1, "shale, 10,000", "containerd, 10,000")]),
    at_sizes("delete", "delete", "delete of an empty layer in a store of N",
             [goal(1.5, "shale, 10,000", "shale, 100"),
              goal(0.1, "shale, 10,000", "containerd, 10,000")]),
    {"name": "usage", "row": "usage", "count": 2,
     "says": "usage of an active with 10,000 files",
     "contestants": [shale(files=10000), containerd(files=10000),
                     dict(floor(files=10000), label="du -s")],
     "goals": [goal(0.5), beside("shale", "du -s")],
     "means": "du is a process of its own; all three count a file with two "
              "names once."},
    {"name": "remove-files", "row": "remove-files", "rounds": 9,
     "says": "remove of an active with 10,000 files",
     "contestants": [
         shale(files=10000),
         shale(label="shale, delete_later", files=10000, later="yes"),
         shale(label="the same and cleanup", files=10000, later="yes",
               cleaned=1),
         containerd(files=10000),
         dict(floor(files=10000), label="rm -rf")],
     "goals": [goal(1, against="rm -rf"),
               {"of": "shale, delete_later", "below": 200000},
               goal(1, "the same and cleanup", "rm -rf"),
               beside("shale", "containerd")]},
    {"name": "memory", "row": "memory", "unit": "KiB", "stores": "full",
     "says": "resident memory, 10,000 snapshots in the cache",
     "contestants": [shale(size=10000), containerd(size=10000)],
     # A tenth of what a younger containerd takes after such a walk, 58 MB.
     "goals": [{"of": "shale", "below": 5664},
               beside("shale", "containerd")]},
    sized("prepare", "prepare against the size of the store"),
    sized("stat", "stat against the size of the store"),
    sized("mounts", "mounts against the size of the store"),
    sized("remove", "remove against the size of the store"),
    sized("walk", "walk against the size of the store", flat=False, count=1),
    growth("growth-children", "siblings",
           "prepare + remove against the children of the parent",
           [1, 10, 100, 1000, 10000],
           stores="siblings", graph={"x": "children of the parent"},
           goals=[goal(1.5, "shale, 10,000", "shale, 1")]),
    threads_graph(),
]

# What only looks leaves nothing to be synced.
for each in ROWS:
    if each["row"].startswith(LOOKING):
        for one in each["contestants"]:
            one["syncs"] = ""
