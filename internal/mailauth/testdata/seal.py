# Seals a mail twice with dkimpy, an implementation of ARC that shares nothing with ours, as two servers on the way would: made testdata/sealed.eml and sealed.txt (Debian: python3-dkim, python3-authres).
#   seal.py KEY.pem MAIL.eml TXT > sealed.eml
# KEY.pem is an RSA key in PKCS #1; TXT its record, under the selectors one and two of relay.example.
import sys
import dkim

key, mail, record = open(sys.argv[1], "rb").read(), open(sys.argv[2], "rb").read(), sys.argv[3].encode()


def txt(name, timeout=5):
    return record


for selector, below in ((b"one", b""), (b"two", b";\r\n\tarc=pass")):
    results = b"Authentication-Results: " + selector + b".relay.example;\r\n\tspf=pass smtp.mailfrom=example.org" + below + b"\r\n"
    mail = results + mail
    sealed = dkim.arc_sign(mail, selector, b"relay.example", key, selector + b".relay.example")
    mail = b"".join(sealed) + mail
    print(dkim.arc_verify(mail, dnsfunc=txt)[0], file=sys.stderr)
sys.stdout.buffer.write(mail)
