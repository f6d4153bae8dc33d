"""
Signatures on which Ed25519 verifiers differ: keys and R with a part of small order, of small order altogether, encodings that are
not canonical, S >= L. Prints "key message signature verdict" lines, the verdict being that of evident_verify.py, for a comparison with libsodium.
"""
import hashlib

import evident_verify as ev
from test_evident_verify import SEED_1, SMALL_ORDER


def times(scalar, point):
    result, table = ev.ZERO, ev.window_table(point)
    for i in range(64):
        if scalar >> 4 * i & 15:
            result = ev.add(result, table[i][scalar >> 4 * i & 15])
    return result


def hash_scalar(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % ev.L


def cases():
    base = ev.decode_point(bytes.fromhex("5866666666666666666666666666666666666666666666666666666666666666"))
    torsion = [ev.decode_point(bytes.fromhex(text)) for text in SMALL_ORDER[:8] if ev.decode_point(bytes.fromhex(text))]
    secret = int.from_bytes(hashlib.sha512(bytes.fromhex(SEED_1)).digest()[:32], "little") & (2**254 - 8) | 2**254
    for i, small in enumerate(torsion):
        key = ev.encode_point(ev.add(times(secret, base), ev.cached(small)))
        for j, other in enumerate(torsion):
            for message in (b"", b"one", b"two"):            # the part of small order cancels out for some k, but not for all
                nonce = hash_scalar(b"nonce", bytes([i, j]), message)
                r = ev.encode_point(ev.add(times(nonce, base), ev.cached(other)))
                s = (nonce + hash_scalar(r, key, message) * secret) % ev.L
                yield key, message, r + s.to_bytes(32, "little")
                if i == j == 0:
                    yield key, message, r + (s + ev.L).to_bytes(32, "little")
    key = ev.encode_point(times(secret, base))
    for small in SMALL_ORDER:
        small = bytes.fromhex(small)
        yield key, b"", small + (hash_scalar(small, key) * secret % ev.L).to_bytes(32, "little")
        for other in SMALL_ORDER:
            yield small, b"three", bytes.fromhex(other) + bytes(32)


if __name__ == "__main__":
    for key, message, signature in cases():
        print(key.hex(), message.hex() or "-", signature.hex(), int(ev.ed25519_verify(key, message, signature)))
