# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rows: the same by command, each command a process: shale's, those of
containers/storage (podman, buildah), umoci and tar."""

NOTHING = "nothing"
JSON = "its JSON files and databases; no file of a layer"


def by(tool, syncs="", label=None, needs=(), **args):
    """A contestant, and the packages that it wants."""
    return {"label": label or tool, "program": "commands", "syncs": syncs,
            "tools": needs, "args": dict(args, tool=tool)}


def beside(*others, of="shale"):
    return [{"of": of, "against": other} for other in others]


def run_by(label, door):
    return {"label": label, "program": "commands", "syncs": "",
            "tools": ("podman", "buildah", "runc"),
            "args": {"door": door, "layers": 10}}


def files(tool, syncs, **more):
    return by(tool, syncs, files=10000, **more)


ROWS = [
    {"name": "unpack", "row": "unpack", "rounds": 9, "quick": False,
     "says": "a tar of 10,000 files becomes a layer",
     "contestants": [
         files("shale", "the layer, its facts and its name"),
         files("tar", NOTHING, label="tar -x"),
         files("synced", "the files", label="tar -x, sync -f"),
         files("umoci", NOTHING, label="umoci raw unpack", needs=("umoci",)),
         files("podman", JSON, label="podman import",
               needs=("podman", "buildah"))],
     "goals": beside("tar -x, sync -f", "tar -x", "umoci raw unpack",
                     "podman import"),
     "means": "shale is prepare, mount, tar -x, umount and commit. umoci and "
              "podman also digest the tar, podman copies it before, and "
              "umoci knows no layers: it has one directory."},
    {"name": "drop", "row": "drop", "rounds": 9, "quick": False,
     "says": "that layer deleted",
     "contestants": [
         files("shale", NOTHING), files("tar", NOTHING, label="rm -rf"),
         files("podman", JSON, label="podman rmi",
               needs=("podman", "buildah"))],
     "goals": beside("rm -rf", "podman rmi")},
    {"name": "create", "row": "create", "rounds": 21,
     "says": "by command: a container's files on 10 layers made, and removed",
     "contestants": [
         by("shale", NOTHING), by("shale", "everything", label="shale, all",
                                  durability="all"),
         by("buildah", JSON, label="buildah from, rm", needs=("buildah",)),
         by("podman", JSON, label="podman create, rm",
            needs=("podman", "buildah"))],
     "goals": beside("buildah from, rm", "podman create, rm") +
     beside("buildah from, rm", of="shale, all"),
     "means": "buildah and podman also keep a container's configuration."},
    {"name": "working", "row": "working", "rounds": 9, "quick": False,
     "says": "the same, and mounted and unmounted between",
     "contestants": [
         by("shale", NOTHING),
         by("buildah", JSON, needs=("buildah",))],
     "goals": [{"of": "shale", "against": "buildah"}]},
    {"name": "podman", "row": "podman", "rounds": 21, "quick": False,
     "says": "podman run --rm of /bin/true on 10 layers, with runc",
     "contestants": [run_by("its own image", "image"),
                     run_by("shale mount, --rootfs", "rootfs"),
                     run_by("shale-hook precreate", "hook")],
     "goals": beside("its own image", of="shale mount, --rootfs") +
     beside("its own image", of="shale-hook precreate"),
     "means": "all make the root file system, and remove it, within what is "
              "measured; shale's by four commands, or by the hook."},
]
