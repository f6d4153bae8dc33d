using System.Globalization;
using Evident.Ledger;

namespace Evident.Tests.Ledger;

/// <summary>
/// A ledger of several tenants over many segments and epochs, and bundles of it that its own identity key has signed. The log stays open: bundles are
/// written beside it.
/// </summary>
internal sealed class BundleScratch : IDisposable
{
    public const string Acme = "acme", Globex = "globex";

    private static readonly string AcmeScope = new('a', 32), GlobexScope = new('b', 32);

    private int exports;

    public BundleScratch(int groups = 60, long segmentBytes = 40_000)
    {
        Log = Scratch.Open(segmentBytes: segmentBytes);
        Grow(groups);
        Log.Publish();
    }

    public LedgerScratch Scratch { get; } = new();

    public LedgerLog Log { get; }

    public long Size => Log.Published!.Size;

    /// <summary>Groups of 1..7 entries: calls of two tenants, reads that only carry a tenant's scope, acts of nobody; a rotation now and then.</summary>
    public void Grow(int groups, int rotateEvery = 17)
    {
        for (int i = 0; i < groups; i++)
        {
            long made = Log.Head.Size;
            Log.Append([.. Enumerable.Range(0, (i % 7) + 1).Select(n => Entry(made + n))]);
            if (i % rotateEvery == rotateEvery - 1)
            {
                Log.Rotate("operator");
            }
        }
    }

    /// <summary>An entry whose id tells whose it is.</summary>
    public static EntryDraft Entry(long i)
    {
        (string owner, string? tenant, string? scope) = (i % 5) switch
        {
            0 => (Acme, Acme, AcmeScope),
            1 or 2 => (Globex, Globex, GlobexScope),
            3 => (i % 2 == 0 ? Acme : Globex, null, i % 2 == 0 ? AcmeScope : GlobexScope),
            _ => ("nobody", (string?)null, (string?)null),
        };
        string id = string.Create(CultureInfo.InvariantCulture, $"{owner}-{i}");
        return scope is not null && tenant is null
            ? EntryDraft.Create("vault.read", id, b => b.Set("recorded", "2026-05-06T06:00:08.112Z").Set("scope", scope)
                .Set("actor", a => a.Set("kind", "uid").Set("id", "0")).Set("vault", v => v.Set("ref", "vr_01HZX0000000000000000000A0")))
            : tenant is not null
                ? EntryDraft.Create("tool.call", id, b => b.Set("recorded", "2026-05-06T06:00:08.112Z").Set("workspace", "default").SetIf("scope", scope).SetIf("tenant_id", tenant)
                    .Set("run_id", $"run-of-{owner}").Set("action", a => a.Set("type", "tool.call").Set("tool_name", "gmail.send").Set("side_effect_level", "write")))
                : EntryDraft.Create("alert.closed", id, b => b.Set("recorded", "2026-05-06T06:00:08.112Z")
                    .Set("alert", a => a.Set("rule", "r").Set("alert_id", id)));
    }

    /// <summary>Writes a bundle as the command does, the appliance's part included.</summary>
    public string Export(string name, long from = 0, long? to = null, string? tenant = null, long? size = null)
    {
        string path = Path.Combine(Scratch.Data, name);
        using var bundle = BundleWriter.Write(path, Request(from, to, tenant, size), CancellationToken.None);
        _ = BundleWriter.CheckRange(Scratch.Ledger, bundle.From, bundle.To, size ?? Size);
        bundle.Complete(Log.SignManifest(bundle.ManifestSha256));
        return path;
    }

    public BundleRequest Request(long from = 0, long? to = null, string? tenant = null, long? size = null) => new()
    {
        Directory = Scratch.Ledger,
        Size = size ?? Size,
        From = from,
        To = to,
        TenantId = tenant,
        ExportId = (exports++).ToString("x32", CultureInfo.InvariantCulture),
        CreatedUnixMillis = Scratch.Clock.UnixMillis,
        Tool = "0.0.1",
        Documents = [("docs/evidence.md", "words\n"u8.ToArray()), ("verify.py", "print()\n"u8.ToArray())],
    };

    /// <summary>Every file below a directory by its name in the bundle.</summary>
    public static SortedDictionary<string, byte[]> FilesOf(string directory)
    {
        var files = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
        foreach (string file in Directory.GetFiles(directory, "*", SearchOption.AllDirectories))
        {
            files.Add(Path.GetRelativePath(directory, file).Replace('\\', '/'), File.ReadAllBytes(file));
        }

        return files;
    }

    public void Dispose()
    {
        Log.Dispose();
        Scratch.Dispose();
    }
}
