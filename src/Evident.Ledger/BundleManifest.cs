using System.Buffers;
using System.Text;

namespace Evident.Ledger;

/// <summary>What <c>MANIFEST.json</c> says of a bundle beside its list of files (docs/evidence.md, section 5).</summary>
internal sealed record BundleManifest(
    string Origin, string ExportId, string Created, string Tool, LedgerHead Head, long From, long To, long Withheld, string? TenantId)
{
    public const string FileName = "MANIFEST.json", NoteName = "MANIFEST.note";

    /// <summary>No bundle has more files than this: some 250 million entries.</summary>
    public const int MaxFiles = 2_000_000;

    private const string NoteHead = "evident export manifest v1\n";

    private static readonly SearchValues<byte> NameBytes = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/-"u8);

    /// <summary>What files of a bundle may be called: 1..200 characters, no part empty, <c>.</c> or <c>..</c>.</summary>
    internal static readonly ValueForm NameForm = new FileNameForm();

    public static bool IsName(string name) => IsName(Encoding.UTF8.GetBytes(name));

    private static bool IsName(ReadOnlySpan<byte> name) => name.Length is >= 1 and <= 200 && !name.ContainsAnyExcept(NameBytes) && HasPlainParts(name);

    private sealed class FileNameForm() : ValueForm("file name", "`[A-Za-z0-9._/-]{1,200}`")
    {
        internal override bool Accepts(ReadOnlySpan<byte> line, ReadOnlySpan<Lj1Node> nodes, int index) =>
            nodes[index].Kind == Lj1Kind.String && IsName(line.Slice(nodes[index].Start, nodes[index].Length));
    }

    private static bool HasPlainParts(ReadOnlySpan<byte> name)
    {
        while (true)
        {
            int slash = name.IndexOf((byte)'/');
            var part = slash < 0 ? name : name[..slash];
            if (part.IsEmpty || part.SequenceEqual("."u8) || part.SequenceEqual(".."u8))
            {
                return false;
            }

            if (slash < 0)
            {
                return true;
            }

            name = name[(slash + 1)..];
        }
    }

    /// <summary>The signed text that stands for a manifest: it names the ledger and the hash, and nothing else is ever signed so.</summary>
    public static byte[] NoteText(string origin, ReadOnlySpan<byte> sha256) => Encoding.UTF8.GetBytes($"{NoteHead}{origin}\n{LedgerFormat.HashText(sha256)}\n");

    /// <summary>True when the entries are all those of the head and none is withheld.</summary>
    public bool IsWhole => From == 0 && To == Head.Size && Withheld == 0 && TenantId is null;

    /// <summary>The file's bytes, line feed included.</summary>
    public byte[] Encode(IReadOnlyList<BundleFile> files)
    {
        var root = new Lj1ObjectBuilder()
            .Set("v", 1).Set("origin", Origin).Set("export_id", ExportId).Set("created", Created).Set("tool", Tool)
            .Set("head", head => head.Set("size", Head.Size).Set("root", LedgerFormat.HashText(Head.Root)))
            .Set("from", From).Set("to", To).Set("withheld", Withheld).SetIf("tenant_id", TenantId)
            .Set("files", files.Select(f => (Action<Lj1ObjectBuilder>)(file => file
                .Set("name", f.Name).Set("bytes", f.Bytes).Set("sha256", LedgerFormat.HashText(f.Sha256)))));
        return [.. root.ToBytes(), (byte)'\n'];
    }
}
