using System.Text;

namespace Evident.Ledger;

/// <summary>The files that a manifest lists, in ascending order of names. Names take what they take; of the rest a file has 40 bytes.</summary>
internal sealed class ManifestFiles
{
    private readonly List<string> names = [];
    private readonly List<long> bytes = [];
    private byte[] hashes = new byte[64 * 32];

    public int Count => names.Count;

    public void Add(string name, long length, ReadOnlySpan<byte> sha256)
    {
        if ((Count + 1) * 32 > hashes.Length)
        {
            Array.Resize(ref hashes, 2 * hashes.Length);
        }

        sha256.CopyTo(hashes.AsSpan(Count * 32));
        names.Add(name);
        bytes.Add(length);
    }

    public string Name(int index) => names[index];

    public long Bytes(int index) => bytes[index];

    public ReadOnlySpan<byte> Sha256(int index) => hashes.AsSpan(index * 32, 32);

    /// <summary>Its index, or -1.</summary>
    public int Find(string name) => names.BinarySearch(name, StringComparer.Ordinal);
}

/// <summary>
/// Reads <c>MANIFEST.json</c> piece by piece, so that its length does not matter: the list of files one by one, what stands around it as one
/// LJ-1 object. Accepts exactly what <see cref="BundleManifest.Encode"/> can write.
/// </summary>
internal sealed class ManifestReader
{
    private const int MaxFileObject = 512;

    private static readonly EntryShape Shape = new(
        "manifest",
        new EntryField("v", true, ValueForm.One, ""),
        new EntryField("origin", true, ValueForm.Origin, ""),
        new EntryField("export_id", true, ValueForm.Hex32, ""),
        new EntryField("created", true, ValueForm.Time, ""),
        new EntryField("tool", true, ValueForm.Token, ""),
        new EntryField("head", true, EntryShapes.Head, ""),
        new EntryField("from", true, ValueForm.Count, ""),
        new EntryField("to", true, ValueForm.Ordinal, ""),
        new EntryField("withheld", true, ValueForm.Count, ""),
        new EntryField("tenant_id", false, ValueForm.Token, ""));

    private static readonly EntryShape FileShape = new(
        "file",
        new EntryField("name", true, BundleManifest.NameForm, ""),
        new EntryField("bytes", true, ValueForm.Count, ""),
        new EntryField("sha256", true, ValueForm.Hash, ""));

    private readonly Lj1Parser parser = new();
    private readonly ByteWindow input;

    private ManifestReader(FileWindow file) => input = new ByteWindow(file, 2 * LedgerFormat.MaxLineBytes);

    /// <summary>False with a sentence when the bytes are no manifest of version 1.</summary>
    public static bool TryRead(FileWindow file, out BundleManifest manifest, out ManifestFiles files, out string failure)
    {
        files = new ManifestFiles();
        return new ManifestReader(file).TryRead(files, out manifest, out failure);
    }

    private bool TryRead(ManifestFiles files, out BundleManifest manifest, out string failure)
    {
        manifest = null!;
        var head = input.Peek(LedgerFormat.MaxLineBytes);
        int list = head.IndexOf("\"files\":["u8);
        if (list < 0)
        {
            failure = "it has no list of files.";
            return false;
        }

        byte[] before = head[..list].ToArray();
        input.Skip(list + "\"files\":["u8.Length);
        if (!TryReadFiles(files, out failure))
        {
            return false;
        }

        var rest = input.Peek(LedgerFormat.MaxLineBytes + 1);
        if (!rest.StartsWith(",\"from\":"u8) || rest[^1] != '\n' || before.Length + rest.Length - 2 > LedgerFormat.MaxLineBytes)
        {
            failure = "what follows its list of files is not as it must be.";
            return false;
        }

        byte[] around = [.. before, .. rest[1..^1]]; // the object without its list
        string? wrong = parser.Parse(around) is var error && error != Lj1Error.None ? $"it is not LJ-1 ({error})." : Shape.Check(around, parser.Nodes, 0, draft: false);
        if (wrong is not null)
        {
            failure = wrong;
            return false;
        }

        manifest = Take(around);
        failure = "";
        return true;
    }

    private bool TryReadFiles(ManifestFiles files, out string failure)
    {
        failure = "its list of files is not as it must be.";
        if (input.Peek(1).SequenceEqual("]"u8))
        {
            input.Skip(1);
            return true;
        }

        while (true)
        {
            var ahead = input.Peek(MaxFileObject);
            int end = ahead.IndexOf((byte)'}') + 1;
            if (end == 0 || end == ahead.Length || !TryReadFile(ahead[..end], files, out failure))
            {
                return false;
            }

            byte after = ahead[end];
            input.Skip(end + 1);
            if (after == ']')
            {
                return true;
            }

            if (after != ',' || files.Count >= BundleManifest.MaxFiles)
            {
                failure = after == ',' ? $"it lists more than {BundleManifest.MaxFiles} files." : failure;
                return false;
            }
        }
    }

    private bool TryReadFile(ReadOnlySpan<byte> json, ManifestFiles files, out string failure)
    {
        failure = "its list of files is not as it must be.";
        if (parser.Parse(json) != Lj1Error.None || FileShape.Check(json, parser.Nodes, 0, draft: false) is not null)
        {
            return false;
        }

        string name = Encoding.UTF8.GetString(parser.Text(json, "name"u8));
        if (name is BundleManifest.FileName or BundleManifest.NoteName)
        {
            failure = $"'{name}' is no name of a file in a bundle.";
            return false;
        }

        if (files.Count > 0 && string.CompareOrdinal(files.Name(files.Count - 1), name) >= 0)
        {
            failure = $"'{name}' stands out of order in it.";
            return false;
        }

        Span<byte> hash = stackalloc byte[32];
        Hash(json, 0, hash);
        files.Add(name, parser.Integer(json, "bytes"u8), hash);
        return true;
    }

    private BundleManifest Take(ReadOnlySpan<byte> json)
    {
        int head = parser.Find(json, 0, "head"u8);
        byte[] root = new byte[32];
        var text = parser.Nodes[parser.Find(json, head, "root"u8)];
        Convert.FromHexString(Encoding.ASCII.GetString(json.Slice(text.Start + LedgerFormat.HashPrefix.Length, 64)), root, out _, out _);
        var tenant = parser.Text(json, "tenant_id"u8);
        return new BundleManifest(
            Text(json, "origin"u8), Text(json, "export_id"u8), Text(json, "created"u8), Text(json, "tool"u8),
            new LedgerHead(parser.Nodes[parser.Find(json, head, "size"u8)].Integer, root),
            parser.Integer(json, "from"u8), parser.Integer(json, "to"u8), parser.Integer(json, "withheld"u8), tenant.IsEmpty ? null : Encoding.ASCII.GetString(tenant));
    }

    private string Text(ReadOnlySpan<byte> json, ReadOnlySpan<byte> name) => Encoding.ASCII.GetString(parser.Text(json, name));

    private void Hash(ReadOnlySpan<byte> json, int parent, Span<byte> hash)
    {
        var text = parser.Nodes[parser.Find(json, parent, "sha256"u8)];
        Convert.FromHexString(Encoding.ASCII.GetString(json.Slice(text.Start + LedgerFormat.HashPrefix.Length, 64)), hash, out _, out _);
    }
}

/// <summary>A file read front to back through a buffer, with a look ahead of at most half of it.</summary>
internal sealed class ByteWindow(FileWindow file, int capacity)
{
    private readonly byte[] buffer = new byte[capacity];
    private long offset;
    private int start, end;

    /// <summary>The next bytes, at most so many; fewer only at the end of the file. Valid until the next call.</summary>
    public ReadOnlySpan<byte> Peek(int count)
    {
        if (end - start < count)
        {
            buffer.AsSpan(start, end - start).CopyTo(buffer);
            (start, end) = (0, end - start);
            int read = file.ReadAt(offset, buffer.AsSpan(end));
            offset += read;
            end += read;
        }

        return buffer.AsSpan(start, Math.Min(count, end - start));
    }

    public void Skip(int count) => start += Math.Min(count, end - start);
}
