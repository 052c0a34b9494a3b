#!/usr/bin/python3
"""An ACL of the test broker, by librdkafka's C interface (the Debian binding of Python has none).

acl.py --bootstrap HOST:PORT deny|allow USER TOPIC     no READ and DESCRIBE for the user, or that ended

Returns when the broker has taken it.
"""
import argparse
import ctypes
import sys

TOPIC, LITERAL, ALL, DENY, ANY_OPERATION = 2, 3, 2, 2, 0    # of rdkafka.h
K = ctypes.CDLL("librdkafka.so.1")
for name in ("conf_new", "new", "AclBinding_new", "AclBindingFilter_new", "queue_new", "queue_poll",
             "AdminOptions_new", "event_CreateAcls_result", "event_DeleteAcls_result", "err2str",
             "event_error_string"):
    getattr(K, "rd_kafka_" + name).restype = ctypes.c_void_p
K.rd_kafka_err2str.restype = K.rd_kafka_event_error_string.restype = ctypes.c_char_p


def client(bootstrap):
    text = ctypes.create_string_buffer(512)
    conf = ctypes.c_void_p(K.rd_kafka_conf_new())
    K.rd_kafka_conf_set(conf, b"bootstrap.servers", bootstrap.encode(), text, 512)
    made = K.rd_kafka_new(0, conf, text, 512)
    return ctypes.c_void_p(made) if made else sys.exit(text.value.decode())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("what", choices=("deny", "allow"))
    parser.add_argument("user")
    parser.add_argument("topic")
    args = parser.parse_args()
    text = ctypes.create_string_buffer(512)
    kafka = client(args.bootstrap)
    queue = ctypes.c_void_p(K.rd_kafka_queue_new(kafka))
    make, send = ((K.rd_kafka_AclBinding_new, K.rd_kafka_CreateAcls) if args.what == "deny" else
                  (K.rd_kafka_AclBindingFilter_new, K.rd_kafka_DeleteAcls))
    acl = make(TOPIC, args.topic.encode(), LITERAL, b"User:" + args.user.encode(), b"*", ALL, DENY,
               text, 512)
    if not acl:
        sys.exit(text.value.decode())
    options = ctypes.c_void_p(K.rd_kafka_AdminOptions_new(kafka, ANY_OPERATION))
    K.rd_kafka_AdminOptions_set_request_timeout(options, 30000, text, 512)
    send(kafka, (ctypes.c_void_p * 1)(acl), ctypes.c_size_t(1), options, queue)
    event = ctypes.c_void_p(K.rd_kafka_queue_poll(queue, 40000))
    if not event or K.rd_kafka_event_error(event):
        sys.exit("acl.py: " + (K.rd_kafka_event_error_string(event).decode() if event else "no answer"))


if __name__ == "__main__":
    main()
