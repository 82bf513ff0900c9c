"""What an application tries that was taken over: a line for each attempt, `ATTEMPT: succeeds` or `ATTEMPT: why not`.

Each runs in a process of its own, so that what one changes of itself does not help another.
"""

import ctypes
import encodings.idna  # noqa: F401, needed by the next: another user may not be able to read it any more
import http.client
import os
import socket

PROXY = 1337
CLONE_NEWUSER = 0x10000000


def token(host="169.254.169.254"):
    connection = http.client.HTTPConnection(host, timeout=5)
    connection.request("PUT", "/latest/api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise OSError(f"status {answer.status}")


def as_the_proxy():
    os.setuid(PROXY)
    token()


def in_the_group_of_root():
    os.setgroups([])
    os.setgid(0)
    token()


def in_a_user_namespace():
    uid, gid = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    for name, text in [("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")]:
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    os.setgid(0)
    os.setuid(0)
    token()


def raw_packets():
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()


def admin_page():
    connection = http.client.HTTPConnection("127.0.0.1", 9901, timeout=5)
    connection.request("GET", "/config_dump")
    connection.getresponse().read()


ATTEMPTS = {
    "token": token,
    "token by IPv6": lambda: token("[fd00:ec2::254]"),
    "token as the proxy's user": as_the_proxy,
    "token in root's group": in_the_group_of_root,
    "token as root of a namespace": in_a_user_namespace,
    "raw packets": raw_packets,
    "admin page": admin_page,
}

for name, attempt in ATTEMPTS.items():
    if os.fork() == 0:
        try:
            attempt()
            outcome = "succeeds"
        except Exception as error:
            outcome = repr(error)
        print(f"{name}: {outcome}", flush=True)
        os._exit(0)
    os.wait()
