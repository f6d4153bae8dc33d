using System.Text;

namespace Evident.Ledger;

/// <summary>One epoch of a ledger, as the entry that opened it says.</summary>
internal sealed record EpochSpan(long Number, long FirstSeq, NoteKey Key, string Custody);

/// <summary>
/// What an export has to know of a whole ledger before it writes: its epochs, and the scopes that belong to one tenant. One reading, no hashing:
/// most lines are only searched for a few bytes.
/// </summary>
internal sealed class LedgerSurvey
{
    private static ReadOnlySpan<byte> EpochType => "\"type\":\"ledger.epoch\""u8;

    private LedgerSurvey(string origin, NoteKey identity) => (Origin, Identity) = (origin, identity);

    public string Origin { get; }

    public NoteKey Identity { get; }

    public List<EpochSpan> Epochs { get; } = [];

    /// <summary>Scopes of the entries whose own <c>tenant_id</c> is the one asked for.</summary>
    public HashSet<string> TenantScopes { get; } = new(StringComparer.Ordinal);

    public bool TenantSeen { get; private set; }

    /// <exception cref="LedgerStateException">The entries below the size cannot be read, or entry 0 is no genesis.</exception>
    public static LedgerSurvey Make(string directory, long size, string? tenant, CancellationToken cancellation)
    {
        byte[]? needle = tenant is null ? null : Encoding.UTF8.GetBytes($"\"tenant_id\":\"{tenant}\"");
        var parser = new Lj1Parser();
        using var entries = new EntryCursor(directory, 0, size);
        if (!entries.NextEntry() || parser.Parse(entries.Line) != Lj1Error.None || Text(entries.Line, parser, "genesis"u8, "identity_key"u8) is not { } identity
            || Text(entries.Line, parser, "genesis"u8, "epoch_key"u8) is not { } first)
        {
            throw new LedgerStateException($"entry 0 of the ledger in '{directory}' is no genesis. Run `evident verify`.");
        }

        byte[] key = PublicKey(identity);
        string origin = LedgerFormat.OriginOf(key);
        var survey = new LedgerSurvey(origin, new NoteKey(origin, key));
        survey.Epochs.Add(new EpochSpan(1, 0, new NoteKey(LedgerFormat.EpochKeyName(origin, 1), PublicKey(first)), Text(entries.Line, parser, "genesis"u8, "custody"u8) ?? ""));
        while (entries.NextEntry())
        {
            var line = entries.Line;
            if (line.IndexOf(EpochType) >= 0)
            {
                survey.SeeRotation(entries.Seq, line, parser);
            }

            if (needle is not null && line.IndexOf(needle) >= 0)
            {
                survey.SeeTenant(line, parser, tenant!);
            }

            if (entries.Seq % 4_096 == 0)
            {
                cancellation.ThrowIfCancellationRequested();
            }
        }

        return survey;
    }

    private void SeeRotation(long seq, ReadOnlySpan<byte> line, Lj1Parser parser)
    {
        if (parser.Parse(line) == Lj1Error.None && parser.Text(line, "type"u8).SequenceEqual("ledger.epoch"u8)
            && Text(line, parser, "rotation"u8, "epoch_key"u8) is { } key)
        {
            long number = parser.Integer(line, "epoch"u8);
            Epochs.Add(new EpochSpan(number, seq, new NoteKey(LedgerFormat.EpochKeyName(Origin, number), PublicKey(key)), Text(line, parser, "rotation"u8, "custody"u8) ?? ""));
        }
    }

    private void SeeTenant(ReadOnlySpan<byte> line, Lj1Parser parser, string tenant)
    {
        if (parser.Parse(line) == Lj1Error.None && parser.Text(line, "tenant_id"u8).SequenceEqual(Encoding.UTF8.GetBytes(tenant)))
        {
            TenantSeen = true;
            var scope = parser.Text(line, "scope"u8);
            if (!scope.IsEmpty)
            {
                TenantScopes.Add(Encoding.ASCII.GetString(scope));
            }
        }
    }

    private static string? Text(ReadOnlySpan<byte> line, Lj1Parser parser, ReadOnlySpan<byte> parent, ReadOnlySpan<byte> member)
    {
        int at = parser.Find(line, 0, parent);
        int found = at < 0 || parser.Nodes[at].Kind != Lj1Kind.Object ? -1 : parser.Find(line, at, member);
        return found < 0 || parser.Nodes[found].Kind != Lj1Kind.String ? null : Encoding.UTF8.GetString(line.Slice(parser.Nodes[found].Start, parser.Nodes[found].Length));
    }

    /// <summary>From <c>ed25519:</c> + 64 hex digits.</summary>
    private static byte[] PublicKey(string text)
    {
        byte[] key = new byte[32];
        return text.Length == 72 && Convert.FromHexString(text.AsSpan(8), key, out _, out int written) == System.Buffers.OperationStatus.Done && written == 32
            ? key
            : throw new LedgerStateException($"'{text}' is no public key. Run `evident verify`.");
    }
}
