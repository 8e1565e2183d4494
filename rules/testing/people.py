"""Users and groups of a test: names with the numbers that hosts usually give them, told before anything happens."""

from __future__ import annotations

from dataclasses import dataclass, field

USERS = {
    "root": (0, "/root", "/bin/bash"),
    "daemon": (1, "/usr/sbin", "/usr/sbin/nologin"),
    "bin": (2, "/bin", "/usr/sbin/nologin"),
    "mail": (8, "/var/mail", "/usr/sbin/nologin"),
    "www-data": (33, "/var/www", "/usr/sbin/nologin"),
    "postgres": (113, "/var/lib/postgresql", "/bin/bash"),
    "mysql": (114, "/var/lib/mysql", "/bin/false"),
    "redis": (115, "/var/lib/redis", "/usr/sbin/nologin"),
    "sshd": (110, "/run/sshd", "/usr/sbin/nologin"),
    "nobody": (65534, "/nonexistent", "/usr/sbin/nologin"),
}
GROUPS = {
    "root": 0,
    "daemon": 1,
    "bin": 2,
    "adm": 4,
    "tty": 5,
    "disk": 6,
    "shadow": 42,
    "docker": 999,
    "nogroup": 65534,
}
FIRST = 1000
"""Number of the first user with a name that is not among these."""


@dataclass(slots=True)
class User:
    uid: int
    name: str
    home: str
    shell: str


@dataclass(slots=True)
class People:
    """Users by name; one without a name that is known gets the next number."""

    users: dict[str, User] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)

    def user(self, name: str) -> User:
        if name not in self.users:
            uid, home, shell = USERS.get(name, (self.next(), f"/home/{name}", "/bin/bash"))
            self.users[name] = User(uid, name, home, shell)
        return self.users[name]

    def group(self, name: str) -> int:
        if name not in self.groups:
            user = self.users.get(name)
            self.groups[name] = GROUPS[name] if name in GROUPS else user.uid if user else self.next()
        return self.groups[name]

    def next(self) -> int:
        return max([FIRST - 1, *(u.uid for u in self.users.values() if u.uid < USERS["nobody"][0]),
                    *(gid for gid in self.groups.values() if gid < GROUPS["nogroup"])]) + 1  # fmt: skip
