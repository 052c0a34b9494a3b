#!/usr/bin/env python3
"""A broker that asks for SASL PLAIN, writes down what it is sent, and refuses it with a text.

sasl_broker.py DIRECTORY [PEM]   prints its port on 127.0.0.1; PEM: certificate and key, for TLS

DIRECTORY/seen: a line `user<TAB>password` for each attempt; DIRECTORY/text: what it answers.
"""
import socketserver
import ssl
import struct
import sys

API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE = 18, 17, 36
UNSUPPORTED_VERSION, AUTHENTICATION_FAILED = 35, 58
VERSIONS = ((SASL_HANDSHAKE, 0, 1), (API_VERSIONS, 0, 0), (SASL_AUTHENTICATE, 0, 0))
directory = sys.argv[1]


def string(text):
    return struct.pack(">h", len(text)) + text


def api_versions(version):
    return struct.pack(">hi", UNSUPPORTED_VERSION if version else 0, len(VERSIONS)) + \
        b"".join(struct.pack(">hhh", *one) for one in VERSIONS)


def refuse(credentials):
    _, user, password = credentials.split(b"\0")
    with open(f"{directory}/seen", "ab") as seen:
        seen.write(user + b"\t" + password.replace(b"\n", b"\\n") + b"\n")
    with open(f"{directory}/text", "rb") as text:
        return struct.pack(">h", AUTHENTICATION_FAILED) + string(text.read()) + struct.pack(">i", 0)


def answer(key, version, body):
    if key == API_VERSIONS:
        return api_versions(version)
    if key == SASL_HANDSHAKE:
        return struct.pack(">hi", 0, 1) + string(b"PLAIN")
    return refuse(body[4:])


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        while len(head := self.rfile.read(4)) == 4:
            request = self.rfile.read(struct.unpack(">i", head)[0])
            key, version, number, client = struct.unpack(">hhih", request[:10])
            reply = struct.pack(">i", number) + answer(key, version, request[10 + max(client, 0):])
            self.wfile.write(struct.pack(">i", len(reply)) + reply)


class Broker(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass    # a client that goes away, or that does not trust us


broker = Broker(("127.0.0.1", 0), Connection)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2])
    broker.socket = context.wrap_socket(broker.socket, server_side=True)
print(broker.server_address[1], flush=True)
broker.serve_forever()
