# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rows: mounts, whole processes and containers, against their floors."""

NEEDS = ("apt install golang-go golang-github-containerd-containerd-dev, "
         "then make bench-build")


def entry(label, program, **more):
    return {"label": label, "program": program, "syncs": "", **more}


def three(program, floor, peer=None, **args):
    """shale, its floor and, where it does the same, containerd."""
    entries = [entry("shale", program, args=args),
               entry("floor", floor, args=args)]
    if peer:
        entries.append(entry("containerd", peer, args=args, needs=NEEDS))
    return entries


def to_floor(at_most):
    return {"of": "shale", "against": "floor", "at_most": at_most}


def doors(**args):
    """The same container by each door."""
    return [entry(label, "containers", args=dict(args, door=door))
            for label, door in (("by hand", "hand"),
                                ("mounted by hand", "measured"),
                                ("shale-runtime", "runtime"),
                                ("shale-hook", "hook"))]


ROWS = [
    {"name": f"mount-{n}", "row": "mount", "count": 10, "rounds": 41,
     "says": f"mount + unmount of {n} layers",
     "contestants": three("mount", "floor_mount", "containerd", layers=n),
     "goals": [to_floor(1.1),
               {"of": "shale", "against": "containerd", "at_most": 1}]}
    for n in (1, 10, 50, 120, 500)
] + [
    {"name": f"mount-mapped-{n}", "row": "mount-mapped", "count": 10,
     "rounds": 41, "says": f"the same of {n} layers, ids mapped",
     "contestants": three("mount", "floor_mount", layers=n),
     "goals": [to_floor(1.15)]}
    for n in (10, 120)
] + [
    {"name": "process-stat", "row": "stat", "count": 10, "rounds": 41,
     "says": "shale stat, the whole process",
     "contestants": three("process", "floor_process"),
     "goals": [to_floor(1.3)]},
    {"name": "process-prestart", "row": "prestart", "count": 5, "rounds": 41,
     "says": "shale-hook prestart on 10 layers, the whole process",
     "contestants": three("process", "floor_process"),
     "goals": [to_floor(1.3)]},
    {"name": "process-memory", "row": "prestart-memory", "unit": "KiB",
     "ask": "round", "count": 1, "rounds": 5,
     "says": "resident at most in shale-hook prestart",
     "contestants": three("process", "floor_process"),
     "goals": [{"of": "shale", "below": 6 * 1024}]},
    {"name": "run", "row": "run", "count": 2, "rounds": 31,
     "says": "runc run of /bin/true on 10 layers",
     "contestants": doors(layers=10),
     "means": "by hand the overlay is there before and goes after; all the "
              "others make, unmount and delete it within what is measured.",
     "goals": [{"of": "shale-hook", "against": "by hand", "above": 3e6},
               {"of": "shale-runtime", "against": "by hand", "above": 2e6},
               {"of": "shale-runtime", "against": "mounted by hand",
                "above": 2e6},
               {"of": "shale-hook", "against": "mounted by hand",
                "above": 3e6}]},
    {"name": "crowd", "row": "crowd", "count": 100, "rounds": 5,
     "says": "100 containers at once, from prepare to removed, each",
     "contestants": doors(layers=10)[1:3], "quick": False,
     "goals": [{"of": "shale-runtime", "against": "mounted by hand",
                "at_most": 1.05}]},
]
