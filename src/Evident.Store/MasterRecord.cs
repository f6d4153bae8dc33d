using System.Security.Cryptography;
using System.Text;
using Evident.Ledger;
using Evident.Platform;
using Evident.Vault;

namespace Evident.Store;

/// <summary>
/// The ledger says how the vault's master key is kept: a <c>keys.custody</c> entry at each conversion, and one at the start when what lies there is not what the newest entry says, because a crash came
/// between the files and the entry or because somebody moved files. A ledger without such an entry stands for a file.
/// </summary>
internal sealed class MasterRecord(VaultStore vault, LedgerLog ledger, NewestEntry newest, IClock clock)
{
    private const string EntryType = "keys.custody";

    public void Record()
    {
        string custody = vault.Custody.ToName();
        string? told = newest.Find(EntryType, ledger.Head.Size, static facts => facts.Text("key"u8, "custody"u8));
        if (custody == (told ?? MasterCustody.File.ToName()))
        {
            return;
        }

        byte[] about = SHA256.HashData(Encoding.UTF8.GetBytes(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{ledger.Origin}\n{EntryType}\n{ledger.Head.Size}")));
        ledger.Append([EntryDraft.Create(EntryType, Convert.ToHexStringLower(about.AsSpan(0, 16)), entry => Write(entry
            .Set("recorded", Rfc3339.FormatMillis(clock.UnixMillis)).Set("actor", who => who.Set("kind", "system")).Set("channel", "system"), vault.Custody))]);
    }

    /// <summary>Appends that a person changed it.</summary>
    public static void Append(LedgerLog ledger, MasterCustody custody, Action<Lj1ObjectBuilder> act) => ledger.AppendOwn(EntryType, entry =>
    {
        act(entry);
        Write(entry, custody);
    });

    /// <summary>Which key, and how it is kept.</summary>
    public static void Write(Lj1ObjectBuilder entry, MasterCustody custody) => entry.Set("key", key => key.Set("name", "vault.master").Set("custody", custody.ToName()));
}
