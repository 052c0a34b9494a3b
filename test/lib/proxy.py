#!/usr/bin/python3
"""A way to a broker that has the faults of networks.

proxy.py DIRECTORY LISTEN TARGET     ports on 127.0.0.1; prints a line when it listens

DIRECTORY/mode says what happens, from the next bytes on: pass; hole (connections are taken, nothing
goes through); delay SECONDS (each way); cut BYTES (a connection ends behind so many bytes from the
broker, a random number up to it); garbage (random bytes instead of the broker).
"""
import asyncio
import os
import random
import sys

directory, listen, target = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def mode():
    with open(f"{directory}/mode", encoding="utf-8") as f:
        kind, _, value = f.read().strip().partition(" ")
    return kind, float(value or 0)


async def pump(reader, writer, from_broker):
    left = None
    try:
        while data := await reader.read(65536):
            while (now := mode())[0] == "hole":
                await asyncio.sleep(0.05)
            if now[0] == "delay":
                await asyncio.sleep(now[1] / 2)
            if now[0] == "cut" and from_broker:
                left = random.randrange(1, int(now[1])) if left is None else left
                if len(data) >= left:
                    writer.write(data[:left])
                    await writer.drain()
                    break
                left -= len(data)
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def babble(reader, writer):
    try:
        while await reader.read(1024):
            writer.write(os.urandom(4096))
            await writer.drain()
    except OSError:
        pass


async def connect(reader, writer):
    if mode()[0] == "garbage":
        return await babble(reader, writer)
    while mode()[0] == "hole":
        await asyncio.sleep(0.05)
    try:
        broker_reader, broker_writer = await asyncio.open_connection("127.0.0.1", target)
    except OSError:
        return writer.close()
    await asyncio.gather(pump(reader, broker_writer, False), pump(broker_reader, writer, True))


async def main():
    server = await asyncio.start_server(connect, "127.0.0.1", listen)
    print("listens", flush=True)
    async with server:
        await server.serve_forever()


asyncio.run(main())
