# Checks DKIM signatures with dkimpy, an implementation that shares nothing with ours.
#   verify.py KEYS.json FOLDER
# KEYS.json maps names of the DNS to TXT values. For every file of the folder one line: its name and the outcome of each signature from the top.
import json, os, sys, logging
import dkim

keys = json.load(open(sys.argv[1]))
logging.disable(logging.CRITICAL)


def txt(name, timeout=5):
    return keys[name.decode().rstrip(".")].encode()


for name in sorted(os.listdir(sys.argv[2])):
    raw = open(os.path.join(sys.argv[2], name), "rb").read()
    out = []
    for i in range(2):
        try:
            out.append("pass" if dkim.DKIM(raw).verify(idx=i, dnsfunc=txt) else "fail")
        except Exception as e:
            out.append(type(e).__name__ + ":" + str(e).replace("\n", " "))
    print(name, *out, sep="\t")
