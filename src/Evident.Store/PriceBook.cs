using System.Globalization;
using Evident.Ledger;
using Evident.Platform;

namespace Evident.Store;

/// <summary>A table and since when it is in force: 0 for the one that shipped with the build.</summary>
public sealed record PriceEdition(PriceTable Table, long FromUnixMillis);

/// <summary>
/// The price tables of a data directory, oldest first: the built-in one, then each import as <c>DATA/prices/{Unix milliseconds}.tsv</c>, in force from that moment on. A span is priced by the
/// table that was in force when it started, so an import never changes what an older span cost. Thread safe; what has been read never changes.
/// </summary>
public sealed class PriceBook
{
    private const string Folder = "prices", Suffix = ".tsv";
    private const int MaxEditions = 1_000;

    private readonly string? directory;
    private PriceEdition[] editions;

    private PriceBook(string? directory, PriceEdition[] editions) => (this.directory, this.editions) = (directory, editions);

    /// <summary>The built-in table alone.</summary>
    public static PriceBook BuiltIn { get; } = new(null, [new PriceEdition(PriceTable.BuiltIn, 0)]);

    public IReadOnlyList<PriceEdition> Editions => Volatile.Read(ref editions);

    /// <summary>A history that is nowhere on a disk.</summary>
    internal static PriceBook Of(params PriceEdition[] editions) => new(null, editions);

    /// <summary>The table in force at a moment.</summary>
    public PriceEdition At(ulong unixNanos)
    {
        var all = Volatile.Read(ref editions);
        int i = all.Length - 1;
        while (i > 0 && (ulong)all[i].FromUnixMillis > unixNanos / 1_000_000)
        {
            i--;
        }

        return all[i];
    }

    internal static PriceBook Open(string dataDirectory, Action<string, Exception?> log)
    {
        string directory = Path.Combine(dataDirectory, Folder);
        var found = new List<PriceEdition> { new(PriceTable.BuiltIn, 0) };
        if (Directory.Exists(directory))
        {
            foreach (string path in Directory.EnumerateFiles(directory, "*" + Suffix))
            {
                if (long.TryParse(Path.GetFileNameWithoutExtension(path), NumberStyles.None, CultureInfo.InvariantCulture, out long from))
                {
                    try
                    {
                        found.Add(new PriceEdition(PriceTable.Parse(File.ReadAllBytes(path)), from));
                    }
                    catch (PriceFormatException damage)
                    {
                        log($"the price table '{Path.GetFileName(path)}' is not what was imported and is not used: {damage.Message}", damage);
                    }
                }
            }
        }

        found.Sort(static (a, b) => a.FromUnixMillis.CompareTo(b.FromUnixMillis));
        return new PriceBook(directory, [.. found]);
    }

    /// <summary>A table goes into force now; its file is durable on return. On the writer thread, alone.</summary>
    internal void Add(PriceTable table, byte[] bytes, long unixMillis)
    {
        var all = Volatile.Read(ref editions);
        if (all.Length > MaxEditions)
        {
            throw new PriceFormatException($"there are {MaxEditions} imported price tables already.");
        }

        long from = Math.Max(unixMillis, all[^1].FromUnixMillis + 1);
        DurableDirectory.Create(directory!);
        DurableDirectory.ReplaceFile(Path.Combine(directory!, from.ToString(CultureInfo.InvariantCulture) + Suffix), bytes);
        Volatile.Write(ref editions, [.. all, new PriceEdition(table, from)]);
    }

    /// <summary>Puts a price table into force from now on; its file and the entry that says so are durable on return.</summary>
    /// <exception cref="PriceFormatException">It is none; nothing is kept.</exception>
    internal async Task<PriceEdition> ImportAsync(byte[] file, StoreActs acts, IClock clock, Actor actor)
    {
        var table = PriceTable.Parse(file);
        PriceFormatException? refusal = null;
        await acts.RunAsync(actor, null, (ledger, act) =>
        {
            try
            {
                Add(table, file, clock.UnixMillis); // first the file: a crash before the entry is made up for at the start
            }
            catch (PriceFormatException full)
            {
                refusal = full;
                return;
            }

            Append(ledger, act);
        }).ConfigureAwait(false);
        return refusal is null ? Editions[^1] : throw refusal;
    }

    /// <summary>The ledger says which imported table is in force; a crash between file and entry is made up for at the start.</summary>
    internal void Record(LedgerLog ledger, NewestEntry newest)
    {
        var all = Editions;
        if (all.Count > 1 && newest.DocumentHash(EntryType, ledger.Head.Size) != LedgerFormat.HashPrefix + Convert.ToHexStringLower(all[^1].Table.Hash))
        {
            Append(ledger, static entry => entry.Set("actor", who => who.Set("kind", "system")).Set("channel", "system"));
        }
    }

    internal void Append(LedgerLog ledger, Action<Lj1ObjectBuilder> act)
    {
        var all = Editions;
        ledger.AppendOwn(EntryType, entry =>
        {
            act(entry);
            entry.Set("document", document => document.Set("version", all[^1].Table.Version).Set("hash", LedgerFormat.HashPrefix + Convert.ToHexStringLower(all[^1].Table.Hash))
                .SetIf("previous_hash", all.Count > 1 ? LedgerFormat.HashPrefix + Convert.ToHexStringLower(all[^2].Table.Hash) : null).Set("items", (long)all[^1].Table.Rows));
        });
    }

    private const string EntryType = "cost.table";
}
