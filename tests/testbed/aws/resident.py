"""The AWS CLI without its start, which takes longer than what tests ask of it: one process loads the program and the models of
the services, and each command is a fork of it. What runs in the fork is the CLI's own driver, from the command line to the
exit status.

Takes the name of an abstract Unix socket, prints "ready" when it listens there, and ends with its standard input. A connection of
its own user is one command: a line of JSON {"arguments": [...], "environment": {...}} that replaces the process's own, answered
by {"status", "stdout", "stderr"}."""

import gc
import json
import os
import select
import signal
import socket
import struct
import sys

from awscli.clidriver import create_clidriver

SERVICES = ("appmesh", "ec2", "iam", "servicediscovery", "ssm", "sts")
DATA = ("endpoints", "partitions", "_retry", "sdk-default-configuration")
# Credentials of nobody: a client that is never asked anything imports what every client needs.
NOBODY = {"region_name": "us-west-2", "aws_access_key_id": "none", "aws_secret_access_key": "none"}


def loaded():
    """The CLI's driver with what it would read from the disk for each command."""
    driver = create_clidriver()
    driver._get_command_table()
    loader = driver.session.get_component("data_loader")
    for name in DATA:
        loader.load_data(name)
    for service in SERVICES:
        for kind in ("service-2", "endpoint-rule-set-1", "paginators-1"):
            if service in loader.list_available_services(kind):
                loader.load_service_model(service, kind)
        driver.session.create_client(service, **NOBODY)
    return driver


def run(driver, request):
    """The command's exit status."""
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["aws", *request["arguments"]]
    try:
        return driver.main(request["arguments"])
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)


def answer(driver, connection):
    """Runs the command of this connection in this process, whose standard output and error become files."""
    kept = [os.memfd_create(name) for name in ("stdout", "stderr")]
    for file, descriptor in zip(kept, (1, 2)):
        os.dup2(file, descriptor)
    status = run(driver, json.loads(connection.makefile("rb").readline()))
    sys.stdout.flush()
    sys.stderr.flush()
    texts = []
    for file in kept:
        os.lseek(file, 0, os.SEEK_SET)
        with os.fdopen(file, "rb") as text:
            texts.append(text.read().decode())
    line = json.dumps({"status": status or 0, "stdout": texts[0], "stderr": texts[1]})
    connection.sendall(line.encode() + b"\n")


def of_this_user(connection):
    """Whether a process of our own user connected: an abstract socket has no permissions of its own."""
    peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return struct.unpack("3i", peer)[1] == os.getuid()


def main(name):
    driver = loaded()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(b"\0" + name.encode())
    listener.listen(64)
    print("ready", flush=True)
    # Nobody waits for the forks; the kernel forgets them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # What the garbage collector does not touch stays shared with the forks.
    gc.freeze()
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready and not sys.stdin.buffer.read1():
            return
        if listener not in ready:
            continue
        connection, _ = listener.accept()
        if of_this_user(connection) and os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            answer(driver, connection)
            os._exit(0)
        connection.close()


if __name__ == "__main__":
    main(sys.argv[1])
