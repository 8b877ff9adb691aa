# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the contestants in Python share: the protocol of contestant.h, a store
with layers, and a /run of their own.  SHALE, SHALE_HOOK and SHALE_RUNTIME name
the programs."""
import ctypes
import json
import os
import shutil
import subprocess
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
ENV = dict(os.environ, PATH="/usr/sbin:/usr/bin:/sbin:/bin")
PARENT = "layer-{}"


def program(variable, usual):
    return os.environ.get(variable) or found(usual)


def found(name):
    return shutil.which(name, path=ENV["PATH"]) or name


SHALE = program("SHALE", "shale")
HOOK = program("SHALE_HOOK", "/usr/local/libexec/shale-hook")
RUNTIME = program("SHALE_RUNTIME", "shale-runtime")


def must(*command, **more):
    return subprocess.run(command, check=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, **more).stdout


def call(name, *arguments):
    if getattr(LIBC, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def spawn(argv):
    """As little as a process can be started with from here."""
    null = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    return os.posix_spawn(argv[0], argv, ENV, file_actions=null)


def finish(pid, argv):
    status = os.waitpid(pid, 0)[1]
    if status:
        raise OSError(f"{' '.join(argv)}: status {status:#x}")


def run(*argv):
    finish(spawn(argv), argv)


class Row:
    """What the rows share: a store with N layers, the first with busybox."""

    def __init__(self, top, args):
        self.top, self.args = top, args
        self.layers = int(args.get("layers", 10))
        self.store = os.path.join(top, "store")

    def own_run(self):
        """Records, locks and states of our own."""
        call("mount", b"run", b"/run", b"tmpfs", 0, None)
        call("mount", b"shm", b"/dev/shm", b"tmpfs", 0, None)
        os.mkdir("/run/shale", 0o700)

    def shale(self, *words):
        return must(SHALE, "--root", self.store, *words)

    def fill(self, path):
        for name in ("bin", "dev", "proc", "sys", "etc", "tmp", "run"):
            os.makedirs(os.path.join(path, name), exist_ok=True)
        shutil.copy("/bin/busybox", os.path.join(path, "bin", "true"))

    def make_layers(self):
        target = os.path.join(self.top, "layer")
        os.mkdir(target)
        for number in range(self.layers):
            parent = [PARENT.format(number - 1)] if number else []
            self.shale("prepare", "making", *parent)
            self.shale("mount", "making", target)
            self.fill(target)
            self.shale("umount", target)
            self.shale("commit", PARENT.format(number), "making")

    def lower(self):
        """The layers as an option, the topmost first."""
        self.shale("prepare", "asking", PARENT.format(self.layers - 1))
        text = json.loads(must(SHALE, "--root", self.store, "--json",
                               "mounts", "asking"))
        self.shale("remove", "asking")
        options = text["options"] if isinstance(text, dict) \
            else text[0]["options"]
        return next(o for o in options if o.startswith("lowerdir="))

    def round(self, count):
        return " ".join(str(self.once()) for _ in range(count))

    def tear_down(self):
        pass


def answer(top, rows, words, current):
    if words[0] == "setup":
        args = dict(word.split("=", 1) for word in words[2:])
        current = rows[words[1]](top, args)
        current.set_up()
        return current, "ok"
    if words[0] == "round":
        return current, current.round(int(words[1]))
    return current, "unknown"


def converse(top, rows):
    current = None
    for line in sys.stdin:
        words = line.split()
        if not words:
            continue
        if words[0] == "end":
            break
        try:
            current, text = answer(top, rows, words, current)
        except subprocess.CalledProcessError as error:
            text = f"error {error} {(error.stderr or b'').decode()}"
        except (OSError, KeyError, ValueError, StopIteration) as error:
            text = f"error {type(error).__name__} {error}"
        print(text.replace("\n", " "), flush=True)
    if current:
        current.tear_down()


def serve(rows):
    """As a program, in a mount namespace of its own."""
    if len(sys.argv) != 2 or not sys.argv[1].startswith("/"):
        sys.exit(f"usage: {sys.argv[0]} /DIRECTORY")
    if not os.environ.get("BENCH_OWN_RUN"):
        os.environ["BENCH_OWN_RUN"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation",
                              "private", sys.executable,
                              os.path.realpath(sys.argv[0]), sys.argv[1]])
    converse(sys.argv[1], rows)
