using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Evident.Ledger;
using Evident.Platform;
using Evident.Tests.Ledger;

namespace Evident.Tests.Differential;

/// <summary>
/// Bundles as the appliance writes them, and what happens to them: to the files around the ledger, to range.json and manifest under the identity key or without it, and to the
/// bytes of an archive. The ledger inside is changed by <see cref="ByteMutations"/>.
/// </summary>
internal static class BundleMutations
{
    private static readonly byte[] Likely = "\n\0\r\"\\{}[],: 019azAZ=+/-"u8.ToArray();

    /// <summary>Whole exports and parts, from the first entry and from the middle, with and without withheld entries.</summary>
    public static List<BaseLedgers.Base> Make()
    {
        using var scratch = new BundleScratch(groups: 22, segmentBytes: 9_000);
        var kept = LedgerCase.Read(scratch.Scratch.Data, "ledger");
        List<byte[]> heads = [.. kept.Notes().Where(static n => n.StartsWith("ledger/checkpoints/", StringComparison.Ordinal)).Select(n => kept.Files[n]!)];
        var bounds = Boundaries(kept);
        long early = bounds[1], middle = bounds[bounds.Count / 2], late = bounds[^3];
        return
        [
            Take("whole", scratch.Export("whole"), heads),
            Take("first part", scratch.Export("first", to: middle), heads),
            Take("middle part", scratch.Export("middle", early, late), heads),
            Take("last part", scratch.Export("last", middle), heads),
            Take("tenant", scratch.Export("tenant", tenant: BundleScratch.Acme), heads),
            Take("tenant's part", scratch.Export("tenants", middle, late, BundleScratch.Globex), heads),
        ];

        static BaseLedgers.Base Take(string name, string path, List<byte[]> heads) => new(name, LedgerCase.Read(path, ""), heads);
    }

    private static List<long> Boundaries(LedgerCase ledger)
    {
        var ends = new List<long> { 0 };
        long entries = 0;
        foreach (string line in ledger.Segments().SelectMany(ledger.Lines))
        {
            if (!line.StartsWith("{\"checkpoint\"", StringComparison.Ordinal))
            {
                entries++;
            }
            else
            {
                ends.Add(entries);
            }
        }

        return ends;
    }

    public static readonly (string Name, int Weight, ByteMutations.Mutation Apply)[] All =
    [
        ("flip a bit of any file", 10, static (c, r) => Edit(c, Any(c, r), b => Put(b, r, at => b[at] ^ (1 << r.Next(8))))),
        ("change a byte of any file to a likely one", 6, static (c, r) => Edit(c, Any(c, r), b => Put(b, r, _ => Likely[r.Next(Likely.Length)]))),
        ("flip a bit around the ledger", 8, static (c, r) => Edit(c, Around(c, r), b => Put(b, r, at => b[at] ^ (1 << r.Next(8))))),
        ("insert or remove a byte around the ledger", 4, static (c, r) => Edit(c, Around(c, r), b =>
        {
            int at = r.Next(b.Length);
            return r.Next(2) == 0 ? [.. b[..at], b[r.Next(b.Length)], .. b[at..]] : [.. b[..at], .. b[(at + 1)..]];
        })),
        ("cut a file around the ledger", 4, static (c, r) => Edit(c, Around(c, r), b => b[..^(1 + r.Next(Math.Min(b.Length, 300)))])),
        ("empty a file", 2, static (c, r) => Edit(c, Any(c, r), static _ => [])),
        ("remove a file", 8, static (c, r) => c.Files.Remove(r.Next(2) == 0 ? Any(c, r) : Around(c, r))),
        ("copy a file over another", 4, static (c, r) => c.Files[Around(c, r)] = c.Files.GetValueOrDefault(Any(c, r))),
        ("a link", 4, static (c, r) => c.Files[r.Next(3) == 0 ? "link" : Any(c, r)] = null),
        ("another file", 4, static (c, r) => c.Files[Pick(["notes.txt", "ledger/notes.txt", "tile/0/001", "ledger/range.json", "ledger/genesis.note", "ledger/head.a", "extra/file", "MANIFEST.jsonl"], r)] = "x\n"u8.ToArray()),
        ("note of another kind", 4, static (c, r) => c.Files[Pick(["checkpoint", "MANIFEST.note", "ledger/head.a"], r)] =
            c.Files.GetValueOrDefault(Pick(["checkpoint", "MANIFEST.note", "ledger/genesis.note"], r)) ?? "x"u8.ToArray()),
        ("checkpoint of another size", 3, static (c, r) => Sign(c, "checkpoint", Checkpoint.Encode(Origin(c), r.Next(120), Root(r)), r)),
        ("change range.json", 14, static (c, r) => Edit(c, "ledger/range.json", b => Latin(ChangedRange(Encoding.Latin1.GetString(b), r)))),
        ("change the manifest", 8, static (c, r) => Edit(c, "MANIFEST.json", b => Latin(ChangedManifest(Encoding.Latin1.GetString(b), r)))),
        ("manifest note of another text", 3, static (c, r) => Sign(c, "MANIFEST.note", Encoding.UTF8.GetBytes(Pick(
            ["evident export manifest v1\n" + Origin(c) + "\nsha256:" + new string('0', 64) + "\n", "evident export manifest v2\n" + Origin(c) + "\nsha256:" + new string('0', 64) + "\n", "x\n",
                "evident export manifest v1\nevident.local/x\nsha256:" + Convert.ToHexStringLower(SHA256.HashData(c.Files.GetValueOrDefault("MANIFEST.json") ?? [])) + "\n"], r)), r)),
    ];

    /// <summary>Lists and hashes the files as they are now, and signs that, as somebody who has the identity key can.</summary>
    public static void Seal(LedgerCase bundle)
    {
        if (bundle.Files.GetValueOrDefault("MANIFEST.json") is not { } old)
        {
            return;
        }

        string text = Encoding.UTF8.GetString(old);
        int from = text.IndexOf("\"files\":[", StringComparison.Ordinal), to = text.IndexOf("],\"from\"", StringComparison.Ordinal);
        if (from < 0 || to < from)
        {
            return;
        }

        var files = new List<string>();
        foreach (var (name, content) in bundle.Files)
        {
            if (content is not null && name is not ("MANIFEST.json" or "MANIFEST.note"))
            {
                files.Add(string.Create(CultureInfo.InvariantCulture, $"{{\"bytes\":{content.Length},\"name\":\"{name}\",\"sha256\":\"{LedgerFormat.HashText(SHA256.HashData(content))}\"}}"));
            }
        }

        bundle.Files["MANIFEST.json"] = Encoding.UTF8.GetBytes($"{text[..(from + 9)]}{string.Join(',', files)}{text[to..]}");
        SignManifest(bundle);
    }

    public static void SignManifest(LedgerCase bundle)
    {
        if (bundle.Files.GetValueOrDefault("MANIFEST.json") is { } manifest)
        {
            byte[] text = BundleManifest.NoteText(Origin(bundle), SHA256.HashData(manifest));
            bundle.Files["MANIFEST.note"] = SignedNote.Encode(text, [new ForgedLedger(bundle).Key(0).Sign(text)]);
        }
    }

    /// <summary>One ustar archive of the files, then perhaps changed.</summary>
    public static void Pack(LedgerCase bundle, Random random)
    {
        PackPlainly(bundle, random);
        byte[] archive = bundle.Archive!;
        int blocks = archive.Length / 512;
        switch (random.Next(12))
        {
            case 0: archive[random.Next(archive.Length)] ^= (byte)(1 << random.Next(8)); break;
            case 1: archive = archive[..random.Next(archive.Length)]; break;
            case 2: archive = [.. archive, .. new byte[random.Next(2) == 0 ? 512 : random.Next(700)]]; break;
            case 3: archive = [.. archive, (byte)'x']; break;
            case 4: archive[(random.Next(blocks) * 512) + 156] = Likely[random.Next(Likely.Length)]; break;
            case 5: archive[(random.Next(blocks) * 512) + random.Next(512)] = (byte)random.Next(256); break;
            case 6: archive[random.Next(345)] = Likely[random.Next(Likely.Length)]; break;
        }

        bundle.Archive = archive;
    }

    /// <param name="random">Where it is not to be a well-formed archive of these files: what is wrong with it.</param>
    public static void PackPlainly(LedgerCase bundle, Random? random)
    {
        var tar = new MemoryStream();
        string dot = random?.Next(4) == 0 ? "./" : "";
        byte[] header = new byte[Ustar.BlockBytes];
        foreach (var (name, content) in bundle.Files)
        {
            byte[] bytes = content ?? [];
            Ustar.WriteHeader(header, dot + name, bytes.Length, 0);
            if (content is null)
            {
                header[156] = (byte)'2';
            }

            tar.Write(header);
            tar.Write(bytes);
            tar.Write(new byte[Ustar.Padded(bytes.Length) - bytes.Length]);
            if (random?.Next(200) == 0)
            {
                tar.Write(header);
                tar.Write(new byte[Ustar.Padded(bytes.Length)]);
            }
        }

        tar.Write(new byte[random?.Next(6) == 0 ? random.Next(3) * 512 : 10240 - ((int)tar.Length % 10240) + 1024]);
        bundle.Archive = tar.ToArray();
    }

    private static string Any(LedgerCase bundle, Random random) => Pick([.. bundle.Files.Keys], random);

    private static string Around(LedgerCase bundle, Random random) =>
        Pick([.. bundle.Files.Keys.Where(static f => !f.StartsWith("ledger/", StringComparison.Ordinal) || f.EndsWith("range.json", StringComparison.Ordinal))], random);

    private static string Origin(LedgerCase bundle) => new ForgedLedger(bundle).Key(0).Public.Name;

    private static byte[] Root(Random random)
    {
        byte[] root = new byte[32];
        random.NextBytes(root);
        return root;
    }

    private static void Sign(LedgerCase bundle, string name, byte[] text, Random random) =>
        bundle.Files[name] = SignedNote.Encode(text, [new ForgedLedger(bundle).Key(random.Next(5) == 0 ? 1 : 0).Sign(text)]);

    private static string ChangedRange(string json, Random random)
    {
        switch (random.Next(8))
        {
            case 0 or 1:
                string member = Pick(["from", "to", "size", "batch", "epoch", "v", "prev_hash"], random);
                return ForgedLedger.Get(json, member) is not { } now ? json : ForgedLedger.Set(json, member, long.TryParse(now, out long number)
                    ? Pick([$"{number + 1}", $"{Math.Max(0, number - 1)}", "0", "1", "9007199254740991", "-1", "01", "\"1\""], random)
                    : Pick(["\"sha256:" + new string('0', 64) + "\"", "\"x\"", "0"], random));
            case 2 or 3:
                return ChangedHash(json, random);
            case 4:
                int first = json.IndexOf("{\"line\"", StringComparison.Ordinal), next = first < 0 ? -1 : json.IndexOf(",{\"line\"", first, StringComparison.Ordinal);
                return next < 0 ? json : json[..first] + json[(next + 1)..];
            case 5:
                return json.Replace("\"}]", "\"},{\"line\":\"x\",\"note\":\"x\",\"path\":[]}]", StringComparison.Ordinal);
            case 6:
                return json.Replace(Pick(["age", "operator", "file", "ledger.epoch", "\\n\\n", "hash", "L1"], random), Pick(["operator", "key_lost", "tpm2", "ledger.genesis", "\\n", "\\\\n"], random), StringComparison.Ordinal);
            default:
                int list = json.IndexOf(Pick(["\"left\":[\"", "\"right\":[\"", "\"path\":[\""], random), StringComparison.Ordinal);
                int end = list < 0 ? -1 : json.IndexOf(']', list);
                return end < 0 ? json : random.Next(2) == 0
                    ? json[..end] + ",\"sha256:" + new string('0', 64) + "\"" + json[end..]
                    : json[..(json.IndexOf('[', list) + 1)] + json[end..];
        }
    }

    private static string ChangedHash(string json, Random random)
    {
        var at = new List<int>();
        for (int i = json.IndexOf("\"sha256:", StringComparison.Ordinal); i >= 0; i = json.IndexOf("\"sha256:", i + 1, StringComparison.Ordinal))
        {
            at.Add(i + 8);
        }

        if (at.Count == 0)
        {
            return json;
        }

        int place = at[random.Next(at.Count)] + random.Next(64);
        return json[..place] + (json[place] == '0' ? '1' : '0') + json[(place + 1)..];
    }

    private static string ChangedManifest(string json, Random random)
    {
        switch (random.Next(7))
        {
            case 0 or 1:
                string member = Pick(["from", "to", "withheld", "v", "origin", "export_id", "created", "tool", "size", "root", "bytes", "sha256", "name", "tenant_id"], random);
                return ForgedLedger.Get(json, member) is not { } now ? json : ForgedLedger.Set(json, member, long.TryParse(now, out long number)
                    ? Pick([$"{number + 1}", $"{Math.Max(0, number - 1)}", "0", "1", "-1", "01", "9007199254740992"], random)
                    : Pick(["\"\"", "\"x\"", "\"../x\"", "\"a/b\"", now.Length < 2 ? now : now.Replace(now[^2], now[^2] == '0' ? '1' : '0'), "0"], random));
            case 2:
                return json.Replace("}],\"from\"", "},{\"bytes\":1,\"name\":\"zz\",\"sha256\":\"sha256:" + new string('0', 64) + "\"}],\"from\"", StringComparison.Ordinal);
            case 3:
                int first = json.IndexOf("{\"bytes\"", StringComparison.Ordinal), next = first < 0 ? -1 : json.IndexOf(",{\"bytes\"", first, StringComparison.Ordinal);
                return next < 0 ? json : random.Next(2) == 0 ? json[..first] + json[(next + 1)..] : json[..next] + "," + json[first..];
            case 4:
                return json.Replace("\"tool\"", "\"tenant_id\":\"acme\",\"to\"", StringComparison.Ordinal);
            case 5:
                return json.Replace(",\"v\":1}", ",\"tenant_id\":\"acme\",\"v\":1}", StringComparison.Ordinal).Replace(",\"to\":", Pick([",\"tenant_id\":\"x\",\"to\":", ", \"to\":"], random), StringComparison.Ordinal);
            default:
                return ChangedHash(json, random);
        }
    }

    private static byte[] Latin(string text) => Encoding.Latin1.GetBytes(text);

    private static T Pick<T>(IReadOnlyList<T> list, Random random) => list[random.Next(list.Count)];

    private static void Edit(LedgerCase bundle, string file, Func<byte[], byte[]> change)
    {
        if (bundle.Files.GetValueOrDefault(file) is { Length: > 0 } content)
        {
            bundle.Files[file] = change([.. content]);
        }
    }

    private static byte[] Put(byte[] bytes, Random random, Func<int, int> value)
    {
        int at = random.Next(bytes.Length);
        bytes[at] = (byte)value(at);
        return bytes;
    }
}
