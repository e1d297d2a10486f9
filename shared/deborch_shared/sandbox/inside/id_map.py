"""User namespaces: which one this process is in, and making one that maps ids for mounts and commands."""

import os

from deborch_shared.sandbox.inside import syscalls

_MOST_IDS = 4_294_967_295
_ALL_IDS = ["0", "0", str(_MOST_IDS)]


def in_initial_user_namespace(uid_map: str = "/proc/self/uid_map") -> bool:
    """Whether root here is root of the host."""
    with open(uid_map, encoding="utf-8") as source:
        return source.read().split() == _ALL_IDS


def make_user_namespace(first_id: int = 0, count: int = _MOST_IDS, *, owner: int | None = None) -> int:
    """A descriptor of a user namespace in which 0 to `count` are `first_id` and up on the host; by default as here.

    `owner`: who may enter it, and gets every capability in it alone; None: the user of this process.
    """
    made_read, made_write = os.pipe2(os.O_CLOEXEC)
    done_read, done_write = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        try:
            if owner is not None:
                syscalls.become_user(owner)
                syscalls.open_to_others()
            syscalls.die_with_parent()
            syscalls.unshare(syscalls.CLONE_NEWUSER)
            os.write(made_write, b"x")
            os.read(done_read, 1)
        finally:
            os._exit(0)
    os.close(made_write)
    try:
        if not os.read(made_read, 1):
            raise OSError("this host does not allow user namespaces")
        for kind in ("uid_map", "gid_map"):
            lines = map_lines(first_id, count, f"/proc/self/{kind}")
            with open(f"/proc/{child}/{kind}", "w", encoding="utf-8") as target:
                target.write("".join(lines))
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.write(done_write, b"x")
        os.waitpid(child, 0)
        for descriptor in (made_read, done_read, done_write):
            os.close(descriptor)


def map_lines(first_id: int, count: int, own_map: str) -> list[str]:
    """Lines that map 0 and up to `first_id` and up; each must lie within one line of the map that is above it."""
    lines = []
    with open(own_map, encoding="utf-8") as source:
        for line in source:
            known, _, length = (int(word) for word in line.split())
            begin, end = max(known, first_id), min(known + length, first_id + count)
            if begin < end:
                lines.append(f"{begin - first_id} {begin} {end - begin}\n")
    return lines
