namespace Evident.Ledger;

/// <summary>
/// Compares the tiles that a manifest lists with those that the entries make: the same names, lengths and hashes. The files themselves are held
/// against the manifest elsewhere, so none is opened here.
/// </summary>
internal sealed class TileAudit(ManifestFiles files, Action<Finding> report) : FileSink
{
    public const string Folder = "tile/";

    private readonly bool[] seen = new bool[files.Count];

    protected override void Open(string file)
    {
    }

    protected override void Put(ReadOnlySpan<byte> bytes)
    {
    }

    protected override void Close(BundleFile written)
    {
        int at = files.Find(written.Name);
        if (at < 0)
        {
            report(new Finding(Verdict.Altered, $"{written.Name} is missing from the manifest's list, which has other tiles.", written.Name));
            return;
        }

        seen[at] = true;
        if (files.Bytes(at) != written.Bytes || !files.Sha256(at).SequenceEqual(written.Sha256))
        {
            report(new Finding(Verdict.Altered, $"{written.Name} does not hold what the ledger's entries make of it.", written.Name));
        }
    }

    /// <summary>Reports the tiles that no tree of these entries has.</summary>
    public void Finish()
    {
        for (int i = 0; i < files.Count; i++)
        {
            if (!seen[i] && files.Name(i).StartsWith(Folder, StringComparison.Ordinal))
            {
                report(new Finding(Verdict.Altered, $"{files.Name(i)} is no tile of this ledger at this size.", files.Name(i)));
            }
        }
    }

    /// <summary>True when the manifest lists any tile.</summary>
    public static bool HasTiles(ManifestFiles files)
    {
        for (int i = 0; i < files.Count; i++)
        {
            if (files.Name(i).StartsWith(Folder, StringComparison.Ordinal))
            {
                return true;
            }
        }

        return false;
    }
}
