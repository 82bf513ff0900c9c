"""A stand-in for EC2's instance metadata service on a free port of 127.0.0.1: the instance identity document, to those that
come with a token of version 2. Signed with RSA-2048 by a key of its own, in the form of AWS (without attributes, DER).

Usage: metadata.py KEY INSTANCE STARTED. KEY is a file, made if need be; its certificate goes to KEY.crt. Prints the port.
"""

import base64
import datetime
import http.server
import json
import os
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

path, instance, started = sys.argv[1:]
PEM = serialization.Encoding.PEM
if not os.path.exists(path):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "A region of the test bed")])
    now = datetime.datetime(2020, 1, 1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=36500))
        .sign(key, hashes.SHA256())
    )
    with open(path + ".crt", "wb") as file:
        file.write(certificate.public_bytes(PEM))
    with open(path, "wb") as file:
        none = serialization.NoEncryption()
        file.write(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, none))
key = serialization.load_pem_private_key(open(path, "rb").read(), None)
certificate = x509.load_pem_x509_certificate(open(path + ".crt", "rb").read())
document = {
    "accountId": "123456789012",
    "architecture": "x86_64",
    "availabilityZone": "us-west-2b",
    "imageId": "ami-5fb8c835",
    "instanceId": instance,
    "instanceType": "t3.micro",
    "pendingTime": started,
    "privateIp": "10.0.0.1",
    "region": "us-west-2",
    "version": "2017-09-30",
}
Option = pkcs7.PKCS7Options
builder = pkcs7.PKCS7SignatureBuilder().set_data(json.dumps(document, indent=2).encode())
builder = builder.add_signer(certificate, key, hashes.SHA256())
signed = builder.sign(serialization.Encoding.DER, [Option.NoAttributes, Option.Binary])
text = base64.encodebytes(signed)
TOKEN = "token-of-the-stand-in"


class Metadata(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body=b""):
        self.send_response(status)
        if self.command == "PUT":
            self.send_header("X-aws-ec2-metadata-token-ttl-seconds", "21600")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        self.answer(200 if self.path == "/latest/api/token" else 404, TOKEN.encode())

    def do_GET(self):
        if self.headers["X-aws-ec2-metadata-token"] != TOKEN:
            self.answer(401)
        elif self.path == "/latest/dynamic/instance-identity/rsa2048":
            self.answer(200, text)
        else:
            self.answer(404)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
print(server.server_address[1], flush=True)
server.serve_forever()
