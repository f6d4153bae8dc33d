#!/usr/bin/env python3
"""Checks an Evident audit ledger. The second verifier: written from docs/ledger-format.md and docs/evidence.md alone.

    python3 evident_verify.py PATH [--known-head FILE]... [--policy FILE] [--max-unanchored N]

PATH is a data directory, a ledger directory, a bundle directory or a bundle's .tar file. Python 3.9 or newer and its
standard library are all it needs; it opens no connection and never writes. The exit code is that of section 9.

"section N" means docs/ledger-format.md, "evidence N" means docs/evidence.md.
Read it from top to bottom: bytes (base64, Ed25519, Merkle tree, LJ-1), the table of entries, notes, the ledger itself
(one pass over its lines), what stands around it (published notes, heads, policy, bundle), verdict.
"""
import base64
import binascii
import bisect
import datetime
import errno
import functools
import hashlib
import io
import os
import re
import stat
import sys

WORDS = {0: "VERIFIED", 10: "CONSISTENT-UNANCHORED", 11: "ANCHOR-STALE", 12: "SOUND-WITH-NOTES", 30: "ROLLED-BACK", 31: "FORKED",
         32: "ALTERED", 33: "KEY-VIOLATION", 34: "MALFORMED", 40: "INCOMPLETE", 64: "USAGE"}
SEVERITY = (31, 33, 32, 30, 34, 40, 10, 11, 12, 0)          # the most serious wins (section 9)
MAX_LINE, MAX_NOTE, MAX_GROUP = 16384, 65536, 4096
NO_HASH = bytes(32)


class Malformed(Exception):
    """The bytes are not in the one form that the format allows. The text says why."""


class Usage(Exception):
    """What the auditor supplied cannot be used: exit 64."""


# ---- base64, hashes, tree (sections 3 and 4) --------------------------------------------------------------------------

def sha256(data):
    return hashlib.sha256(data).digest()


def unbase64(text):
    """Strict RFC 4648 section 4: padding, zero trailing bits, nothing else. Decoding may be lenient, encoding is not."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise Malformed("not base64") from None
    if base64.b64encode(data).decode() != text:
        raise Malformed("base64 is not in its canonical form")
    return data


def leaf_hash(line):
    return sha256(b"\0" + line)


def node(left, right):
    return sha256(b"\1" + left + right)


class Frontier:
    """Append state of an RFC 6962 tree: the roots of its complete subtrees, largest first, one per set bit of the size."""

    def __init__(self, size=0, roots=()):
        self.size, self.roots = size, list(roots)

    def append(self, subtree, level=0):
        """A leaf, or the root of a complete subtree of 2^level leaves, of which the size is a multiple."""
        size = self.size >> level
        while size & 1:
            subtree = node(self.roots.pop(), subtree)
            size >>= 1
        self.roots.append(subtree)
        self.size += 1 << level

    def after(self, leaves):
        grown = Frontier(self.size, self.roots)
        for leaf in leaves:
            grown.append(leaf)
        return grown

    def root(self):
        return functools.reduce(lambda right, left: node(left, right), reversed(self.roots)) if self.roots else sha256(b"")


# ---- Ed25519 (RFC 8032), verification only -----------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
ZERO = (0, 1, 1, 0)                                          # extended coordinates X, Y, Z, T with x = X/Z, y = Y/Z, XY = ZT


def cached(p):
    x, y, z, t = p
    return (y - x) % P, (y + x) % P, t * 2 * D % P, 2 * z % P


def add(p, q):
    """p in extended, q in cached form (RFC 8032 5.1.4; complete, so that it doubles as well)."""
    x, y, z, t = p
    minus, plus, t2d, z2 = q
    a, b, c, d = (y - x) * minus % P, (y + x) * plus % P, t * t2d % P, z * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times8(p):
    for _ in range(3):
        p = add(p, cached(p))
    return p


def decode_point(data):
    """None when data is no canonical encoding of a point."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * v**3 * pow(u * v**7, (P - 5) // 8, P) % P
    if v * x * x % P == P - u and u:
        x = x * SQRT_M1 % P
    if v * x * x % P != u or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def encode_point(p):
    z = pow(p[2], -1, P)
    return (p[1] * z % P | (p[0] * z % P & 1) << 255).to_bytes(32, "little")


def window_table(p):
    """table[i][j] = j * 16^i * p: a product with any scalar is then at most 64 additions and no doubling."""
    table = []
    for _ in range(64):
        row, multiple = [None], p
        step = cached(p)
        for _ in range(15):
            row.append(cached(multiple))
            multiple = add(multiple, step)
        table.append(row)
        p = multiple                                         # 16 p
    return table


@functools.lru_cache(maxsize=64)
def key_table(key):
    """Table of -A; None for a key that is no canonical point or lies in the small subgroup."""
    a = decode_point(key) if len(key) == 32 else None
    if a is None or times8(a)[0] == 0:
        return None
    return window_table((-a[0] % P, a[1], 1, -a[3] % P))


@functools.lru_cache(maxsize=1)
def base_table():
    return window_table(decode_point((4 * pow(5, -1, P) % P).to_bytes(32, "little")))


@functools.lru_cache(maxsize=4096)
def ed25519_verify(key, message, signature):
    """[S]B - [k]A is encoded and must equal R byte by byte; S < L; neither A nor R is of small order."""
    table = key_table(key)
    s = int.from_bytes(signature[32:], "little")
    if table is None or len(signature) != 64 or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    r = ZERO
    for scalar, rows in ((s, base_table()), (k, table)):
        for i in range(64):
            digit = scalar >> 4 * i & 15
            if digit:
                r = add(r, rows[i][digit])
    return encode_point(r) == signature[:32] and times8(r)[0] != 0


# ---- LJ-1 (section 2) --------------------------------------------------------------------------------------------------

STRING = re.compile(r'"((?:[^\x00-\x1f"\\]|\\["\\btnfr]|\\u00(?:0[1-7bef]|1[0-9a-f]))*)"')
ESCAPE = re.compile(r'\\(u....|.)')
KEY = re.compile(r'"([a-z0-9_]{1,64})":')
INTEGER = re.compile(r'0|-?[1-9][0-9]{0,15}')
UNESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}
BIGGEST = 2**53 - 1


def unescape(text):
    return ESCAPE.sub(lambda m: UNESCAPED.get(m[1]) or chr(int(m[1][1:], 16)), text) if "\\" in text else text


def parse_lj1(data):
    """The object that the bytes are the one encoding of."""
    try:
        text = data.decode("utf-8")                          # Python's decoder refuses surrogates and overlong forms
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None
    if text[:1] != "{":
        raise Malformed("not a JSON object")
    value, end = parse_value(text, 0, 1)
    if end != len(text):
        raise Malformed("bytes after the object")
    return value


def parse_value(text, at, depth):
    head = text[at:at + 1]
    if head == '"':
        found = STRING.match(text, at)
        if not found:
            raise Malformed("string at character %d is not in LJ-1 form" % at)
        return unescape(found[1]), found.end()
    if head in ("{", "["):
        if depth > 6:
            raise Malformed("nested more than 6 deep")
        return (parse_object if head == "{" else parse_array)(text, at + 1, depth)
    for word, value in (("true", True), ("false", False)):
        if text.startswith(word, at):
            return value, at + len(word)
    found = INTEGER.match(text, at)
    if not found or abs(int(found[0])) > BIGGEST:
        raise Malformed("no LJ-1 value at character %d" % at)
    return int(found[0]), found.end()


def parse_object(text, at, depth):
    result, last = {}, ""
    if text[at:at + 1] == "}":
        return result, at + 1
    while True:
        found = KEY.match(text, at)
        if not found or found[1] <= last:
            raise Malformed("key at character %d is not an LJ-1 key in ascending order" % at)
        last = found[1]
        result[last], at = parse_value(text, found.end(), depth + 1)
        if text[at:at + 1] != ",":
            break
        at += 1
    if text[at:at + 1] != "}":
        raise Malformed("object not closed at character %d" % at)
    return result, at + 1


def parse_array(text, at, depth):
    result = []
    if text[at:at + 1] == "]":
        return result, at + 1
    while True:
        value, at = parse_value(text, at, depth + 1)
        result.append(value)
        if text[at:at + 1] != ",":
            break
        at += 1
    if text[at:at + 1] != "]":
        raise Malformed("array not closed at character %d" % at)
    return result, at + 1


# ---- forms and members (section 10) ------------------------------------------------------------------------------------

ENTRY = """type!:name v!:one id!:name recorded!:time workspace:name log!:origin seq!:count batch!:count epoch!:ordinal boot!:hex8
    mono!:count integrity!:{integrity} scope:hex32 scope_seq:count"""
RUN = """timestamp:time environment:name tenant_id:name workflow_id:name run_id:name session_id:name trace_id:hex32 span_id:hex16
    src:name src_seq:count actor:{actor} subject:name release:name"""
ACT = """actor!:{actor} tenant_id:name environment:name reason_code:code ticket:name channel:cli|http|socket|system
    payload:{payload}"""
TYPES = """
tool.intent run = action!:{action} approval:{approval} policy:{policy} payload:{payload}
tool.call run = action!:{action} approval:{approval} policy:{policy} payload:{payload} result:{result} refers:{refers}
tool.result run = action!:{action} refers!:{refers} result!:{result} payload:{payload}
approval.request run = approval!:{approval} action:{action} payload:{payload} policy:{policy}
approval.decision run = approval!:{approval} action:{action} payload:{payload} policy:{policy} refers:{refers}
approval.execution run = approval!:{approval} action!:{action} result:{result} payload:{payload} refers:{refers}
policy.decision run = policy!:{policy} action:{action} payload:{payload}
span.revised run = revision!:{revision} action:{action} refers:{refers} payload:{payload} result:{result}
vault.read act = vault!:{vault_read} run_id:name trace_id:hex32 span_id:hex16
vault.denied act = vault!:{vault_denied} window:{window}
vault.disclose act = vault!:{vault_disclose}
vault.shred.intent act = shred!:{shred_intent}
vault.shred.done act = refers!:{refers} shred!:{shred_done}
vault.hold act = hold!:{hold}
vault.promote own = promote!:{promote} run_id:name tenant_id:name
identity.reveal act = reveal!:{reveal}
capture.policy act = capture!:{capture} document!:{document}
debug.session.requested debug.session.opened act = session!:{debug_session}
debug.session.approved debug.session.rejected act = session!:{debug_session} refers:{refers}
debug.session.closed act = session!:{debug_session} cause!:expired|closed|restart payloads:count
redaction.rules tools.registry retention.policy access.policy cost.table act = document!:{document}
ledger.genesis own = genesis!:{genesis}
ledger.epoch own = rotation!:{rotation}
ledger.heartbeat own = heartbeat!:{heartbeat}
ledger.clock own = clock!:{clock}
ledger.recovery own = recovery!:{recovery}
ledger.incarnation act = incarnation!:{incarnation}
ledger.anchor act = anchor!:{anchor}
ledger.config act = document!:{document} fail_closed:all|irreversible|none forced:code*16
ledger.traces own = traces!:{traces}
retention.drop own = drop!:{drop}
retention.compact own = compact!:{compact}
backup.made backup.restored act = backup!:{copy}
export.made act = export!:{export}
import.made act = import!:{import}
access.login access.logout act = access:{access}
access.failed access.denied act = access!:{access} window:{window}
access.role access.token access.user act = access!:{access}
access.breakglass act = access!:{access} refers:{refers}
keys.rotated keys.custody act = key!:{key}
keys.sealed keys.unsealed act = key:{key}
eval.result run = eval!:{eval} payload:{payload}
eval.label run = label!:{label} payload:{payload}
eval.feedback run = feedback!:{feedback} payload:{payload}
alert.raised own = alert!:{alert}
alert.closed own = alert!:{alert} actor:{actor} refers:{refers}
"""
OBJECTS = """
access = user_id:name role:name token_id:name session_id:name
    change:created|changed|revoked|granted|removed|locked|unlocked|expired method:code permission:code cause:code remote:hex32
    until:time second:name
action = type!:name side_effect_level!:none|read|unknown|write|irreversible level_source:registry|sender|default
    claimed_level:none|read|unknown|write|irreversible tool_name:name target:name tool_call_id:name idempotency_key:name
    schema_version:name attempt:ordinal
actor = kind!:agent|service|user|staff|uid|system|unknown id:name role:name identity_source:claimed|token|session|uid
alert = rule!:name alert_id!:name severity:info|warning|critical value_micros:signed limit_micros:signed tenant_id:name
    workflow_id:name tool_name:name run_id:name from:time to:time
anchor = kind!:cosignature|rfc3161|paper|mirror head!:{head} witness:name key_id:hex8 time:time file:name sha256:hash
approval = state!:not_required|requested|approved|rejected|edited|expired|unknown required:flag approval_id:name
    approver_id:name approver_role:name identity_source:claimed|token|session|uid args_match:flag requested:time decided:time
    latency_ms:count risk_level:name reason_code:code
capture = mode!:structure|redacted|full|opt_out workflow_id:name until:time
clock = before!:time after!:time mono_delta_ms!:count confirmed:flag
compact = from!:name to!:name policy_hash!:hash kept_runs!:count dropped_runs!:count kept_spans!:count dropped_spans!:count
    digests_root:hash
copy = backup_id!:name head!:{head} manifest_sha256:hash incremental:flag keystore:count
debug_session = session_id!:name duration_ms:ordinal workflow_id:name until:time payloads:count
document = version!:name hash!:hash previous_hash:hash items:count changed:name*64
drop = layer!:traces|vault|outcomes|logs policy_hash!:hash partition:name class:code runs!:count spans!:count payloads:count
    bytes:size digests_root:hash
eval = name!:name suite:name label:name passed:flag score_micros:signed version:name
export = export_id!:name from!:count to!:count head!:{head} manifest_sha256:hash payloads:count runs:count
feedback = kind!:code value_micros:signed label:name
genesis = identity_key!:public-key epoch_key!:public-key custody!:file|passphrase|systemd-creds|tpm2|pkcs11
    epoch_entries!:ordinal epoch_ms!:ordinal version:name
head = size!:count root!:hash
heartbeat = state!:started|running|stopping interval_ms!:ordinal version:name scrubbed_to:count scrub_errors:count
    orphan_payloads:count spans:count refused:count
hold = state!:placed|released by!:ref|run|subject|tenant|expiry|session value!:name hold_id:name
import = format!:code files!:ordinal sha256!:hash accepted!:count rejected!:count duplicates!:count
incarnation = found!:{head} lost!:{head} number!:ordinal
integrity = prev_hash!:hash
key = name!:code custody:file|passphrase|systemd-creds|tpm2|pkcs11 generation:count level:L0|L1|L2|L3 fingerprint:hash
label = name!:name value!:name removed:flag
payload = args:{sealed} result:{sealed} approval_args:{sealed} edited_args:{sealed} reason:{sealed} input:{sealed}
    output:{sealed} comment:{sealed} evidence:{sealed}
policy = decision!:name name:name version:name rule:name kind:policy|guardrail|authorization|budget reason_code:code
promote = from!:code to!:code count!:ordinal refs_root!:hash expires!:day
recovery = prior_head!:{head} quarantined_bytes!:count quarantine_file:name quarantined_sha256:hash
refers = request:name decision:name intent:name call:name entry:name
result = status!:success|failure|partial|timeout|rejected|interrupted|unknown error_class:name latency_ms:count
reveal = staff_id!:name
revision = number!:ordinal commitment:commitment
rotation = epoch_key!:public-key custody!:file|passphrase|systemd-creds|tpm2|pkcs11
    reason!:age|entries|unclean_start|operator|key_lost
sealed = ref!:vault-ref commitment!:commitment bytes!:size
shred_done = count!:count refs_root!:hash keystore_after!:count level!:L0|L1|L2|L3
shred_intent = by!:ref|run|subject|tenant|expiry|session value:name count!:count refs_root!:hash keystore_before!:count
traces = root!:hash spans!:count partition!:name first!:count from:time to:time
vault_denied = cause!:code ref:vault-ref
vault_disclose = ref!:vault-ref recipient:name export_id:name
vault_read = ref!:vault-ref role:name first_byte:count bytes:size
window = from!:time to!:time count!:ordinal
"""

STRINGS = {form: re.compile(pattern) for form, pattern in {
    "name": r"[A-Za-z0-9._:/@#+-]{1,128}", "code": r"[a-z0-9._-]{1,64}", "hash": r"sha256:[0-9a-f]{64}",
    "commitment": r"hmac-sha256:[0-9a-f]{64}", "public-key": r"ed25519:[0-9a-f]{64}", "origin": r"evident\.local/[0-9a-f]{32}",
    "hex8": r"[0-9a-f]{8}", "hex16": r"[0-9a-f]{16}", "hex32": r"[0-9a-f]{32}",
    "vault-ref": r"vr_[0-7][0-9A-HJKMNP-TV-Z]{25}",
    "time": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z", "day": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
}.items()}
INTEGERS = {"count": (0, BIGGEST), "ordinal": (1, BIGGEST), "signed": (-BIGGEST, BIGGEST), "one": (1, 1), "size": (32, BIGGEST)}


def shape_of(members):
    """{member: (required, form)} in ascending order of member. Forms: a name of section 10, a|b words, {object}, form*limit, form*."""
    shape = {}
    for member, form in sorted(m.split(":", 1) for m in members.split()):
        required = member.endswith("!")
        shape[member.rstrip("!")] = (required, form)
    return dict(sorted(shape.items()))


def shapes(table, common=""):
    """A table line is: names, for types their kind (run, act, own), "=", members."""
    result = {}
    for head, members in re.findall(r"^(\S[^=]*) =((?: \S+|\n +\S+)*)", table, re.M):
        names = head.split()
        if common:
            members = " ".join([common, {"run": RUN, "act": ACT, "own": ""}[names.pop()], members])
        result.update((name, shape_of(members)) for name in names)
    return result


TYPE_SHAPES = shapes(TYPES, ENTRY)
OBJECT_SHAPES = shapes(OBJECTS)


def is_day(text):
    try:
        datetime.date(int(text[:4]), int(text[5:7]), int(text[8:10]))
        return True
    except ValueError:
        return False


def fits_string(form, value):
    if "|" in form:
        return value in form.split("|")
    return form == "text" or form in STRINGS and STRINGS[form].fullmatch(value) is not None and (form not in ("time", "day") or is_day(value))


def fits_integer(form, value):
    low, high = INTEGERS.get(form, (1, 0))
    return low <= value <= high and (form != "size" or value & (value - 1) == 0)


def fits(form, value):
    inner, star, limit = form.partition("*")
    if star:
        return isinstance(value, list) and (not limit or 1 <= len(value) <= int(limit)) and all(fits(inner, v) for v in value)
    if form[0] == "{":
        return isinstance(value, dict) and check_members(value, OBJECT_SHAPES[form[1:-1]]) is None
    if isinstance(value, bool):
        return form == "flag"
    return fits_integer(form, value) if isinstance(value, int) else isinstance(value, str) and fits_string(form, value)


def check_members(value, shape):
    """None, or what is wrong with an object."""
    for member, content in value.items():
        if member not in shape:
            return "unknown member %s" % member
        if not fits(shape[member][1], content):
            return "member %s is not in its form" % member
    for member, (required, _) in shape.items():
        if required and member not in value:
            return "member %s is missing" % member
    return None


def check_entry(value):
    shape = TYPE_SHAPES.get(value.get("type")) if isinstance(value.get("type"), str) else None
    wrong = "unknown type" if shape is None else check_members(value, shape)
    if wrong is None and ("scope" in value) != ("scope_seq" in value):
        wrong = "scope_seq does not stand beside scope"
    if wrong:
        raise Malformed(wrong)


# ---- strict prefixes of an entry (section 7) ---------------------------------------------------------------------------

class Cut(Exception):
    """The text ended while everything so far was right: it is a prefix."""


def expect(text, at, literal):
    part = text[at:at + len(literal)]
    if part == literal:
        return at + len(literal)
    raise Cut if literal.startswith(part) and at + len(part) == len(text) else Malformed()


def walk_object(text, at, shape, fixed):
    at, names, k = expect(text, at, "{"), list(shape), -1
    while True:
        later = []                                           # members that may come next
        for name in names[k + 1:]:
            later.append(name)
            if shape[name][0]:
                break
        closable = not any(shape[name][0] for name in later)
        if at == len(text):
            raise Cut
        if text[at] == "}" and closable:
            return at + 1
        if k >= 0:
            at = expect(text, at, ",")
        at = expect(text, at, '"')
        end = text.find('"', at)
        if end < 0:
            raise Cut if any(name.startswith(text[at:]) for name in later) else Malformed()
        if text[at:end] not in later:
            raise Malformed()
        name = text[at:end]
        k = names.index(name)
        at = expect(text, end + 1, ":")
        at = expect(text, at, fixed[name]) if name in fixed else walk_value(text, at, shape[name][1])


def walk_value(text, at, form):
    if form[0] == "{":
        return walk_object(text, at, OBJECT_SHAPES[form[1:-1]], {})
    if "*" in form:
        inner, limit = form.split("*")
        at = expect(text, at, "[")
        for count in range(int(limit)):
            at = walk_value(text, at, inner)
            if at == len(text):
                raise Cut
            if text[at] == "]":
                return at + 1
            at = expect(text, at, ",")
        raise Malformed()
    if form == "flag":
        return expect(text, at, "true" if text[at:at + 1] == "t" or at == len(text) else "false")
    if form in INTEGERS:
        found = re.compile(r"-?[0-9]*").match(text, at)
        digits, at = found[0], found.end()
        if at == len(text):
            raise Cut if begins_integer(form, digits) else Malformed()
        if not INTEGER.fullmatch(digits) or not fits_integer(form, int(digits)):
            raise Malformed()
        return at
    at = expect(text, at, '"')
    end = text.find('"', at)
    if end < 0:
        raise Cut if begins_string(form, text[at:]) else Malformed()
    if not fits_string(form, text[at:end]):
        raise Malformed()
    return end + 1


def begins_integer(form, digits):
    if form == "size":
        return any(str(2**n).startswith(digits) for n in range(5, 53))
    if form == "one":
        return digits in ("", "1")
    if digits == "-" or digits == "":
        return digits == "" or form == "signed"
    return INTEGER.fullmatch(digits) is not None and abs(int(digits)) <= BIGGEST and fits_integer(form, int(digits))


FILLERS = {"hash": ["sha256:" + 64 * "0"], "commitment": ["hmac-sha256:" + 64 * "0"], "public-key": ["ed25519:" + 64 * "0"],
           "origin": ["evident.local/" + 32 * "0"], "hex8": [8 * "0"], "hex16": [16 * "0"], "hex32": [32 * "0"],
           "vault-ref": ["vr_" + 26 * "0"], "time": ["1111-11-11T11:11:11.111Z", "1111-10-10T11:11:11.111Z"],
           "day": ["1111-11-11", "1111-10-10"], "name": [128 * "a"], "code": [64 * "a"]}


def begins_string(form, text):
    """Something can be added to the text that makes it fit."""
    if "|" in form:
        return any(word.startswith(text) for word in form.split("|"))
    return any(fits_string(form, text + filler[len(text):]) for filler in FILLERS[form])


def is_entry_prefix(data, types):
    """types: {type: members whose values are known}. Only the line feed, or more, is missing."""
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        return False
    for name, known in types.items():
        fixed = {"type": '"%s"' % name}
        fixed.update((member, to_lj1(value)) for member, value in known.items())
        plain = {m: s for m, s in TYPE_SHAPES[name].items() if m not in ("scope", "scope_seq")}
        scoped = dict(sorted({**plain, "scope": (True, "hex32"), "scope_seq": (True, "count")}.items()))
        for shape in (plain, scoped):
            try:
                if walk_object(text, 0, shape, fixed) == len(text):
                    return True
            except Cut:
                return True
            except Malformed:
                pass
    return False


def to_lj1(value):
    """Of what stands in known members: integers, plain strings, objects of one of those."""
    if isinstance(value, dict):
        return "{%s}" % ",".join('"%s":%s' % (member, to_lj1(content)) for member, content in value.items())
    return '"%s"' % value if isinstance(value, str) else str(value)


BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
BESIDE_HOLE = re.compile(b"[\0 -~\xe2\x80\x94]*")


def is_note_prefix(data, origin, tree, signers):
    """Whether the bytes begin the checkpoint line of this tree, of which all but the signatures is known. [bytes allowed] per byte."""
    allowed = [bytes([c]) for c in ('{"checkpoint":"%s\\n%d\\n%s\\n\\n' % (origin, tree.size, base64.b64encode(tree.root()).decode())).encode()]
    for name, key in signers:
        if key is None:
            return False
        identifier = base64.b64encode(key_id(name, key) + bytes(64))
        sixth = BASE64.index(identifier[5:6])                # its two high bits belong to the key id; 32 bits are 5 1/3 characters
        allowed += [bytes([c]) for c in ("\u2014 %s " % name).encode() + identifier[:5]]
        allowed += [BASE64[sixth:sixth + 16]] + [BASE64] * 84 + [BASE64[::4], b"=", b"\\", b"n"]
    allowed += [bytes([c]) for c in b'"}']
    return len(data) <= len(allowed) and all(byte in choice for byte, choice in zip(data, allowed))


# ---- notes and keys (section 5) ----------------------------------------------------------------------------------------

SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/=]+)")
DECIMAL = re.compile(r"[1-9][0-9]{0,15}")


class Note:
    """A signed note: text (the signed bytes), signatures [(key name, key id, signature)]; and the checkpoint in it, size 0 when it is none."""

    def __init__(self, text, signatures):
        self.text, self.signatures = text, signatures
        self.origin, self.size, self.root = "", 0, b""
        lines = text.decode("utf-8").split("\n")
        try:
            if len(lines) == 4 and lines[0] and DECIMAL.fullmatch(lines[1]) and len(unbase64(lines[2])) == 32:
                self.origin, self.size, self.root = lines[0], int(lines[1]), unbase64(lines[2])
        except Malformed:
            pass                                             # signed or not, it is no checkpoint


def parse_note(data):
    """Text, a blank line, up to 100 signature lines. What the text says is not looked at before its signatures."""
    if len(data) > MAX_NOTE:
        raise Malformed("note longer than 64 KiB")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("note is not UTF-8") from None
    blank = data.rfind(b"\n\n")
    lines = data[blank + 2:].decode("utf-8").split("\n")
    if blank < 0 or lines.pop() != "" or len(lines) > 100 or re.search(rb"[\0-\t\v-\x1f]", data):
        raise Malformed("note is not a text, an empty line and at most 100 signature lines")
    signatures = []
    for line in lines:
        found = SIGNATURE_LINE.fullmatch(line)
        blob = unbase64(found[2]) if found else b""
        if len(blob) < 5:
            raise Malformed("signature line is not in its form")
        signatures.append((found[1], blob[:4], blob[4:]))
    return Note(data[:blank + 1], signatures)


def key_id(name, key, kind=1):
    return sha256(name.encode() + b"\n" + bytes([kind]) + key)[:4]


def signature_by(note, name, key):
    """True when the note has a valid signature of this key, False when it has none, Malformed never: a bad one raises BadSignature."""
    found = False
    for signer, identifier, signature in note.signatures:
        if signer == name and identifier == key_id(name, key):
            if not ed25519_verify(key, note.text, signature):
                raise BadSignature("the signature of %s is invalid" % name)
            found = True
    return found


class BadSignature(Exception):
    """A note carries an invalid signature of a known key, which rejects the note."""


def origin_of(identity_key):
    return "evident.local/" + sha256(identity_key).hex()[:32]


def public_key(text):
    return bytes.fromhex(text[len("ed25519:"):])


def unhash(text):
    return bytes.fromhex(text[len("sha256:"):])


# ---- files (section 1) -------------------------------------------------------------------------------------------------

class NotPlain(OSError):
    """A link or special file stands where a plain one is needed."""


class Directory:
    """Reads below a directory; links and special files are told apart and never followed."""

    def __init__(self, path):
        self.path = path

    def list(self, folder=""):
        """{name: "file", "folder", "link" or "other"} of one folder; {} when it is not there."""
        try:
            with os.scandir(os.path.join(self.path, folder)) as found:
                return {e.name: "link" if e.is_symlink() else "file" if e.is_file() else "folder" if e.is_dir() else "other" for e in found}
        except FileNotFoundError:
            return {}

    def open(self, name):
        try:
            handle = os.open(os.path.join(self.path, name), os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise NotPlain(error.errno, "a link") from None
            raise
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            os.close(handle)
            raise IsADirectoryError(errno.EISDIR, "a directory") if stat.S_ISDIR(mode) else NotPlain(0, "not a regular file")
        return os.fdopen(handle, "rb", 1 << 16)

    def read(self, name, limit):
        with self.open(name) as file:
            return file.read(limit + 1)


class EndsEarly(Exception):
    """An archive is cut short."""


class Archive:
    """Reads inside a POSIX ustar archive of plain files and directories; bytes that are not of that form are Malformed (evidence 5)."""

    def __init__(self, path):
        self.path, self.files, self.folders = path, {}, {"": {}}     # files: name -> (offset, size); folders: name -> {item: kind}
        with open(path, "rb") as file:
            end, offset = os.path.getsize(path), 0
            while True:
                file.seek(offset)
                header = file.read(512)
                if len(header) < 512:
                    raise EndsEarly("the archive ends before its end marker")
                if not any(header):
                    break
                name, size, folder = self.parse_header(header)
                offset += 512
                padded = (size + 511) // 512 * 512
                if size > end - offset:
                    raise EndsEarly("the archive ends inside %s" % name)
                if not (self.add_folder(name) if folder else self.add(name, offset, size)):
                    raise Malformed("%s is there twice" % name)
                if padded > end - offset:
                    raise EndsEarly("the archive ends inside the padding of %s" % name)
                file.seek(offset + size)
                if any(file.read(padded - size)):
                    raise Malformed("the padding of %s holds something" % name)
                offset += padded
            if end - offset < 1024:
                raise EndsEarly("the archive ends inside its end marker")
            file.seek(offset)
            if any(any(block) for block in iter(lambda: file.read(1 << 20), b"")):
                raise Malformed("something stands behind the end marker")

    def add(self, name, offset, size):
        folder, _, item = name.rpartition("/")
        if name in self.files or name in self.folders or not self.add_folder(folder):
            return False
        self.files[name], self.folders[folder][item] = (offset, size), "file"
        return True

    def add_folder(self, name):
        if name in self.folders:
            return True
        parent, _, item = name.rpartition("/")
        if name in self.files or not self.add_folder(parent):
            return False
        self.folders[name], self.folders[parent][item] = {}, "folder"
        return True

    @staticmethod
    def parse_number(field):
        if field[0] == 0x80 and len(field) > 8:              # base 256
            value = int.from_bytes(field[-8:], "big", signed=True)
            if value < 0 or any(field[1:-8]):
                raise Malformed("not a number")
            return value
        found = re.fullmatch(rb"([0-7]+)[\0 ]*", field)
        if not found:
            raise Malformed("not a number")
        return int(found[1], 8)

    def parse_header(self, header):
        """(name, size, whether it is a directory)"""
        if self.parse_number(header[148:156]) != sum(header[:148]) + 8 * 32 + sum(header[156:]):
            raise Malformed("the checksum of a header is wrong")
        posix = header[257:265] == b"ustar\00000"
        if not posix and header[257:265] != b"ustar  \0" or header[156:157] not in (b"0", b"\0", b"5"):
            raise Malformed("not a ustar header of a plain file or directory")
        size, folder = self.parse_number(header[124:136]), header[156:157] == b"5"
        try:
            prefix = header[345:500].partition(b"\0")[0].decode("utf-8") if posix else ""
            name = header[:100].partition(b"\0")[0].decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed("the name of a member is not UTF-8") from None
        path = prefix + "/" + name if prefix else name
        path = path[2:] if path.startswith("./") else path
        if folder:
            path = "" if path == "." else path.rstrip("/")
        if size and folder or (path or not folder) and (re.search(r"[\0-\x1f\x7f-\x9f\\]", path) or any(part in ("", ".", "..") for part in path.split("/"))):
            raise Malformed("the name of a member leads out of the archive, or a directory has content")
        return path, size, folder

    def list(self, folder=""):
        return self.folders.get(folder, {})

    def open(self, name):
        if name not in self.files:
            raise FileNotFoundError(2, "not in the archive", name)
        return io.BufferedReader(Slice(self.path, *self.files[name]), 1 << 16)

    def read(self, name, limit):
        with self.open(name) as file:
            return file.read(limit + 1)


class Slice(io.RawIOBase):
    """A part of a file as a file."""

    def __init__(self, path, start, size):
        self.file, self.start, self.size, self.at = open(path, "rb"), start, size, 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=0):
        self.at = offset + (0, self.at, self.size)[whence]
        return self.at

    def readinto(self, buffer):
        self.file.seek(self.start + self.at)
        data = self.file.read(max(0, min(len(buffer), self.size - self.at)))
        buffer[:len(data)] = data
        self.at += len(data)
        return len(data)

    def close(self):
        self.file.close()
        super().close()


# ---- findings ----------------------------------------------------------------------------------------------------------

class Report:
    """Findings (exit code, place, sentence), and notes that only count at or after the newest confirmed head."""

    def __init__(self):
        self.findings, self.notes = [], []

    def find(self, code, place, sentence):
        self.findings.append((code, place, sentence))

    def note(self, position, place, sentence):
        """position: the entry that the note is about; None for what has no place in the order of entries."""
        self.notes.append((position, place, sentence))


# ---- the ledger: one pass over its lines (sections 3 to 7) ---------------------------------------------------------------

class Group:
    """Lines up to and with a checkpoint line. leaves: [own hash or None, hash claimed by the next entry or None, place, entry]."""

    def __init__(self, start):
        self.start, self.leaves, self.damaged, self.note, self.place = start, [], False, None, None

    def first(self, kind):
        return next((leaf[3] for leaf in self.leaves if leaf[3] and leaf[3]["type"] == kind), None)


class Pass:
    """
    Reads every line once (section 9, "After damage"). A group is judged when the entry after it is known, because the prev_hash of
    that entry says which hash the group's last line had.
    """

    def __init__(self, report, wanted):
        self.report = report
        self.wanted = wanted                                 # sizes of published notes and supplied heads
        self.signed = {}                                     # of those, where validly signed: size -> (root, (key name, key) that signed)
        self.size, self.last = 0, NO_HASH                    # entries so far; hash of the last, None when it is lost
        self.batch, self.epoch, self.groups = 0, 1, 0
        self.origin = self.identity = self.limits = None
        self.keys = {}                                       # epoch -> key; None when what brings it is damaged, which is said there
        self.tree, self.before = Frontier(), None            # tree of the settled groups (None: lost); before: size and root before the last
        self.group, self.closed = Group(0), None             # open group; group that waits for the entry after it
        self.unread, self.unread_epoch = 0, False            # malformed lines since the last good line; any since the last good entry
        self.unreadable = False                              # a segment could not be read: the length is not known
        self.incomplete = False                              # the last line has no line feed
        self.segment_missing = False
        self.fresh = False                                   # the line is the first of its segment
        self.batch_slack = 0                                 # malformed lines before the newest checkpoint line: one may have been another
        self.unplaced = False                                # a withheld line followed a malformed one
        self.part = None                                     # of a part of a ledger: what range.json says (evidence 6)
        self.withheld_entries = 0
        self.losses, self.scopes = 0, {}                     # scope -> (next scope_seq, losses when it was seen)
        self.epoch_start, self.epoch_boot = 0, (None, 0)
        self.anchor = None                                   # largest size that something from outside confirms
        self.newest = None                                   # newest validly signed note
        self.story = Story(report)

    def epoch_name(self, epoch):
        return "%s/epoch/%d" % (self.origin, epoch)

    def feed(self, place, line):
        try:
            value = parse_lj1(line)
            if "checkpoint" in value:
                if len(value) != 1 or not isinstance(value["checkpoint"], str):
                    raise Malformed("a checkpoint line holds one note and nothing else")
                self.checkpoint(place, parse_note(value["checkpoint"].encode()))
            elif self.part and "withheld" in value:
                if len(value) != 1 or not fits("hash", value["withheld"]):
                    raise Malformed("a withheld line holds one hash and nothing else")
                self.withheld(place, unhash(value["withheld"]))
            else:
                check_entry(value)
                self.entry(place, value, leaf_hash(line))
        except Malformed as wrong:
            self.malformed(place, str(wrong))

    def malformed(self, place, why):
        """It stands for up to two lines; the next good line says how many entries and whether a checkpoint line was among them."""
        self.report.find(34, place, why)
        self.group.damaged = self.unread_epoch = True
        self.unread += 1
        self.lose()

    def lose(self):
        """Lines are missing here: no rule of section 8 is judged across them."""
        self.losses += 1
        self.story.forget()

    def skip(self, number):
        """A segment could not be read, which is said: goes on with the number of the next one."""
        if self.group.leaves:
            self.close(None, "before entry %d" % number)
        self.settle(None)
        self.size, self.last, self.batch, self.tree, self.group = number, None, None, None, Group(number)
        self.unread, self.unread_epoch = 0, True
        self.lose()

    def entry(self, place, e, leaf):
        """A good entry: finds its place, settles the group before, joins the open one."""
        seq, prev = e["seq"], bytes.fromhex(e["integrity"]["prev_hash"][7:])
        chained, lost = prev == self.last, 0
        if chained and self.unplaced and 0 < seq - self.size <= 2 * self.unread:
            self.size = seq
        if chained or seq == self.size:
            if seq != self.size:
                self.report.find(32, place, "seq is %d at the place of %d" % (seq, self.size))
        elif seq > self.size:
            lost = seq - self.size
            self.segment_missing = self.segment_missing or self.fresh
            self.lose()
            if lost > 2 * self.unread:
                self.report.find(32, place, "entries %d to %d are missing" % (self.size, seq - 1))
        else:
            self.report.find(32, place, "entry %d is repeated or was moved" % seq)
            return
        if self.batch is None:
            self.batch = e["batch"]
        if e["batch"] != self.batch:
            if e["batch"] < self.batch or not (self.unread or lost or e["batch"] - self.batch <= self.batch_slack):
                self.report.find(32, place, "batch is %d in group %d" % (e["batch"], self.batch))
            if e["batch"] > self.batch and (self.group.leaves or self.group.damaged):
                self.close(None, place)                      # its checkpoint line is lost
            self.batch = e["batch"]
        if not chained and not lost and self.last and not self.closed and not self.group.leaves:
            self.report.find(32, place, "prev_hash is not this_hash of the entry before")
        self.settle(prev if not lost else None)
        self.group.leaves += [[None, None, place, None] for _ in range(min(lost, 2))]    # two of them already lose the tree
        if self.group.leaves:
            self.group.leaves[-1][1] = prev
        self.group.leaves.append([leaf, None, place, e])
        self.size += lost + 1
        if self.size == 1 and e["type"] == "ledger.genesis":
            self.identity, self.keys[1] = public_key(e["genesis"]["identity_key"]), public_key(e["genesis"]["epoch_key"])
            self.origin = origin_of(self.identity)
        elif self.origin is None:
            self.origin = e["log"]
        if e["log"] != self.origin:
            self.report.find(32, place, "log is %s in ledger %s" % (e["log"], self.origin))
        signer = e["epoch"] - (e["type"] == "ledger.epoch")
        if (self.unread_epoch or lost) and signer != self.epoch:
            self.epoch, self.epoch_start = signer, self.size - 1    # the rotation is in what is not here
        if self.unread_epoch or lost and self.segment_missing:
            self.keys.setdefault(signer, None)
        self.count_scope(place, e)
        self.last, self.unread, self.batch_slack = leaf, 0, 0
        self.unread_epoch = self.segment_missing = self.unplaced = False
        if len(self.group.leaves) == MAX_GROUP + 1 and not self.group.damaged:
            self.report.find(34, place, "a group of more than %d entries" % MAX_GROUP)
        self.story.tell(self.size - 1, place, e, self.before)

    def withheld(self, place, leaf):
        """An entry of a part that stands there as its hash; chain and tree go through it."""
        if self.closed or self.group.leaves:
            self.settle(None)
        if self.size == 0:
            self.report.find(33, place, "genesis is withheld (K2)")
        if self.unread and not self.unplaced:
            self.group.leaves.append([None, None, place, None])     # nothing here says what the malformed line was
        self.unplaced = self.unread > 0
        self.group.leaves.append([leaf, None, place, None])
        self.size, self.last = self.size + 1, leaf
        self.withheld_entries += 1
        self.story.forget()                                  # the entries beside it are not neighbours

    def count_scope(self, place, e):
        if "scope" in e:
            due, losses = self.scopes.get(e["scope"], (e["scope_seq"] if self.part and self.part["from"] else 0, 0))
            if e["scope_seq"] != due and (losses == self.losses or e["scope_seq"] < due):
                self.report.find(32, place, "scope_seq is %d at the place of %d" % (e["scope_seq"], due))
            self.scopes[e["scope"]] = (e["scope_seq"] + 1, self.losses)

    def checkpoint(self, place, note):
        group = self.group
        if not group.leaves and not group.damaged:
            self.report.find(32, place, "a checkpoint line without entries")
            return
        if 0 < note.size - self.size <= 2 * self.unread:     # entries that malformed lines stood for
            group.leaves += [[None, None, place, None] for _ in range(note.size - self.size)]
            self.size, self.last = note.size, None
        self.close(note, place)
        self.batch_slack, self.unread, self.unplaced = self.unread, 0, False

    def close(self, note, place):
        self.settle(None)
        self.group.note, self.group.place, self.group.end = note, place, self.size
        self.closed, self.group = self.group, Group(self.size)
        self.batch = None if self.batch is None else self.batch + 1
        self.groups += 1

    def end_segment(self, place):
        """A group never spans segments."""
        if self.group.leaves and not self.group.damaged:
            self.report.find(32, place, "entries without a checkpoint line")
        if self.group.leaves and not self.unread:
            self.close(None, place)

    # ---- a group, once the entry after it is known

    def settle(self, claim):
        """Root, signatures and rules K1 to K5 of the closed group; claim: prev_hash of the entry after it, or None."""
        group, self.closed = self.closed, None
        if group is None:
            return
        if claim and group.leaves:
            group.leaves[-1][1] = claim
        note, start = group.note, self.tree
        self.tree, matches, chosen = self.trace(start, group.leaves, note)
        for i, (own, follower, place, e) in enumerate(group.leaves):
            if own and follower and own != follower:
                at = place if chosen[i] == follower else group.leaves[i + 1][2] if i + 1 < len(group.leaves) else "the entry after " + place
                self.report.find(32, at, "chain is broken: " + (
                    "the line is not the one that the next entry and the root name" if chosen[i] == follower else
                    "prev_hash is not this_hash of the entry before"))
        intact = matches and all(leaf == own for leaf, (own, _, _, _) in zip(chosen, group.leaves))
        signers, rotation = self.signers(group, intact)
        if note and note.size not in (group.end, 0):
            self.misplaced(group)
        elif note:
            signed = self.check_signatures(group, intact, signers)
            if signed and not note.size:
                self.report.find(34, group.place, "what was signed is no checkpoint")
                signed = None
            if signed and not matches and start and None not in chosen:
                self.report.find(32, group.place, "the signed root is not the root of the entries")
                self.tree = None
            if signed and matches:
                self.judge_epoch(group, chosen)
            if signed:
                self.newest = note
                self.remember(note, signers[-1])
        elif rotation and not group.damaged:
            self.report.find(33, group.leaves[0][2], "a rotation that no checkpoint line signs (K2)")
        if rotation:
            self.epoch += 1
            self.keys[self.epoch] = signers[-1][1]
        self.before = (group.start, start.root() if start else None)

    def remember(self, note, signer):
        if note.size in self.wanted:
            self.signed.setdefault(note.size, (note.root, signer))

    def misplaced(self, group):
        """A checkpoint line of another size than stands before it: it or entries were moved, removed or added; an invalid one was changed."""
        note = group.note
        for signer, identifier, signature in note.signatures:
            for name, key in [(self.origin, self.identity)] + [(self.epoch_name(n), key) for n, key in self.keys.items()]:
                if signer == name and key and not (identifier == key_id(name, key) and ed25519_verify(key, note.text, signature)):
                    self.report.find(33, group.place, "the signature of %s is invalid" % name)
                    return
                if signer == name and key:
                    self.remember(note, (name, key))
        self.report.find(32, group.place, "the checkpoint is of size %d at size %d" % (note.size, group.end))

    def trace(self, start, leaves, note):
        """(tree after the group, whether its root is the note's, hash of each leaf): own hashes, else those that followers name."""
        own = [leaf[0] or leaf[1] for leaf in leaves]
        claimed = [leaf[1] or leaf[0] for leaf in leaves]
        traced, trusted = [], True                           # from the end: an entry that was changed names nothing
        for mine, claim, _, _ in reversed(leaves):
            traced.append(claim if claim and (trusted or not mine) else mine)
            trusted = traced[-1] == mine
        traced.reverse()
        if start is None:
            return None, False, traced
        for option in (own, traced, claimed):
            if note and None not in option:
                tree = start.after(option)
                if tree.size == note.size and tree.root() == note.root:
                    return tree, True, option
        return None if None in traced else start.after(traced), False, traced

    def signers(self, group, intact):
        """[(key name, key or None)] that sign the group's checkpoint, and the rotation in it."""
        rotation, genesis = group.first("ledger.epoch"), group.first("ledger.genesis")
        noted = group.note.origin if group.note else None
        if group.start == 0 and genesis and not intact and noted == genesis["log"] != self.origin:
            self.origin, self.identity = noted, None         # its identity key was changed, not its origin
        elif self.origin is None:                            # entry 0 is malformed
            self.origin = noted or None
            self.keys.setdefault(1, None)
        return self.rotation_signers(rotation and rotation["rotation"]), rotation

    def rotation_signers(self, rotation):
        signers = [(self.epoch_name(self.epoch), self.keys.get(self.epoch))]
        if rotation:
            signers = [(self.origin, self.identity)] if rotation["reason"] == "key_lost" else signers
            signers.append((self.epoch_name(self.epoch + 1), public_key(rotation["epoch_key"])))
        return signers

    def check_signatures(self, group, intact, signers):
        """True: all valid; False: a violation was found; None: cannot be checked, because what brings the key is damaged."""
        note, found = group.note, [signature[0] for signature in group.note.signatures]
        if group.damaged and len(found) == 2 and len(signers) == 1:
            signers = signers + [(found[1], None)]           # a malformed rotation
        names, verdict = [name for name, _ in signers], True
        if note.size and note.origin != self.origin:
            self.report.find(33, group.place, "the checkpoint is of another origin")
            return False
        if len(found) > len(names) or len(found) == 2 and found[::-1] == names:
            self.report.find(34, group.place, "not the signatures of this format in their order")
            return False
        for i, (name, key) in enumerate(signers):
            if i >= len(found) or found[i] != name:
                self.report.find(33, group.place, self.stranger(found[i] if i < len(found) else "", name))
                return False
            _, identifier, signature = note.signatures[i]
            if key is None:
                if self.epoch not in self.keys and name != self.origin:
                    self.report.find(33, group.place, "no rotation brought the key of %s (K2)" % name)
                    return False
                verdict = None
            elif identifier != key_id(name, key) and (i == 1 or group.start == 0) and not intact:
                self.report.find(32, group.place, "the entry that brings the key of %s was changed" % name)
                self.keys[self.epoch], signers[i], verdict = self.keys[self.epoch] if i else None, (name, None), None
            elif identifier != key_id(name, key) or not ed25519_verify(key, note.text, signature):
                self.report.find(33, group.place, "the signature of %s is invalid" % name)
                return False
        return verdict

    def stranger(self, signer, name):
        found = re.fullmatch(re.escape(self.origin or "") + r"/epoch/([0-9]{1,15})", signer)
        if found and int(found[1]) < self.epoch:
            return "signed by the key of epoch %s, which is closed (K1, K3)" % found[1]
        return "the signature of %s is missing" % name

    def judge_epoch(self, group, chosen):
        """K2, K4 and K5 on the entries that the signed root confirms."""
        for i, (own, _, place, e) in enumerate(group.leaves):
            if own is None or own != chosen[i] or not e:
                continue
            rotation, genesis, position = e["type"] == "ledger.epoch", e["type"] == "ledger.genesis", group.start + i
            if (rotation or genesis) and sum(leaf[0] is not None for leaf in group.leaves) > 1 or genesis != (position == 0):
                self.report.find(33, place, "genesis and rotation stand alone in their groups, genesis at 0 (K2)")
            if e["epoch"] != self.epoch + rotation:
                self.report.find(33, place, "epoch %d in an entry that epoch %d signs (K2, K4)" % (e["epoch"], self.epoch))
            if position == 0:
                self.limits = e.get("genesis")
            if rotation:
                self.epoch_start, self.epoch_boot = position, (None, 0)
            if e["boot"] != self.epoch_boot[0]:
                self.epoch_boot = (e["boot"], e["mono"])
            if self.limits and e["type"] != "ledger.clock" and (
                    position - self.epoch_start >= self.limits["epoch_entries"]
                    or e["mono"] - self.epoch_boot[1] > self.limits["epoch_ms"] + 60000):
                self.report.find(33, place, "the epoch is over its limits and lacks a rotation (K5)")

    def finish(self):
        if self.group.leaves:
            self.close(None, "the end")
        self.settle(None)
        self.size += self.unread - self.incomplete

    # ---- torn tails (section 7)

    def is_torn(self, data, offset):
        """Whether the last bytes of the last segment, which begin at this offset in it, are what a crash can leave there."""
        if b"\0" not in data and data.endswith(b"\n") and data[:-1].rpartition(b"\n")[2].startswith(b'{"checkpoint":"'):
            return False                                     # a whole group
        self.settle(None)
        if self.unread or self.group.leaves or self.group.damaged or self.last is None:
            return False
        return self.is_cut(data) or self.is_holed(data, offset)

    def is_cut(self, data):
        """(a): entries that continue, and a strict prefix of one more line."""
        *lines, rest = data.split(b"\n")
        size, last, leaves, alone = self.size, self.last, [], False
        signers, types = self.rotation_signers(None), self.expected(size, last, False)
        if len(lines) > MAX_GROUP:
            return False
        for line in lines:
            try:
                e = parse_lj1(line)
                check_entry(e)
            except Malformed:
                return False
            known = types.get(e["type"])
            if alone or known is None or any(e[member] != value for member, value in known.items()):
                return False
            alone = e["type"] in ("ledger.genesis", "ledger.epoch")
            if e["type"] == "ledger.epoch":
                signers = self.rotation_signers(e["rotation"])
            leaves.append(leaf_hash(line))
            types = self.expected(size + len(leaves), leaves[-1], True)
        return (not rest or not alone and len(lines) < MAX_GROUP and is_entry_prefix(rest, types)
                or bool(leaves and self.tree) and is_note_prefix(rest, self.origin, self.tree.after(leaves), signers))

    def expected(self, size, last, inside):
        """{type: members that are known} of the entry that comes next; inside: not the first of its group."""
        known = {"seq": size, "batch": self.batch, "epoch": self.epoch, "integrity": {"prev_hash": "sha256:" + last.hex()}}
        if self.origin:
            known["log"] = self.origin
        types = {name: known for name in TYPE_SHAPES if (name == "ledger.genesis") == (size == 0)}
        if "ledger.epoch" in types:
            types["ledger.epoch"] = {**known, "epoch": self.epoch + 1}
        if inside:
            types.pop("ledger.epoch", None)
        return types

    def is_holed(self, data, offset):
        """(b): one group whose only defects are runs of NUL at sector borders, and that may end early at one."""
        holes = [(m.start(), m.end()) for m in re.finditer(rb"\0+", data)]
        if not holes or any(start and (offset + start) % 512 or end < len(data) and (offset + end) % 512 for start, end in holes):
            return False
        if not self.is_cut(data[:holes[0][0]]):
            return False
        begin = data.rfind(b"\n", 0, holes[0][0]) + 1        # of the line with the first hole: those before it were checked
        *lines, rest = data[begin:].split(b"\n")
        if not BESIDE_HOLE.fullmatch(rest) or rest and rest[-1] and (offset + len(data)) % 512:
            return False
        last = None                                          # (seq, hash) of the entry line directly before, when that is whole
        for i, line in enumerate(lines):
            if b"\0" in line:
                last = None
                if not BESIDE_HOLE.fullmatch(line):
                    return False
                continue
            try:
                value = parse_lj1(line)
                if "checkpoint" in value:
                    return i == len(lines) - 1 and not rest and self.closes_holed_group(value)
                check_entry(value)
            except Malformed:
                return False
            if last and (value["seq"], value["integrity"]["prev_hash"]) != (last[0] + 1, "sha256:" + last[1].hex()):
                return False
            if value["seq"] < self.size or (value["batch"], value["log"], value["epoch"]) != (self.batch, self.origin, self.epoch) \
                    or value["type"] in ("ledger.genesis", "ledger.epoch"):
                return False
            last = (value["seq"], leaf_hash(line))
        return True

    def closes_holed_group(self, value):
        """One of its group's entries is not readable: only its signature can be checked, or of two (a rotation) the first."""
        if len(value) != 1 or not isinstance(value["checkpoint"], str):
            return False
        note = parse_note(value["checkpoint"].encode())
        signers = [(self.epoch_name(self.epoch), self.keys.get(self.epoch))]
        if len(note.signatures) == 2:
            signers.append((self.origin, self.identity))
        return note.origin == self.origin and note.size > self.size and note.signatures != [] and any(
            key and note.signatures[0][:2] == (name, key_id(name, key)) and ed25519_verify(key, note.text, note.signatures[0][2])
            for name, key in signers)


# ---- what an honest ledger says about itself (section 8) -----------------------------------------------------------------

OWN_CLOCK = ("ledger.genesis", "ledger.epoch", "ledger.recovery", "ledger.incarnation", "ledger.clock", "ledger.heartbeat")
RESTARTS = ("unclean_start", "key_lost")
BEFORE_A_START = ("ledger.clock", "ledger.epoch", "ledger.recovery", "ledger.incarnation")


def milliseconds(time):
    return (datetime.datetime.strptime(time, "%Y-%m-%dT%H:%M:%S.%fZ") - datetime.datetime.min) // datetime.timedelta(milliseconds=1)


class Sources:
    """Numbers that are missing in one stream: {first: (last, position of the later of the entries beside it)} between smallest and largest."""

    LIMIT = 4096

    def __init__(self, number):
        self.low = self.high = number
        self.gaps, self.starts, self.given_up = {}, [], False

    def gap(self, first, last, position):
        if first <= last:
            self.gaps[first] = (last, position)
            bisect.insort(self.starts, first)

    def count(self, number, position):
        if number > self.high:
            self.gap(self.high + 1, number - 1, position)
            self.high = number
        elif number < self.low:
            self.gap(number + 1, self.low - 1, position)
            self.low = number
        else:
            at = bisect.bisect(self.starts, number) - 1
            if at >= 0 and self.gaps[self.starts[at]][0] >= number:
                first = self.starts.pop(at)
                last, _ = self.gaps.pop(first)
                self.gap(first, number - 1, position)
                self.gap(number + 1, last, position)
        self.given_up = self.given_up or len(self.gaps) > self.LIMIT


class Story:
    """Silence, clock, sources, incarnations, lost epoch keys, recoveries and seals; every broken rule is a note, never an accusation."""

    def __init__(self, report):
        self.report, self.previous, self.clocked, self.interval = report, None, None, None
        self.sources, self.seal, self.recovered, self.streams_given_up = {}, ("", 0), set(), False
        self.stopping = False                                # a run of the appliance has ended, the next has not begun
        self.in_part = False                                 # what came before is not there, and entries in between may be withheld

    def forget(self):
        """What comes next is no neighbour of what came before."""
        self.previous, self.clocked, self.stopping = None, None, False

    def tell(self, position, place, e, before):
        def note(sentence):
            self.report.note(position, place, sentence)
        kind = e["type"]
        self.silence(e, note)
        self.clock(e, note)
        if "src_seq" in e and "src" in e and not self.in_part:
            stream = (e.get("workspace"), e["src"])
            if stream in self.sources:
                self.sources[stream].count(e["src_seq"], position)
            elif len(self.sources) < Sources.LIMIT:
                self.sources[stream] = Sources(e["src_seq"])
            else:
                self.streams_given_up = True
        if kind == "ledger.epoch" and e["rotation"]["reason"] == "key_lost":
            note("the key of the epoch before was lost; the identity key stands in its place")
        if kind == "ledger.recovery":
            self.recovered.add(e["recovery"].get("quarantine_file"))
        if kind == "ledger.recovery" and e["recovery"]["quarantined_bytes"]:
            note("recovery put %d bytes of a torn tail into quarantine" % e["recovery"]["quarantined_bytes"])
        if kind == "ledger.incarnation":
            note("an operator accepted that entries were lost: found %(size)d entries" % e["incarnation"]["found"])
            size, root = before or (0, None)
            found = e["incarnation"]["found"]
            alone = self.previous is None or self.previous["type"] == "ledger.epoch"
            if not alone or root and (found["size"], found["root"]) != (size, "sha256:" + root.hex()):
                self.report.find(32, place, "found is not the head of this ledger before the rotation")
        if kind == "ledger.traces":
            seal, (partition, due) = e["traces"], self.seal
            if not self.in_part and (seal["partition"] < partition or seal["first"] != (due if seal["partition"] == partition else 0)):
                note("the seal of %s begins at span %d, after one of %s up to %d" % (seal["partition"], seal["first"], partition, due))
            self.seal = (seal["partition"], seal["first"] + seal["spans"])
        self.previous = e

    def silence(self, e, note):
        last, kind, heartbeat = self.previous, e["type"], e.get("heartbeat", {})
        starts = heartbeat.get("state") == "started" if kind == "ledger.heartbeat" else kind == "ledger.recovery" or (
            kind == "ledger.epoch" and e["rotation"]["reason"] in RESTARTS)
        stopped = last and last.get("heartbeat", {}).get("state") == "stopping"
        if self.stopping and not starts and kind not in BEFORE_A_START:
            note("the appliance went on after a heartbeat that said it was stopping")
        if kind not in BEFORE_A_START:
            self.stopping = heartbeat.get("state") == "stopping"
        if self.interval and last and last["boot"] == e["boot"] and not starts and not stopped:
            if e["mono"] - last["mono"] > 2 * self.interval + 60000:
                note("silence: %d ms without an entry" % (e["mono"] - last["mono"]))
        if kind == "ledger.heartbeat":
            self.interval = heartbeat["interval_ms"]

    def clock(self, e, note):
        if e["type"] not in OWN_CLOCK:
            return
        wall, last = milliseconds(e["recorded"]), self.clocked
        if e["type"] == "ledger.clock":
            note("the wall clock jumped from %(before)s to %(after)s" % e["clock"])
        elif last and last[0] == e["boot"] and abs(wall - last[2] - (e["mono"] - last[1])) > 3000:
            note("wall clock and monotonic clock moved apart without a ledger.clock")
        elif last and last[0] != e["boot"] and wall < last[2]:
            note("the wall clock went back without a ledger.clock")
        self.clocked = (e["boot"], e["mono"], wall)

    def finish(self):
        for (workspace, src), stream in sorted(self.sources.items(), key=str):
            for first, (last, position) in stream.gaps.items():
                self.report.note(position, "seq %d" % position, "source %s lacks %d to %d" % (src, first, last))
        if self.streams_given_up:
            self.report.note(None, "", "more than %d counted sources: the others were not counted" % Sources.LIMIT)


# ---- reading a ledger directory (section 1) ------------------------------------------------------------------------------

SEGMENT = re.compile(r"[0-9]{20}\.jsonl")
INSIDE = {"checkpoints": re.compile(r"([0-9]{20})\.note"), "anchors": re.compile(r"([0-9]{20})-[0-9a-f]{8}\.note"), "quarantine": None}
HEADS = ("genesis.note", "head.a", "head.b")
OTHERS = ("incarnation.pending", "incarnation.pending.tmp") + tuple(name + ".tmp" for name in HEADS)


def find_files(files, base, report, bundle, is_part):
    """(segments in order, paths of notes, torn tails in quarantine) of the ledger directory; says what should not be there."""
    top = files.list(base)
    segments, notes = [], []
    last = max((name for name in top if SEGMENT.fullmatch(name)), default="")
    for name, kind in sorted(top.items()):
        path = os.path.join(base, name)
        if kind == "link" or kind != "file" and (SEGMENT.fullmatch(name) or name in HEADS):
            report.find(34, path, "not a plain file")
            segments += [None] if SEGMENT.fullmatch(name) else []    # nobody can read it
        elif SEGMENT.fullmatch(name):
            segments.append(path)
        elif is_part and not (kind == "file" and name == "range.json"):
            report.note(None, path, "does not belong in a part of a ledger")
        elif name in HEADS:
            notes.append(path)
        elif not (kind == "folder" and name in INSIDE or kind == "file" and (name in OTHERS or last and name == last + ".tmp"
                                                                                  or bundle and name == "range.json")):
            report.note(None, path, "a stray file")
    for folder in () if is_part else ("checkpoints", "anchors"):
        form = INSIDE[folder]
        for name, kind in sorted(files.list(os.path.join(base, folder)).items() if top.get(folder) == "folder" else ()):
            path = os.path.join(base, folder, name)
            if kind == "link" or kind != "file" and form.fullmatch(name):
                report.find(34, path, "not a plain file")
            elif form.fullmatch(name):
                notes.append(path)
            elif not (kind == "file" and name.endswith(".tmp") and form.fullmatch(name[:-4])):
                report.note(None, path, "a stray file")
    torn = files.list(os.path.join(base, "quarantine")) if top.get("quarantine") == "folder" and not is_part else {}
    if segments and not bundle and HEADS[0] not in top:
        report.note(None, base, "genesis.note is not there")
    if segments and not bundle and not top.keys() & set(HEADS[1:]):
        report.note(None, base, "the head store (head.a, head.b) is not there")
    return segments, notes, [name for name, kind in torn.items() if kind == "file" and not name.endswith((".note", ".tmp"))]


def read_lines(file, name, start=0):
    """(place, offset after the line, bytes without line feed or None when too long, whether it is complete)"""
    offset, number = start, 0
    while True:
        line = file.readline(MAX_LINE + 2)
        if not line:
            return
        number += 1
        place, size = "%s:%d (byte %d)" % (name, number, offset), len(line)
        too_long = False
        while len(line) == MAX_LINE + 2 and not line.endswith(b"\n") or too_long and line and not line.endswith(b"\n"):
            too_long = True
            line = file.readline(MAX_LINE + 2)
            size += len(line)
        offset += size
        complete = line.endswith(b"\n")
        yield place, offset, None if too_long else line[:-1] if complete else line, complete


def last_group(files, path):
    """Offset of the last group of a segment: of what follows the last complete checkpoint line, or of the group that ends with it."""
    start = previous = size = 0
    with files.open(path) as file:
        for _, size, line, complete in read_lines(file, path):
            if complete and line is not None and line.startswith(b'{"checkpoint":"'):
                start, previous = size, start
    return previous if start == size else start


def read_ledger(files, segments, ledger, report):
    """Feeds all segments. Returns whether the tail is torn."""
    skipped = False
    for i, path in enumerate(segments):
        if path is None:
            ledger.unreadable = skipped = True
            continue
        try:
            number = int(os.path.basename(path)[:20])
            if skipped and number > ledger.size:
                ledger.skip(number)
            elif number != ledger.size and not 0 < number - ledger.size <= 2 * ledger.unread:
                report.find(32, path, "a segment named %d begins at entry %d" % (number, ledger.size))
            skipped = False
            ledger.segment_missing, ledger.fresh = number > ledger.size, True
            tail = last_group(files, path) if i == len(segments) - 1 else None
            with files.open(path) as file:
                if tail == 0 and is_torn_from(file, 0, ledger, path, report):
                    return True
                file.seek(0)
                for place, offset, line, complete in read_lines(file, path):
                    ledger.incomplete = not complete
                    if line is None or not complete or not line or len(line) > MAX_LINE:
                        ledger.malformed(place, "a line of more than %d bytes, of none, or without a line feed" % MAX_LINE)
                    else:
                        ledger.feed(place, line)
                    ledger.fresh = False
                    if offset == tail:
                        if is_torn_from(file, offset, ledger, path, report):
                            return True
                        file.seek(offset)
            ledger.end_segment(path)
        except OSError as error:
            report.find(40, path, "cannot be read: %s" % error.strerror)
            ledger.unreadable = skipped = True
    return False


def is_torn_from(file, offset, ledger, path, report):
    file.seek(offset)
    data = file.read((MAX_GROUP + 1) * (MAX_LINE + 1))
    torn = bool(data) and not file.read(1) and ledger.is_torn(data, offset)
    if torn:
        report.note(ledger.size, "%s (byte %d)" % (path, offset), "a torn tail of %d bytes, as a crash leaves it" % len(data))
    return torn


# ---- published notes, supplied heads, policy -----------------------------------------------------------------------------

class Head:
    """A supplied head: a signed note, or the text form (evidence 1), for which the auditor vouches himself."""

    def __init__(self, path):
        try:
            with open(path, "rb") as file:
                data = file.read(MAX_NOTE + 1)
            self.path = path
            self.note = parse_text_head(data) if data.startswith(b"evident head v1\n") else parse_note(data)
            if not self.note.size or self.note.signatures == []:
                raise Malformed("not a checkpoint with signatures")
        except OSError as error:
            raise Usage("%s cannot be read: %s" % (path, error.strerror)) from None
        except Malformed as wrong:
            raise Usage("%s is no signed checkpoint: %s" % (path, wrong)) from None


def parse_text_head(data):
    found = re.fullmatch(rb"(evident head v1\n(\S+)\nsize ([1-9][0-9]{0,15})\nroot ((?:[0-9a-f]{4} ){15}[0-9a-f]{4})\n)check ([0-9a-f]{8})\n", data)
    if not found or sha256(found[1]).hex()[:8].encode() != found[5]:
        raise Malformed("mistyped")
    note = Note(b"", None)
    note.origin, note.size, note.root = found[2].decode("latin-1"), int(found[3]), bytes.fromhex(found[4].decode())
    return note


class Around:
    """What stands around the ledger, judged after the pass."""

    def __init__(self, report, ledger, torn, policy, bundle):
        self.report, self.ledger, self.torn, self.policy, self.bundle = report, ledger, torn, policy, bundle
        self.anchor = None                                   # largest size that the auditor's own heads or policy confirm
        self.cosigned = {}                                   # size -> names of witnesses whose cosignatures this ledger's head of that size has

    def contains(self, place, note, supplied):
        """Whether this ledger has the head; accuses when it shows another one."""
        ledger, size = self.ledger, note.size
        if size in ledger.signed:
            if ledger.signed[size][0] == note.root:
                return True
            self.report.find(31, place, "another root for size %d than this ledger signed" % size)
        elif size > ledger.size and self.torn and not supplied:
            self.report.note(ledger.size, place, "names size %d, the torn tail leaves %d" % (size, ledger.size))
        elif size > ledger.size and not ledger.unreadable:
            self.report.find(30, place, "names size %d, the ledger has %d entries" % (size, ledger.size))
        elif not ledger.damaged:
            self.report.find(31, place, "this ledger has no checkpoint of size %d" % size)
        return False

    def check_signatures(self, place, note, size=None):
        """The identity key has signed a published note of this size, and the last key of the checkpoint line; and no known key invalidly."""
        ledger = self.ledger
        if note.origin != ledger.origin:
            self.report.find(33, place, "not a checkpoint of this ledger")
            return False
        if not self.signed_by_identity(place, note):
            return False
        try:
            self.check_known_keys(note)
        except BadSignature as bad:
            self.report.find(33, place, str(bad))
            return False
        if size is not None and note.size != size:
            self.report.find(32, place, "a note of size %d under the name of %d" % (note.size, size))
            return False
        name, key = ledger.signed[note.size][1] if note.size in ledger.signed else (None, None)
        if key and not signature_by(note, name, key):
            self.report.find(33, place, "the signature of %s is missing" % name)
            return False
        return True

    def check_known_keys(self, note):
        for epoch, key in self.ledger.keys.items():
            if key:
                signature_by(note, self.ledger.epoch_name(epoch), key)

    def read(self, files, path):
        try:
            note = parse_note(files.read(path, MAX_NOTE))
            if not note.signatures:
                raise Malformed("no signature")
            return note
        except Malformed as wrong:
            self.report.find(34, path, str(wrong))
        except OSError as error:
            self.report.find(40, path, "cannot be read: %s" % error.strerror)
        return None

    def published(self, files, path):
        note, name = self.read(files, path), os.path.basename(path)
        if note is None or self.ledger.identity is None:     # entry 0 is damaged, which is said: there is no key to check with
            return
        size = 1 if name == "genesis.note" else int(name[:20]) if name[0].isdigit() else note.size
        if self.check_signatures(path, note, size):
            self.contains(path, note, False)

    def filed(self, files, path):
        """A note in anchors/ (evidence 4)."""
        note, name, ledger = self.read(files, path), os.path.basename(path), self.ledger
        if note is None or ledger.identity is None:
            return
        if note.size and note.origin != ledger.origin:
            self.report.note(None, path, "a confirmation of another ledger")
        elif self.signed_by_identity(path, note):
            if note.size != int(name[:20]) or all(identifier.hex() != name[21:29] for _, identifier, _ in note.signatures):
                self.report.find(32, path, "its name is not its size and the id of a key that signed it")
            elif self.contains(path, note, False):
                self.count_cosignatures(path, note)

    def signed_by_identity(self, path, note):
        try:
            if note.size and signature_by(note, self.ledger.origin, self.ledger.identity):
                return True
            self.report.find(33, path, "not a checkpoint that the identity key signed")
        except BadSignature as bad:
            self.report.find(33, path, str(bad))
        return False

    def count_cosignatures(self, path, note):
        try:
            if self.policy and note.signatures:
                self.cosigned.setdefault(note.size, set()).update(self.policy.cosigners(note))
            return True
        except BadSignature as bad:
            self.report.find(33, path, str(bad))
            return False

    def supplied(self, head):
        note, ledger, place = head.note, self.ledger, head.path
        if ledger.origin and note.origin != ledger.origin:
            self.report.find(33, place, "a head of another ledger")
            return
        if note.signatures is not None and ledger.identity:
            if not self.signed_by_identity(place, note):
                return
            try:
                self.check_known_keys(note)
            except BadSignature as bad:
                self.report.find(33, place, str(bad))
                return
        if self.bundle and note.size not in ledger.signed and not self.bundle.shows(note.size):
            return                                           # this part of the ledger cannot be compared with it
        if self.contains(place, note, True) and self.count_cosignatures(place, note):
            self.anchor = max(self.anchor or 0, note.size)

    def compare(self, heads):
        """Supplied heads of one size that contradict each other, where the ledger itself signed none."""
        ledger, first = self.ledger, {}
        for note, place in ((head.note, head.path) for head in heads):
            if note.signatures is None or not ledger.identity or note.origin != ledger.origin or note.size in ledger.signed:
                continue
            try:
                if signature_by(note, ledger.origin, ledger.identity) and first.setdefault(note.size, note.root) != note.root:
                    self.report.find(31, place, "another root for size %d than another supplied head" % note.size)
            except BadSignature:
                pass                                         # said when the head is judged

    def judge_policy(self):
        """Whether the policy demands a quorum that no size reaches."""
        policy, ledger = self.policy, self.ledger
        if policy and ledger.identity and ledger.identity not in policy.logs:
            self.report.find(33, "policy", "the identity key of this ledger is not among its logs")
        if not policy or not policy.quorum:
            return False
        reached = [size for size, names in self.cosigned.items() if policy.satisfied(names)]
        if reached:
            self.anchor = max(self.anchor or 0, max(reached))
        return not reached


class Policy:
    """A C2SP tlog-policy (evidence 4): log keys {key}, witnesses {name: (key name, key)}, groups {name: (k, members)}, quorum or None."""

    def __init__(self, path):
        self.logs, self.witnesses, self.groups, self.quorum = set(), {}, {}, ""
        try:
            with open(path, "rb") as file:
                data = file.read(MAX_NOTE + 1)
            if len(data) > MAX_NOTE or not data.endswith(b"\n") or re.search(rb"[^\t\n -~\x80-\xff]", data):
                raise Malformed("not the lines of a policy")
            for line in data.decode("latin-1").split("\n"):
                words = re.split("[ \t]+", line.strip(" \t"))
                if words != [""] and not words[0].startswith("#"):
                    self.read(words)
        except OSError as error:
            raise Usage("%s cannot be read: %s" % (path, error.strerror)) from None
        except Malformed as wrong:
            raise Usage("%s is no policy: %s" % (path, wrong)) from None
        keys = [key for _, key in self.witnesses.values()] + list(self.logs)
        if not self.logs or self.quorum == "" or len(set(keys)) < len(keys) or max(map(len, (self.logs, self.witnesses, self.groups))) > 128:
            raise Usage("%s is no policy: it lacks a log or a quorum, repeats a key, or has more than 128 of something" % path)

    def read(self, words):
        kind, known, members = words[0], {**self.witnesses, **self.groups}, []
        if kind == "log" and len(words) in (2, 3):
            _, key = parse_verifier_key(words[1], 1)
            if key in self.logs:
                raise Malformed("a log key twice")
            self.logs.add(key)
        elif kind == "witness" and len(words) in (3, 4) and words[1] not in known and words[1] != "none":
            self.witnesses[words[1]] = parse_verifier_key(words[2], 4)
        elif kind == "group" and len(words) > 3 and words[1] not in known and words[1] != "none":
            members = words[3:]
            k = {"all": str(len(members)), "any": "1"}.get(words[2], words[2])
            if not DECIMAL.fullmatch(k) or int(k) > len(members):
                raise Malformed("group of %s of %d" % (k, len(members)))
            used = {name for _, inner in self.groups.values() for name in inner}
            if len(set(members)) < len(members) or any(name not in known or name in used for name in members):
                raise Malformed("a member that is not defined above, or twice")
            self.groups[words[1]] = (int(k), members)
        elif kind == "quorum" and len(words) == 2 and self.quorum == "" and (words[1] in known or words[1] == "none"):
            self.quorum = None if words[1] == "none" else words[1]
        else:
            raise Malformed(" ".join(words))

    def cosigners(self, note):
        """Names of the witnesses that validly cosigned; BadSignature when one did so invalidly."""
        names = set()
        for name, (signer, key) in self.witnesses.items():
            for line_name, identifier, blob in note.signatures:
                if line_name == signer and identifier == key_id(signer, key, 4):
                    text = b"cosignature/v1\ntime %d\n" % int.from_bytes(blob[:8], "big") + note.text
                    if len(blob) != 72 or not ed25519_verify(key, text, blob[8:]):
                        raise BadSignature("the cosignature of %s is invalid" % signer)
                    names.add(name)
        return names

    def satisfied(self, names, what=None):
        what = self.quorum if what is None else what
        if what in self.witnesses:
            return what in names
        k, members = self.groups[what]
        return sum(self.satisfied(names, member) for member in members) >= k


def parse_verifier_key(text, kind):
    name, _, rest = text.partition("+")
    identifier, _, encoded = rest.partition("+")
    key = unbase64(encoded)
    if len(key) != 33 or key[0] != kind or not name or key_id(name, key[1:], kind).hex() != identifier:
        raise Malformed("not a verifier key of signature type %d" % kind)
    return name, key[1:]


# ---- bundles (evidence 5 and 6) ------------------------------------------------------------------------------------------

BUNDLE_OBJECTS = shapes("""
manifest = v!:one origin!:origin export_id!:hex32 created!:time tool!:name head!:{head} from!:count to!:count withheld!:count
    tenant_id:name files!:{listed}*
listed = name!:text bytes!:count sha256!:hash
range = v!:one from!:count to!:count size!:ordinal batch!:count epoch!:ordinal prev_hash!:hash left!:hash* right!:hash*
    control!:{control}*
control = line!:text path!:hash* note!:text
""")
OBJECT_SHAPES.update((name, shape) for name, shape in BUNDLE_OBJECTS.items())


def read_object(files, path, name):
    """An LJ-1 object of this shape and a line feed."""
    with files.open(path) as file:
        data = file.read()
    if not data.endswith(b"\n"):
        raise Malformed("no line feed at the end")
    value = parse_lj1(data[:-1])
    wrong = check_members(value, OBJECT_SHAPES[name])
    if wrong:
        raise Malformed(wrong)
    return value


def inclusion_roots(index, size, leaf, path):
    """(root of the entries up to index, root of all size entries), RFC 9162 2.1.3.2; None when the path has another length than it must."""
    last, before, root = size - 1, leaf, leaf
    if index > last:
        return None
    for sibling in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            before, root = node(sibling, before), node(sibling, root)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            root = node(root, sibling)
        index, last = index >> 1, last >> 1
    return (before, root) if last == 0 else None


def cover(start, end):
    """Levels of the largest aligned subtrees that cover [start, end), from left to right."""
    levels = []
    while start < end:
        level = min((start & -start).bit_length() - 1 if start else 62, (end - start).bit_length() - 1)
        levels.append(level)
        start += 1 << level
    return levels


MANIFEST_NOTE = re.compile(r"evident export manifest v1\n([^\n]*)\nsha256:([0-9a-f]{64})\n")


def is_signed(note, name, key):
    try:
        return signature_by(note, name, key)
    except BadSignature:
        return False


class Bundle:
    """What an export holds beside its ledger directory (evidence 5), and what connects a part with its head (evidence 6)."""

    MARKS = ("MANIFEST.json", "MANIFEST.note", "checkpoint", "epochs.txt")

    def __init__(self, files, is_part):
        self.files, self.report, self.is_part = files, Report(), is_part
        self.find = self.report.find
        self.manifest = self.head = self.part = self.identity = None
        self.digest, _ = self.hash("MANIFEST.json")
        self.note = self.read_note("MANIFEST.note")
        if self.digest:
            try:
                self.manifest = self.read_manifest()
            except Malformed as wrong:
                if self.note is None or self.signed_digest() == self.digest:
                    self.find(34, "MANIFEST.json", str(wrong))
        self.head = self.read_note("checkpoint")
        if self.head and not self.head.size:
            self.find(33, "checkpoint", "not a checkpoint")
            self.head = None

    def look(self, name, action):
        """action(), or None with a finding when the file is not there or cannot be read."""
        try:
            return action()
        except NotPlain:
            self.find(34, name, "a link or special file")
        except OSError as error:
            self.find(40, name, "cannot be read: %s" % error.strerror)
        return None

    def hash(self, name):
        """(SHA-256 or None, bytes)"""
        def action():
            digest, size = hashlib.sha256(), 0
            with self.files.open(name) as file:
                for block in iter(lambda: file.read(1 << 20), b""):
                    digest.update(block)
                    size += len(block)
            return digest.digest(), size
        return self.look(name, action) or (None, 0)

    def read_note(self, name):
        data = self.look(name, lambda: self.files.read(name, MAX_NOTE))
        try:
            note = parse_note(data) if data is not None else None
            if note and not note.signatures:
                raise Malformed("no signature")
            return note
        except Malformed as wrong:
            self.find(34, name, str(wrong))
            return None

    def read_manifest(self):
        manifest = read_object(self.files, "MANIFEST.json", "manifest")
        names = [listed["name"] for listed in manifest["files"]]
        if names != sorted(set(names)) or not manifest["to"] or {"MANIFEST.json", "MANIFEST.note"} & set(names) or len(names) > 2000000 or not all(
                re.fullmatch(r"[A-Za-z0-9._/-]{1,200}", name) and not {"", ".", ".."} & set(name.split("/")) for name in names):
            raise Malformed("the list of files is not in its form or order")
        return manifest

    def signed_digest(self):
        found = self.note and MANIFEST_NOTE.fullmatch(self.note.text.decode())
        return bytes.fromhex(found[2]) if found else None

    # ---- a part

    def open_part(self, ledger):
        """Puts the pass in front of the part. False, with findings, when that cannot be done: then only the files of the bundle are checked."""
        head = self.head and (self.head.size, self.head.root) or self.manifest and (self.manifest["head"]["size"], unhash(self.manifest["head"]["root"]))
        place = "ledger/range.json"
        try:
            part = self.look(place, lambda: read_object(self.files, place, "range")) if head else None
            if part and not part["from"] < part["to"] <= part["size"]:
                raise Malformed("from, to and size are not in order")
        except Malformed as wrong:
            self.find(34, place, str(wrong))
            return False
        if not part:
            return False
        chained, epoch, last = self.follow(ledger, part["control"], *head)
        self.identity = ledger.identity
        if part["size"] != head[0] or len(part["left"]) != bin(part["from"]).count("1") or len(part["right"]) != len(cover(part["to"], part["size"])):
            self.find(32, place, "its sizes or the number of its hashes are not those of the checkpoint")
            return False
        if chained and (epoch != 0 if not part["from"] else epoch != part["epoch"] or last >= part["from"]):
            self.find(33, place, "the control entries do not lead to epoch %d (K2)" % part["epoch"])
            return False
        if not chained:
            return False
        self.part = ledger.part = part
        ledger.story.in_part = True
        if part["from"]:
            ledger.size, ledger.last, ledger.batch, ledger.epoch = part["from"], unhash(part["prev_hash"]), part["batch"], part["epoch"]
            ledger.tree, ledger.group = Frontier(part["from"], map(unhash, part["left"])), Group(part["from"])
        return True

    def follow(self, ledger, control, size, root):
        """(whether genesis and all rotations are right, the epoch they lead to, place of the last)"""
        epoch, last = 0, -1
        for entry in control:
            wrong = self.control_flaw(ledger, entry, size, root, epoch, last)
            if wrong:
                self.find(wrong[0], "ledger/range.json, control entry of epoch %d" % (epoch + 1), wrong[1])
                return False, epoch, last
            e = parse_lj1(entry["line"].encode())
            epoch, last = epoch + 1, e["seq"]
            ledger.epoch_start, ledger.epoch_boot = last, (e["boot"], e["mono"])
        return True, epoch, last

    @staticmethod
    def control_flaw(ledger, control, size, root, epoch, last):
        line = control["line"].encode()
        try:
            e = parse_lj1(line)
            check_entry(e)
        except Malformed as wrong:
            return 34, str(wrong)
        if e["type"] != ("ledger.epoch" if epoch else "ledger.genesis") or (e["seq"] <= last if epoch else e["seq"] != 0) or e["epoch"] != epoch + 1:
            return 33, "not genesis and every rotation after it (K2)"
        roots = inclusion_roots(e["seq"], size, leaf_hash(line), [unhash(h) for h in control["path"]])
        if roots is None or roots[1] != root:
            return 32, "entry %d is not in the tree of the checkpoint" % e["seq"]
        try:
            note = parse_note(control["note"].encode())
        except Malformed as wrong:
            return 34, str(wrong)
        if not note.signatures:
            return 34, "no signature"
        if (note.size, note.root) != (e["seq"] + 1, roots[0]):
            return 32, "the note is not that of the tree up to it"
        if epoch:
            ledger.epoch = epoch
            signers = ledger.rotation_signers(e["rotation"])
        else:
            ledger.identity, ledger.limits = public_key(e["genesis"]["identity_key"]), e["genesis"]
            ledger.origin = origin_of(ledger.identity)
            signers = [(ledger.epoch_name(1), public_key(e["genesis"]["epoch_key"]))]
        ledger.keys[epoch + 1] = signers[-1][1]
        if note.origin != ledger.origin or e["log"] != ledger.origin or [signer for signer, _, _ in note.signatures] != [name for name, _ in signers] \
                or not all(is_signed(note, name, key) for name, key in signers):
            return 33, "it does not hand on the keys of the ledger (K2)"
        return None

    def close_part(self, ledger):
        """After the pass: whether left, part and right have the root of the head."""
        part, head = self.part, self.head or self.manifest
        size, root = (head.size, head.root) if self.head else (head["head"]["size"], unhash(head["head"]["root"]))
        if ledger.size != part["to"]:
            ledger.report.find(32, "ledger/range.json", "the part ends at %d, not at %d" % (ledger.size, part["to"]))
        elif not ledger.damaged and ledger.tree:
            tree = ledger.tree.after(())
            for level, subtree in zip(cover(part["to"], size), map(unhash, part["right"])):
                tree.append(subtree, level)
            if tree.root() == root:
                ledger.signed[size] = (root, (None, None))
                ledger.signed[part["from"]] = (Frontier(part["from"], map(unhash, part["left"])).root(), (None, None))
                return True
            ledger.report.find(32, "ledger/range.json", "left, part and right have another root than the checkpoint")
        return False

    def shows(self, size):
        """Whether a head of this size can be compared: a part shows only some sizes."""
        return not self.is_part or self.part is not None and size >= self.part["from"] and (size <= self.part["to"] or size > self.part["size"])

    # ---- manifest and files

    def check(self, ledger, sound):
        """sound: nothing is wrong with the ledger in it."""
        identity = ledger.identity or self.identity
        origin = origin_of(identity) if identity else ledger.origin
        signed = self.check_manifest_note(origin, identity)
        head, manifest = self.head, self.manifest
        if self.is_part and identity and head and (head.origin != origin or not is_signed(head, origin, identity)):
            self.find(33, "checkpoint", "not signed by the identity key of this ledger")
        if manifest:
            self.check_files()
        if not manifest or not signed:
            return                                           # what it says of the ledger is nobody's word
        if manifest["origin"] != origin:
            self.find(33, "MANIFEST.json", "of another ledger")
        size, root = manifest["head"]["size"], unhash(manifest["head"]["root"])
        if head and (head.size, head.root) != (size, root):
            self.find(32, "checkpoint", "not the head that the manifest names")
        tiles = [listed for listed in manifest["files"] if listed["name"].startswith("tile/")]
        if self.is_part:
            part = self.part
            if part and ((manifest["from"], manifest["to"], size) != (part["from"], part["to"], part["size"]) or sound and manifest["withheld"] != ledger.withheld_entries):
                self.find(32, "MANIFEST.json", "of another part than the one in the bundle")
            if tiles:
                self.find(32, "MANIFEST.json", "a part has no tiles")
        elif (manifest["from"], manifest["to"], manifest["withheld"]) != (0, size, 0) or "tenant_id" in manifest:
            self.find(32, "MANIFEST.json", "of a part of a ledger, and there is no range.json")
        elif sound and ledger.size > size:
            self.find(32, "MANIFEST.json", "the ledger has more entries than its head")
        elif sound and tiles and ledger.size == size:
            Tiles(self, tiles).check(self.segments, size)

    def check_manifest_note(self, origin, identity):
        if not self.note or not identity:
            return False
        signed = self.signed_digest()
        if signed is None or self.note.text.decode() != "evident export manifest v1\n%s\nsha256:%s\n" % (origin, signed.hex()) or not is_signed(self.note, origin, identity):
            self.find(33, "MANIFEST.note", "is not the manifest's note, or not signed by the identity key")
            return False
        if self.digest and self.digest != signed:
            self.find(32, "MANIFEST.json", "is not the one that was signed")
            return False
        return self.digest is not None

    def check_files(self):
        listed = {file["name"]: file for file in self.manifest["files"]}
        for name, file in listed.items():
            digest, size = self.hash(name)
            if digest and (size, "sha256:" + digest.hex()) != (file["bytes"], file["sha256"]):
                self.find(32, name, "is not the file that the manifest lists")
        for name, kind in self.walk(""):
            if kind in ("link", "other"):
                self.find(34, name, "a link or special file")
            elif name not in listed and name not in ("MANIFEST.json", "MANIFEST.note"):
                self.report.note(None, name, "is not in the manifest")

    def walk(self, folder):
        for name, kind in self.files.list(folder).items():
            path = folder + "/" + name if folder else name
            if kind == "folder":
                yield from self.walk(path)
            else:
                yield path, kind


class Tiles:
    """C2SP tlog-tiles of height 8: the manifest lists exactly those that the entries make."""

    def __init__(self, bundle, listed):
        self.find, self.files = bundle.find, bundle.files
        self.listed = {file["name"]: (file["bytes"], file["sha256"]) for file in listed}
        self.levels, self.bundle, self.counts = [[]], [], [0]

    def check(self, segments, size):
        for path in segments:
            with self.files.open(path) as file:
                for _, _, line, _ in read_lines(file, path):
                    if size == 0:
                        break                                # a torn tail
                    if not line.startswith(b'{"checkpoint"'):
                        self.entry(line)
                        size -= 1
        for level, hashes in enumerate(self.levels):
            if hashes:
                self.compare("tile/%d/%s.p/%d" % (level, self.number(self.counts[level]), len(hashes)), b"".join(hashes))
        if self.bundle:
            self.compare("tile/entries/%s.p/%d" % (self.number(self.counts[0]), len(self.bundle)), b"".join(self.bundle))
        for name in self.listed:
            self.find(32, name, "no tile of this ledger")

    def entry(self, line):
        self.bundle.append(len(line).to_bytes(2, "big") + line)
        if len(self.bundle) == 256:
            self.compare("tile/entries/" + self.number(self.counts[0]), b"".join(self.bundle))
            self.bundle = []
        self.add(0, leaf_hash(line))

    def add(self, level, subtree):
        if level == len(self.levels):
            self.levels.append([])
            self.counts.append(0)
        hashes = self.levels[level]
        hashes.append(subtree)
        if len(hashes) == 256:
            self.compare("tile/%d/%s" % (level, self.number(self.counts[level])), b"".join(hashes))
            self.counts[level] += 1
            self.levels[level] = []
            self.add(level + 1, Frontier().after(hashes).root())

    @staticmethod
    def number(n):
        groups = ["%03d" % (n % 1000)]
        while n >= 1000:
            n //= 1000
            groups.insert(0, "x%03d" % (n % 1000))
        return "/".join(groups)

    def compare(self, path, content):
        if self.listed.pop(path, None) != (len(content), "sha256:" + sha256(content).hex()):
            self.find(32, path, "the tile is missing or does not hold what the ledger holds")


# ---- verdict (section 9) -------------------------------------------------------------------------------------------------

def verify(path, heads=(), policy=None, max_unanchored=None):
    """(exit code, report, pass)"""
    report = Report()
    ledger = Pass(report, {head.note.size for head in heads})
    try:
        files = Archive(path) if os.path.isfile(path) else Directory(path)
        top = files.list()
    except (Malformed, EndsEarly, OSError) as error:
        code = 34 if isinstance(error, Malformed) else 40
        code = 30 if isinstance(error, OSError) and heads else code
        report.find(code, path, str(error))
        return code, report, ledger
    base = "ledger" if top.get("ledger") == "folder" else ""
    is_part = files.list(base).get("range.json") in ("file", "link")
    bundle = Bundle(files, is_part) if any(top.get(mark) in ("file", "link") for mark in Bundle.MARKS) else None
    is_part = bundle is not None and is_part
    segments, notes, quarantined = find_files(files, base, report, bundle, is_part)
    filed = [note for note in notes if os.path.basename(os.path.dirname(note)) == "anchors"]
    notes = [note for note in notes if note not in filed]
    if not segments and not (is_part or report.findings):
        bundle, notes, filed = None, [], []                  # a ledger that is not there has nothing beside it
    for note in notes + filed + ["checkpoint"]:
        try:
            ledger.wanted.add(parse_note(files.read(note, MAX_NOTE)).size)
        except (Malformed, OSError):
            pass                                             # said when the note is judged
    torn = False
    readable = not is_part or bundle.open_part(ledger)
    if not readable:                                         # nothing of the ledger can be checked, nor a head against it
        ledger.origin = ledger.identity = None
        ledger.keys.clear()
    else:
        torn = read_ledger(files, segments, ledger, report)
        ledger.finish()
        ledger.story.finish()
    ledger.damaged = any(os.path.basename(os.path.dirname(place)) != "anchors" for _, place, _ in report.findings)  # what others filed is no part of the ledger
    if readable:
        if not ledger.size:
            report.find(40, path, "no entry of a ledger is here")
        for name in sorted(set(quarantined) - ledger.story.recovered):
            report.note(None, os.path.join(base, "quarantine", name), "no recovery entry names it")
    around = Around(report, ledger, torn, policy, bundle)
    for note in notes:
        around.published(files, note)
    if bundle:
        bundle.segments = segments
        closed = bundle.close_part(ledger) if is_part and readable else False
        if bundle.head and ledger.identity:
            if closed and is_signed(bundle.head, ledger.origin, ledger.identity):
                around.count_cosignatures("checkpoint", bundle.head)
            elif not is_part and around.check_signatures("checkpoint", bundle.head) and around.contains("checkpoint", bundle.head, False):
                around.count_cosignatures("checkpoint", bundle.head)
    sound = not report.findings
    for note in filed:
        around.filed(files, note)
    around.compare(heads)
    for head in heads:
        around.supplied(head)
    if bundle:
        bundle.check(ledger, sound)
        report.findings += bundle.report.findings
        report.notes += bundle.report.notes
    stale = around.judge_policy()
    codes = {code for code, _, _ in report.findings}
    if not codes:
        if stale or around.anchor is not None and max_unanchored is not None and ledger.size - around.anchor > max_unanchored:
            codes.add(11)
        elif around.anchor is None:
            codes.add(10)
        if around.anchor is not None and any(position is None or position >= around.anchor for position, _, _ in report.notes):
            codes.add(12)
    ledger.anchor = around.anchor
    return next((code for code in SEVERITY if code in codes), 0), report, ledger


def report_text(path, code, report, ledger):
    with open(__file__, "rb") as own:
        lines = ["evident_verify.py (second verifier, sha256 %s)  %s" % (sha256(own.read()).hex()[:16], path)]
    if ledger.origin:
        lines.append("origin        %s" % ledger.origin)
        lines.append("identity key  %s" % (ledger.identity.hex() if ledger.identity else "not readable"))
        lines.append("entries       %d in %d groups, epoch %d" % (ledger.size, ledger.groups, ledger.epoch))
    if ledger.newest:
        lines.append("newest head   size %d root %s" % (ledger.newest.size, ledger.newest.root.hex()))
    lines += ["%d %s  %s: %s" % (number, WORDS[number], place, sentence) for number, place, sentence in report.findings]
    for position, place, sentence in report.notes:
        before = position is not None and ledger.anchor is not None and position < ledger.anchor
        lines.append("note%s  %s: %s" % (" (before the anchor)" if before else "", place, sentence))
    if ledger.anchor is not None:
        lines.append("anchored      up to entry %d; the %d after it rest on the appliance's key alone" % (ledger.anchor - 1, ledger.size - ledger.anchor))
    lines.append("verdict       %d %s" % (code, WORDS[code]))
    lines.append("Not proven: events that were never sent to the appliance, the truth of what was sent, entries after the anchor, clock times.")
    return "\n".join(lines)


def run(arguments):
    """(exit code, report); Usage when the command line or what the auditor supplied cannot be used."""
    path, heads, policy, most = None, [], None, None
    rest = iter(arguments)
    for argument in rest:
        if argument in ("--known-head", "--policy", "--max-unanchored"):
            value = next(rest, None)
            if value is None:
                raise Usage("%s needs a value" % argument)
            if argument == "--known-head":
                heads.append(Head(value))
            elif argument == "--policy":
                policy = Policy(value)
            elif value.isascii() and value.isdigit():
                most = int(value)
            else:
                raise Usage("--max-unanchored takes a number of entries, not %s" % value)
        elif argument.startswith("-") or path is not None:
            raise Usage(__doc__.strip())
        else:
            path = argument
    if path is None:
        raise Usage(__doc__.strip())
    code, report, ledger = verify(path, heads, policy, most)
    return code, report_text(path, code, report, ledger)


def main(arguments):
    try:
        code, text = run(arguments)
    except Usage as wrong:
        print(wrong, file=sys.stderr)
        return 64
    print(text)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
