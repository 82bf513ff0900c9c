"""A stand-in for EC2's instance metadata service, version 2 alone: the credentials of the role of the instance that asks, for
those that come with a token.

Usage: server.py FOLDER. Listens on 169.254.169.254 and fd00:ec2::254, port 80. FOLDER has a file for each instance, named by its
address: JSON with its role and the credentials as EC2 words them. Prints a line when it listens.
"""

import http.server
import ipaddress
import json
import pathlib
import socket
import sys
import threading

folder = pathlib.Path(sys.argv[1])
TOKEN = "token-of-the-stand-in"
CREDENTIALS = "/latest/meta-data/iam/security-credentials/"


class Metadata(http.server.BaseHTTPRequestHandler):
    def answer(self, status, text=""):
        self.send_response(status)
        if self.command == "PUT":
            self.send_header("X-aws-ec2-metadata-token-ttl-seconds", "21600")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_PUT(self):
        if self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]:
            self.answer(200, TOKEN)
        else:
            self.answer(400)

    def do_GET(self):
        file = folder / str(ipaddress.ip_address(self.client_address[0]))
        if self.headers["X-aws-ec2-metadata-token"] != TOKEN:
            self.answer(401)
        elif not file.exists():
            self.answer(404)
        else:
            known = json.loads(file.read_text())
            answers = {CREDENTIALS: known["role"], CREDENTIALS + known["role"]: known["credentials"]}
            self.answer(200 if self.path in answers else 404, answers.get(self.path, ""))


class V6(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


servers = [http.server.ThreadingHTTPServer(("169.254.169.254", 80), Metadata), V6(("fd00:ec2::254", 80), Metadata)]
for server in servers[1:]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
print("listening", flush=True)
servers[0].serve_forever()
