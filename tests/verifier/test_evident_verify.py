"""Known answers for evident_verify.py: RFC 8032, RFC 6962, C2SP, docs/ledger-format.md. Run: python3 -m unittest test_evident_verify"""
import contextlib
import io
import os
import re
import subprocess
import sys
import unittest

import evident_verify as ev

HERE = os.path.dirname(os.path.abspath(__file__))
DOCS = os.path.join(HERE, "..", "..", "docs")
TINY = os.path.join(DOCS, "vectors", "ledger-tiny")

LONG_MESSAGE = (                                             # of RFC 8032 section 7.1, TEST 1024
    "08b8b2b733424243760fe426a4b54908632110a66c2f6591eabd3345e3e4eb98fa6e264bf09efe12ee50f8f54e9f77b1e355f6c50544e23fb1433ddf73be84d8"
    "79de7c0046dc4996d9e773f4bc9efe5738829adb26c81b37c93a1b270b20329d658675fc6ea534e0810a4432826bf58c941efb65d57a338bbd2e26640f89ffbc"
    "1a858efcb8550ee3a5e1998bd177e93a7363c344fe6b199ee5d02e82d522c4feba15452f80288a821a579116ec6dad2b3b310da903401aa62100ab5d1a36553e"
    "06203b33890cc9b832f79ef80560ccb9a39ce767967ed628c6ad573cb116dbefefd75499da96bd68a8a97b928a8bbc103b6621fcde2beca1231d206be6cd9ec7"
    "aff6f6c94fcd7204ed3455c68c83f4a41da4af2b74ef5c53f1d8ac70bdcb7ed185ce81bd84359d44254d95629e9855a94a7c1958d1f8ada5d0532ed8a5aa3fb2"
    "d17ba70eb6248e594e1a2297acbbb39d502f1a8c6eb6f1ce22b3de1a1f40cc24554119a831a9aad6079cad88425de6bde1a9187ebb6092cf67bf2b13fd65f270"
    "88d78b7e883c8759d2c4f5c65adb7553878ad575f9fad878e80a0c9ba63bcbcc2732e69485bbc9c90bfbd62481d9089beccf80cfe2df16a2cf65bd92dd597b07"
    "07e0917af48bbb75fed413d238f5555a7a569d80c3414a8d0859dc65a46128bab27af87a71314f318c782b23ebfe808b82b0ce26401d2e22f04d83d1255dc51a"
    "ddd3b75a2b1ae0784504df543af8969be3ea7082ff7fc9888c144da2af58429ec96031dbcad3dad9af0dcbaaaf268cb8fcffead94f3c7ca495e056a9b47acdb7"
    "51fb73e666c6c655ade8297297d07ad1ba5e43f1bca32301651339e22904cc8c42f58c30c04aafdb038dda0847dd988dcda6f3bfd15c4b4c4525004aa06eeff8"
    "ca61783aacec57fb3d1f92b0fe2fd1a85f6724517b65e614ad6808d6f6ee34dff7310fdc82aebfd904b01e1dc54b2927094b2db68d6f903b68401adebf5a7e08"
    "d78ff4ef5d63653a65040cf9bfd4aca7984a74d37145986780fc0b16ac451649de6188a7dbdf191f64b5fc5e2ab47b57f7f7276cd419c17a3ca8e1b939ae49e4"
    "88acba6b965610b5480109c8b17b80e1b7b750dfc7598d5d5011fd2dcc5600a32ef5b52a1ecc820e308aa342721aac0943bf6686b64b2579376504ccc493d97e"
    "6aed3fb0f9cd71a43dd497f01f17c0e2cb3797aa2a2f256656168e6c496afc5fb93246f6b1116398a346f1a641f3b041e989f7914f90cc2c7fff357876e506b5"
    "0d334ba77c225bc307ba537152f3f1610e4eafe595f6d9d90d11faa933a15ef1369546868a7f3a45a96768d40fd9d03412c091c6315cf4fde7cb68606937380d"
    "b2eaaa707b4c4185c32eddcdd306705e4dc1ffc872eeee475a64dfac86aba41c0618983f8741c5ef68d3a101e8a3b8cac60c905c15fc910840b94c00a0b9d0")
RFC_8032 = (                                                 # section 7.1: TEST 1, 2, 3, 1024, SHA(abc)
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
    ("278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e", LONG_MESSAGE,
     "0aab4c900501b3e24d7cdf4663326a3a87df5e4843b2cbdb67cbf6e460fec350aa5371b1508f9f4528ecea23c436d94b5e8fcd4f681e30a6ac00a9704a188a03"),
    ("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"),
)
SEED_1 = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
# The eight points of small order, then encodings of some of them that are not canonical (y >= p, or x = 0 with a sign).
SMALL_ORDER = (
    "0100000000000000000000000000000000000000000000000000000000000000", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080", "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "0100000000000000000000000000000000000000000000000000000000000080", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
)


class Ed25519(unittest.TestCase):
    def test_vectors_of_rfc_8032(self):
        for key, message, signature in RFC_8032:
            key, message, signature = bytes.fromhex(key), bytes.fromhex(message), bytes.fromhex(signature)
            self.assertTrue(ev.ed25519_verify(key, message, signature))
            self.assertFalse(ev.ed25519_verify(key, message + b"x", signature))
            for at in (0, 31, 32, 63):
                self.assertFalse(ev.ed25519_verify(key, message, signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1:]))
            self.assertFalse(ev.ed25519_verify(key, message, signature[:63]))
            self.assertFalse(ev.ed25519_verify(key[:31], message, signature))

    def test_s_is_not_malleable(self):
        key, message, signature = (bytes.fromhex(text) for text in RFC_8032[1])
        s = int.from_bytes(signature[32:], "little")
        for more in range(1, 16):
            if s + more * ev.L < 2**256:
                self.assertFalse(ev.ed25519_verify(key, message, signature[:32] + (s + more * ev.L).to_bytes(32, "little")))

    def test_keys_and_r_of_small_order_are_refused(self):
        for point in SMALL_ORDER:                            # S = 0: the equation holds for some R of small order, whatever the message
            for message in (b"", b"a", b"b", b"c"):
                for r in SMALL_ORDER:
                    self.assertFalse(ev.ed25519_verify(bytes.fromhex(point), message, bytes.fromhex(r) + bytes(32)))
        key = bytes.fromhex(RFC_8032[0][0])
        scalar = int.from_bytes(ev.hashlib.sha512(bytes.fromhex(SEED_1)).digest()[:32], "little") & (2**254 - 8) | 2**254
        for r in SMALL_ORDER:                                # S = k a: the equation holds for R = identity
            k = int.from_bytes(ev.hashlib.sha512(bytes.fromhex(r) + key).digest(), "little")
            self.assertFalse(ev.ed25519_verify(key, b"", bytes.fromhex(r) + (k * scalar % ev.L).to_bytes(32, "little")))

    def test_encodings_that_are_no_point_are_refused(self):
        for text in ("02" + 31 * "00", "f0" + 30 * "ff" + "7f", 32 * "ff") + SMALL_ORDER[8:]:
            self.assertIsNone(ev.decode_point(bytes.fromhex(text)))


class Forms(unittest.TestCase):
    def test_base64_has_one_form(self):
        for text, data in (("", b""), ("Zg==", b"f"), ("Zm8=", b"fo"), ("Zm9v", b"foo"), ("Zm9vYmE=", b"fooba"), ("+/+/", b"\xfb\xff\xbf")):
            self.assertEqual(ev.unbase64(text), data)
        for text in ("Zg", "Zg=", "Zh==", "Zm9=", "Zm9v\n", " Zm9v", "Zm9v=", "Z", "Zm9vZg==Zg==", "-_-_", "====", "Zm=v", "Zm9\u00e9"):
            self.assertRaises(ev.Malformed, ev.unbase64, text)

    def test_lj1_has_one_form(self):
        good = (b"{}", b'{"a":0}', b'{"a":-9007199254740991}', b'{"a":9007199254740991}', b'{"a":true,"b":false}', b'{"a":[],"b":{},"c":[1,[2]]}',
                rb'{"a":"\"\\\b\t\n\f\r\u0001\u001f/"}', '{"a":"\u00e9\u2014\U0001f600\x7f"}'.encode(), b'{"a":{"a":{"a":{"a":{"a":{"a":1}}}}}}',
                b'{"' + 64 * b"k" + b'":1}', b'{"_":1,"a":1,"a_":1}', b'{"0":1}')
        bad = (b"", b"{", b"}", b"[]", b'""', b"1", b'{"a":1} ', b' {"a":1}', b'{"a": 1}', b'{"a":1 }', b'{"a":1,}', b'{,"a":1}', b'{"a"}', b'{"a":}', b'{a:1}',
               b'{"b":1,"a":1}', b'{"a":1,"a":1}', b'{"A":1}', b'{"":1}', b'{"' + 65 * b"k" + b'":1}', b'{"a-b":1}', rb'{"\u0061":1}', b'{"a":01}', b'{"a":-0}',
               b'{"a":+1}', b'{"a":1.0}', b'{"a":1e3}', b'{"a":null}', b'{"a":9007199254740992}', b'{"a":-9007199254740992}', b'{"a":99999999999999999999}',
               b'{"a":True}', b'{"a":truex}', rb'{"a":"\u0061"}', rb'{"a":"\u000a"}', rb'{"a":"\u001F"}', rb'{"a":"\u0000"}', rb'{"a":"\/"}', rb'{"a":"\x"}', b'{"a":"\n"}',
               b'{"a":"\0"}', b'{"a":"', b'{"a":"\xff"}', b'{"a":"\xc0\x80"}', b'{"a":"\xed\xa0\x80"}', rb'{"a":"\ud83d\ude00"}', b'{"a":[1,]}', b'{"a":[,1]}',
               b'{"a":[1 ,2]}', b'{"a":[1', b'{"a":{"a":{"a":{"a":{"a":{"a":[]}}}}}}', b'[1]', b'{"a":1}{"a":1}', b'\xef\xbb\xbf{"a":1}')
        for data in good:
            ev.parse_lj1(data)
        for data in bad:
            with self.assertRaises(ev.Malformed, msg=data):
                ev.parse_lj1(data)
        self.assertEqual(ev.parse_lj1(good[6]), {"a": "\"\\\b\t\n\f\r\x01\x1f/"})

    def test_forms_of_strings_and_numbers(self):
        for form, value, fits in (
                ("time", "2026-02-28T23:59:59.999Z", True), ("time", "2026-02-29T00:00:00.000Z", False), ("time", "2024-02-29T00:00:00.000Z", True),
                ("time", "2026-01-01T24:00:00.000Z", False), ("time", "2016-12-31T23:59:60.000Z", False), ("time", "0000-01-01T00:00:00.000Z", False),
                ("time", "2026-01-01T00:00:00.000z", False), ("time", "2026-01-01T00:00:00Z", False), ("day", "2026-04-31", False), ("day", "0001-01-01", True),
                ("size", 32, True), ("size", 16, False), ("size", 33, False), ("size", 2**52, True), ("ordinal", 0, False), ("one", 2, False), ("flag", 1, False),
                ("count", True, False), ("count", -1, False), ("name", "", False), ("name", 128 * "a", True), ("name", 129 * "a", False), ("name", "a\n", False),
                ("name", "\u0661", False), ("vault-ref", "vr_01HZX0000000000000000000A0", True), ("vault-ref", "vr_81HZX0000000000000000000A0", False),
                ("vault-ref", "vr_01HZX0000000000000000000I0", False), ("code*2", ["a", "b"], True), ("code*2", [], False), ("code*2", ["a", "b", "c"], False),
                ("a|b", "b", True), ("a|b", "a|b", False), ("{actor}", {"kind": "agent"}, True), ("{actor}", {}, False), ("{actor}", {"kind": "agent", "x": 1}, False)):
            self.assertEqual(ev.fits(form, value), fits, (form, value))

    def test_a_prefix_of_a_valid_line_is_a_prefix_and_nothing_else_is(self):
        with open(os.path.join(TINY, "00000000000000000000.jsonl"), "rb") as file:
            lines = [line[:-1] for line in file if not line.startswith(b'{"checkpoint"')]
        for line in lines:
            entry = ev.parse_lj1(line)
            known = {member: entry[member] for member in ("seq", "batch", "epoch", "log", "integrity")}
            types = {name: known for name in ev.TYPE_SHAPES}
            for end in list(range(1, len(line), 11)) + [len(line)]:
                self.assertTrue(ev.is_entry_prefix(line[:end], types), line[:end])
                self.assertFalse(ev.is_entry_prefix(line[:end] + b"\0", types))
                self.assertFalse(ev.is_entry_prefix(b" " + line[:end], types))
            self.assertFalse(ev.is_entry_prefix(line + b"\n", types))
            for member, value in (("seq", entry["seq"] + 1), ("batch", entry["batch"] + 1), ("epoch", entry["epoch"] + 1), ("log", "evident.local/" + 32 * "0")):
                self.assertFalse(ev.is_entry_prefix(line, {name: {**known, member: value} for name in ev.TYPE_SHAPES}))
            for end in (line.index(b'"integrity"'), line.index(b'"type"')):   # a member that the type of the line does not have
                self.assertFalse(ev.is_entry_prefix(line[:end] + b'"zz', types))

    def test_times_that_can_still_become_valid(self):
        for text, begins in (("2021-0", True), ("2021-02-3", False), ("2021-04-3", True), ("2021-04-31", False), ("2021-1", True), ("2021-2", False),
                             ("2021-12-31T2", True), ("2021-12-31T24", False), ("0", True), ("000", True), ("0000", False), ("2021-12-31T23:59:59.999Z", True)):
            self.assertEqual(ev.begins_string("time", text), begins, text)


class Notes(unittest.TestCase):
    def test_the_example_of_the_c2sp_note(self):
        note = ev.parse_note("This is an example message.\n\n\u2014 example.com/foo "
                             "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n".encode())
        key = ev.unbase64("AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")[1:]
        self.assertEqual(ev.key_id("example.com/foo", key).hex(), "530d903a")
        self.assertTrue(ev.signature_by(note, "example.com/foo", key))
        self.assertFalse(ev.signature_by(note, "example.com/bar", key))
        note.text += b"x"
        self.assertRaises(ev.BadSignature, ev.signature_by, note, "example.com/foo", key)

    def test_notes_that_are_none(self):
        line = "\u2014 k AAAAAAAA\n"
        for text in ("t\n\n" + line, "t\n\n" + 100 * line, "t\n\nu\n\n" + line, "t\n\n"):
            ev.parse_note(text.encode())
        for text in ("", "t\n", "t\n" + line, "t\n\n" + line[:-1], "t\n\n" + 101 * line, "t\r\n\r\n" + line, "t\t\n\n" + line, "t\n\n-- k AAAAAAAA\n", "t\n\n\u2014 k\n",
                     "t\n\n\u2014 k  AAAAAAAA\n", "t\n\n\u2014 k+ AAAAAAAA\n", "t\n\n\u2014 k AAAAAA==\n", "t\n\n\u2014 k AAAAAAB=\n", "t\n\n\u2014  AAAAAAAA\n",
                     65536 * "t" + "\n\n" + line):
            with self.assertRaises(ev.Malformed, msg=text[:80]):
                ev.parse_note(text.encode())


class Tree(unittest.TestCase):
    def test_roots_of_rfc_6962(self):
        leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]   # of the CT reference tests
        roots = {0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                 3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77", 7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
                 8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"}
        for size, root in roots.items():
            self.assertEqual(ev.Frontier().after(ev.leaf_hash(bytes.fromhex(leaf)) for leaf in leaves[:size]).root().hex(), root)


class Document(unittest.TestCase):
    """docs/ledger-format.md is what this verifier was written from: its tables and its vectors."""

    def setUp(self):
        with open(os.path.join(DOCS, "ledger-format.md"), encoding="utf-8") as file:
            self.text = file.read()

    def test_the_tables_are_the_tables(self):
        sections, current = {}, None
        for line in self.text.split("tables: begin")[1].split("tables: end")[0].split("\n"):
            if line.startswith("### "):
                current = sections.setdefault(line[4:].replace("`", ""), {})
            found = re.match(r"\| `(\w+)` \| ([ro])( log)? \| (.*?) \| ", line)
            if found and current is not None:
                current[found[1]] = (found[2] == "r", self.form(found[4]))
        common, kinds = sections.pop("Members of every entry"), {"": {}}
        for name in list(sections):
            if ": members of every type marked" in name:
                kinds[re.search(r'"(\w+)"', name)[1]] = sections.pop(name)
        types, objects = {}, {}
        for name, members in sections.items():
            if name.startswith("Object "):
                objects[name[7:]] = members
            else:
                name, _, kind = name.partition(" ")
                types[name] = {**common, **kinds[kind.strip("()")], **members}
        self.assertEqual(types, ev.TYPE_SHAPES)
        self.assertEqual({**objects, **ev.BUNDLE_OBJECTS}, ev.OBJECT_SHAPES)

    @staticmethod
    def form(text):
        if text.startswith("object "):
            return "{%s}" % text[7:]
        if text.startswith("`"):
            return "|".join(re.findall(r"`([^`]+)`", text))
        found = re.match(r"list of (\w+) \(array, 1 \.\. (\d+) elements\)", text)
        return "%s*%s" % (found[1], found[2]) if found else text.replace(" ", "-")

    def test_the_tiny_ledger(self):
        for code, arguments in ((10, ()), (0, ("--known-head", os.path.join(TINY, "head.b"))),
                                (11, ("--known-head", os.path.join(TINY, "genesis.note"), "--max-unanchored", "3"))):
            with contextlib.redirect_stdout(io.StringIO()) as out:
                self.assertEqual(ev.main([TINY, *arguments]), code)
            self.assertIn("%d %s" % (code, ev.WORDS[code]), out.getvalue())
        report = ev.Report()
        ledger = ev.Pass(report, {1, 3, 4, 5})
        ev.read_ledger(ev.Directory(TINY), ["00000000000000000000.jsonl"], ledger, report)
        ledger.finish()
        self.assertEqual((sorted(ledger.signed), report.findings), ([1, 3, 4, 5], []))
        for size, (root, _) in ledger.signed.items():
            self.assertIn("size %d  root %s\n" % (size, ev.base64.b64encode(root).decode()), self.text)
        self.assertIn("%s+%s+" % (ledger.origin, ev.key_id(ledger.origin, ledger.identity).hex()), self.text)

    def test_as_a_program(self):
        def run(*arguments):
            return subprocess.run([sys.executable, "-B", os.path.join(HERE, "evident_verify.py"), *arguments], capture_output=True, text=True)
        self.assertEqual(run(TINY).returncode, 10)
        for arguments in ((), (TINY, TINY), (TINY, "--known-head"), (TINY, "--known-head", "/nowhere"), (TINY, "--x"), (TINY, "--max-unanchored", "x")):
            self.assertEqual(run(*arguments).returncode, 64)
        self.assertEqual(run(os.path.join(TINY, "nowhere")).returncode, 40)


if __name__ == "__main__":
    unittest.main()
