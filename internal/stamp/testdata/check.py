"""Another program's opinion of stamped mails: reads pairs of files with Python's email package and compares them.

check.py FOLDER LINK    FOLDER holds N.in and N.out, N = 0, 1, ..., and N.parts: how many parts are said to carry the link.
One line for each fault on standard output; exit status 0 in any case."""

import email
import email.policy
import hashlib
import pathlib
import sys


def leaves(message):
    return [part for part in message.walk() if not part.is_multipart()]


def shape(message):
    """The tree: what every reader of the mail goes by."""
    return [
        (
            part.get_content_type(),
            part.get_param("charset"),
            part.get("Content-Transfer-Encoding"),
            part.get("Content-Disposition"),
            part.get_boundary(),
            part.get_filename(),
            len(part.get_payload()) if part.is_multipart() else -1,
        )
        for part in message.walk()
    ]


def octets(part):
    payload = part.get_payload(decode=True)
    if payload is None:
        payload = str(part.get_payload()).encode("utf-8", "surrogateescape")
    return payload


def fields(message):
    return [(name, value) for name, value in message.raw_items() if not name.lower().startswith("ch-")]


def check(before, after, link, parts):
    if shape(before) != shape(after):
        yield "the tree of parts is another"
    if fields(before) != fields(after):
        yield "the header is another"
    carrying = 0
    for old, new in zip(leaves(before), leaves(after)):
        was, now = octets(old), octets(new)
        if hashlib.sha256(was).digest() == hashlib.sha256(now).digest():
            if link in now:
                yield "the link is in a part that was not stamped"
            continue
        carrying += 1
        if now.count(link) != 1:
            yield "the link is %d times in a part" % now.count(link)
        if new.get_content_type() not in ("text/plain", "text/html"):
            yield "a part changed that is " + new.get_content_type()
        if new.get_content_disposition() == "attachment" or new.get_filename():
            yield "an attachment changed"
    if carrying != parts:
        yield "%d parts changed, %d are said to" % (carrying, parts)


def main():
    folder, link = pathlib.Path(sys.argv[1]), sys.argv[2].encode()
    policy = email.policy.compat32
    for path in sorted(folder.glob("*.in")):
        before = email.message_from_bytes(path.read_bytes(), policy=policy)
        after = email.message_from_bytes(path.with_suffix(".out").read_bytes(), policy=policy)
        parts = int(path.with_suffix(".parts").read_text())
        for fault in check(before, after, link, parts):
            print(path.stem, fault)


main()
