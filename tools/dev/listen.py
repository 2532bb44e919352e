#!/usr/bin/env python3
"""listen.py ADDRESS:PORT -- COMMAND...: opens a listening socket and becomes COMMAND, with the socket as descriptor 3.

COMMAND finds LISTEN_FDS=1 in its environment, as systemd's socket activation does it. A socket stays in the network
namespace that it was opened in, so a daemon that runs in a namespace of its own is reached from here.
"""
import os
import socket
import sys


def main():
    if len(sys.argv) < 4 or sys.argv[2] != "--":
        sys.exit("usage: listen.py ADDRESS:PORT -- COMMAND...")
    address, _, port = sys.argv[1].rpartition(":")
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, int(port)))
    except OSError as error:
        sys.exit(f"cannot listen on {sys.argv[1]}: {error.strerror}")
    listener.listen(128)
    if listener.fileno() == 3:
        os.set_inheritable(3, True)
    else:
        os.dup2(listener.fileno(), 3, inheritable=True)
    environment = dict(os.environ, LISTEN_FDS="1")
    environment.pop("LISTEN_PID", None)  # namespaces and sudo change process ids, so no process is named
    os.execvpe(sys.argv[3], sys.argv[3:], environment)


main()
